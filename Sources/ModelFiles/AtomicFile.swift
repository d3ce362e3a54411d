import Glibc

/// Files that are there whole or not at all.
///
/// The bytes go to a temporary file in the same folder, which is synced, renamed over the target, and made to last by
/// syncing the folder. Whatever goes wrong, the old file stays and no temporary file is left.
public enum AtomicFile {
  /// Writes a file of the given bytes.
  public static func write(path: String, _ bytes: [UInt8], mode: UInt32 = 0o644) throws(ModelFileError) {
    try write(path: path, mode: mode) { write throws(ModelFileError) in
      try bytes.withUnsafeBufferPointer { bytes throws(ModelFileError) in try write(UnsafeRawBufferPointer(bytes)) }
    }
  }

  /// Writes a file of the pieces that `body` hands over, in order.
  package static func write(
    path: String, mode: UInt32 = 0o644,
    _ body: ((UnsafeRawBufferPointer) throws(ModelFileError) -> Void) throws(ModelFileError) -> Void
  ) throws(ModelFileError) {
    let slash = path.lastIndex(of: "/")
    let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    let temporary = "\(folder)/.\(name).\(getpid()).\(UInt32.random(in: .min ... .max)).tmp"
    let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard file >= 0 else { throw failure(path, "cannot be written") }
    do throws(ModelFileError) {
      do throws(ModelFileError) {
        try body { bytes throws(ModelFileError) in try writeAll(bytes, to: file, path) }
        if fsync(file) != 0 { throw failure(path, "cannot be made to last") }
      } catch {
        close(file)
        throw error
      }
      if close(file) != 0 { throw failure(path, "cannot be written") }
      if rename(temporary, path) != 0 { throw failure(path, "cannot be put in place") }
    } catch {
      unlink(temporary)
      throw error
    }
    try sync(folder, for: path)
  }

  private static func writeAll(
    _ bytes: UnsafeRawBufferPointer, to file: Int32, _ path: String
  ) throws(ModelFileError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = Glibc.write(file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count < 0 {
        if errno == EINTR { continue }
        throw failure(path, "cannot be written")
      }
      rest = rest.dropFirst(count)
    }
  }

  private static func sync(_ folder: String, for path: String) throws(ModelFileError) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path, "its folder cannot be opened to be synced") }
    defer { close(descriptor) }
    if fsync(descriptor) != 0 { throw failure(path, "its folder cannot be synced") }
  }

  /// The error of the call that has just failed.
  static func failure(_ path: String, _ what: String) -> ModelFileError {
    ModelFileError(path: path, problem: "\(what): \(String(cString: strerror(errno)))")
  }
}

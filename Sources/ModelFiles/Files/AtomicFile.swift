import Glibc

/// Files that are there whole or not at all.
///
/// The bytes go to a temporary file in the same folder, which is synced, renamed over the target, and made to last by
/// syncing the folder. Whatever goes wrong, the old file stays and no temporary file is left.
public enum AtomicFile {
  /// Steps that a planted fault leaves out: see `CheckpointFault`.
  struct Omission: OptionSet {
    let rawValue: UInt8

    static let fileSync = Self(rawValue: 1)
    static let rename = Self(rawValue: 2)
    static let folderSync = Self(rawValue: 4)
  }

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
    // Several processes may write the same file: the last one wins, and none meets another's temporary file.
    let temporary = ".\(Path.name(of: path)).\(getpid()).\(UInt32.random(in: .min ... .max)).tmp"
    let files = RealFileSystem.shared
    let file = try write(path: path, temporary: temporary, mode: mode, files: files, body)
    try files.close(file)
  }

  /// Writes a file by way of a temporary one of the given name, and leaves it open for appending.
  ///
  /// - Precondition: no other process uses that name; what a crash left there is removed.
  static func write(
    path: String, temporary: String, mode: UInt32 = 0o644, files: any FileSystem, omitting: Omission = [],
    _ body: ((UnsafeRawBufferPointer) throws(ModelFileError) -> Void) throws(ModelFileError) -> Void
  ) throws(ModelFileError) -> OpenFile {
    let folder = Path.folder(of: path)
    let temporary = omitting.contains(.rename) ? path : "\(folder)/\(temporary)"
    let file: OpenFile
    do throws(ModelFileError) {
      file = try create(temporary, mode: mode, files)
    } catch {
      throw error.naming(path, for: temporary)
    }
    do throws(ModelFileError) {
      try body { bytes throws(ModelFileError) in try files.write(bytes, to: file) }
      if !omitting.contains(.fileSync) { try files.sync(file) }
      if temporary != path { try files.rename(temporary, to: path) }
    } catch {
      try? files.close(file)
      try? files.remove(temporary)
      throw error.naming(path, for: temporary)
    }
    if !omitting.contains(.folderSync) {
      do throws(ModelFileError) {
        try files.syncFolder(folder)
      } catch {
        try? files.close(file)
        throw error
      }
    }
    return OpenFile(path: path, number: file.number)
  }

  private static func create(
    _ path: String, mode: UInt32, _ files: any FileSystem
  ) throws(ModelFileError) -> OpenFile {
    do throws(ModelFileError) {
      return try files.create(path, mode: mode)
    } catch  where error.kind == .exists {
      try files.remove(path)
      return try files.create(path, mode: mode)
    }
  }
}

extension ModelFileError {
  /// The same error, said of the file that a person knows.
  fileprivate func naming(_ path: String, for temporary: String) -> Self {
    self.path == temporary ? Self(path: path, problem: problem, kind: kind) : self
  }
}

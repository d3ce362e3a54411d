import Glibc

/// The machine's own file system, over Glibc. It has no state: an open file's number is its descriptor.
package final class RealFileSystem: FileSystem, Sendable {
  /// The one there is.
  package static let shared = RealFileSystem()

  private init() {}

  /// Creates a file for writing.
  package func create(_ path: String, mode: UInt32) throws(ModelFileError) -> OpenFile {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw Self.failure(path, "cannot be written") }
    return OpenFile(path: path, number: Int(descriptor))
  }

  /// Opens a plain file that is there.
  package func open(_ path: String, for access: FileAccess) throws(ModelFileError) -> OpenFile {
    let flags = access == .reading ? O_RDONLY : O_RDWR | O_APPEND
    let descriptor = Glibc.open(path, flags | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.failure(path, "cannot be opened") }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      Glibc.close(descriptor)
      throw ModelFileError(path: path, problem: "it is no plain file")
    }
    return OpenFile(path: path, number: Int(descriptor))
  }

  /// The file's bytes.
  package func size(of file: OpenFile) throws(ModelFileError) -> Int {
    var status = stat()
    guard fstat(Int32(file.number), &status) == 0 else { throw Self.failure(file.path, "cannot be read") }
    return Int(status.st_size)
  }

  /// Fills a buffer with the bytes from `offset` on.
  package func read(
    _ file: OpenFile, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ModelFileError) {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = pread(Int32(file.number), rest.baseAddress, rest.count, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw Self.failure(file.path, "cannot be read")
      }
      guard count > 0 else { throw ModelFileError.cutShort(file.path, at: offset + done) }
      done += count
    }
  }

  /// Writes bytes at the end.
  package func write(_ bytes: UnsafeRawBufferPointer, to file: OpenFile) throws(ModelFileError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = Glibc.write(Int32(file.number), UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count < 0 {
        if errno == EINTR { continue }
        throw Self.failure(file.path, "cannot be written")
      }
      rest = rest.dropFirst(count)
    }
  }

  /// Cuts the file.
  package func truncate(_ file: OpenFile, to size: Int) throws(ModelFileError) {
    if ftruncate(Int32(file.number), off_t(size)) != 0 { throw Self.failure(file.path, "cannot be cut") }
  }

  /// Makes what was written last.
  package func sync(_ file: OpenFile) throws(ModelFileError) {
    if fsync(Int32(file.number)) != 0 { throw Self.failure(file.path, "cannot be made to last") }
  }

  /// Closes the file.
  package func close(_ file: OpenFile) throws(ModelFileError) {
    if Glibc.close(Int32(file.number)) != 0 { throw Self.failure(file.path, "cannot be written") }
  }

  /// Gives a file or folder another name.
  package func rename(_ path: String, to target: String) throws(ModelFileError) {
    if Glibc.rename(path, target) != 0 { throw Self.failure(target, "cannot be put in place") }
  }

  /// Makes a folder.
  package func makeFolder(_ path: String) throws(ModelFileError) {
    if mkdir(path, 0o777) != 0 { throw Self.failure(path, "the folder cannot be made") }
  }

  /// Makes last what was created, renamed and removed in a folder.
  package func syncFolder(_ path: String) throws(ModelFileError) {
    let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.failure(path, "the folder cannot be opened to be synced") }
    defer { Glibc.close(descriptor) }
    if fsync(descriptor) != 0 { throw Self.failure(path, "the folder cannot be synced") }
  }

  /// The names in a folder, sorted.
  package func list(_ path: String) throws(ModelFileError) -> [String] {
    guard let folder = opendir(path) else { throw Self.failure(path, "the folder cannot be listed") }
    defer { closedir(folder) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
      errno = 0
    }
    if errno != 0 { throw Self.failure(path, "the folder cannot be listed") }
    return names.sorted()
  }

  /// Removes a file.
  package func remove(_ path: String) throws(ModelFileError) {
    if unlink(path) != 0 { throw Self.failure(path, "cannot be removed") }
  }

  /// Removes an empty folder.
  package func removeFolder(_ path: String) throws(ModelFileError) {
    if rmdir(path) != 0 { throw Self.failure(path, "the folder cannot be removed") }
  }

  /// Takes a file as a lock.
  package func lock(_ path: String) throws(ModelFileError) -> OpenFile {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Self.failure(path, "cannot be opened to be locked") }
    let file = OpenFile(path: path, number: Int(descriptor))
    do throws(ModelFileError) {
      while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
        if errno == EINTR { continue }
        guard errno == EWOULDBLOCK else { throw Self.failure(path, "cannot be locked") }
        throw ModelFileError.inUse(path, by: Self.holder(descriptor))
      }
      try truncate(file, to: 0)
      try Array("\(getpid())\n".utf8).withUnsafeBufferPointer { text throws(ModelFileError) in
        try write(UnsafeRawBufferPointer(text), to: file)
      }
    } catch {
      Glibc.close(descriptor)
      throw error
    }
    return file
  }

  /// The number that the lock's holder wrote; nil where it has not come to it yet.
  private static func holder(_ descriptor: Int32) -> Int? {
    var bytes = [UInt8](repeating: 0, count: 20)
    let count = max(0, pread(descriptor, &bytes, bytes.count, 0))
    return Int(String(decoding: bytes[..<count].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
  }

  /// The error of the call that has just failed.
  private static func failure(_ path: String, _ what: String) -> ModelFileError {
    let code = errno
    let reason = String(cString: strerror(code))
    switch code {
    case ENOSPC, EDQUOT: return .diskFull(path, what, reason)
    case ENOENT: return ModelFileError(path: path, problem: "\(what): \(reason)", kind: .missing)
    case EEXIST: return ModelFileError(path: path, problem: "\(what): \(reason)", kind: .exists)
    default: return ModelFileError(path: path, problem: "\(what): \(reason)")
    }
  }
}

extension ModelFileError {
  /// The error of a disk without room.
  package static func diskFull(_ path: String, _ what: String, _ reason: String) -> Self {
    Self(path: path, problem: "\(what): the disk is full (\(reason)): make room and try again", kind: .diskFull)
  }

  /// The error of a file that ends before what was to be read.
  package static func cutShort(_ path: String, at offset: Int) -> Self {
    Self(path: path, problem: "it ends at byte \(offset): the file is cut short", kind: .damaged)
  }

  /// The error of a lock that another process has.
  package static func inUse(_ path: String, by process: Int?) -> Self {
    let holder = process.map { "process \($0)" } ?? "another process"
    return Self(path: path, problem: "\(holder) has it: stop that one first, or name another folder", kind: .inUse)
  }
}

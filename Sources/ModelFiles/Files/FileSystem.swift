/// A file that a `FileSystem` has open.
package struct OpenFile: Hashable, Sendable {
  /// The path that it was opened by.
  package let path: String
  /// The file system's own number for it.
  package let number: Int

  /// An open file; only file systems make one.
  package init(path: String, number: Int) {
    self.path = path
    self.number = number
  }
}

/// What an existing file is opened for.
package enum FileAccess: Hashable, Sendable {
  /// Reading only.
  case reading
  /// Reading, cutting, and writing at the end.
  case appending
}

/// The calls that checkpoints and the journal make on a disk: the machine's, or one that is simulated.
///
/// It promises no more than POSIX does. What was written lasts only once `sync` of the file has returned; that a file was
/// created, renamed or removed lasts only once `syncFolder` of its folder has returned; after a `sync` that failed nothing
/// is known of what was written since the one before, and a second `sync` that succeeds proves nothing.
///
/// Used by one thread at a time. Each call throws an error that names the path.
package protocol FileSystem: AnyObject {
  /// Creates a file for writing; one that is there already is refused with the kind `exists`.
  func create(_ path: String, mode: UInt32) throws(ModelFileError) -> OpenFile
  /// Opens a plain file that is there.
  func open(_ path: String, for access: FileAccess) throws(ModelFileError) -> OpenFile
  /// The file's bytes.
  func size(of file: OpenFile) throws(ModelFileError) -> Int
  /// Fills a buffer with the bytes from `offset` on; a file that ends before is an error of the kind `damaged`.
  func read(_ file: OpenFile, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ModelFileError)
  /// Writes bytes at the end. After an error any part of them may be there.
  func write(_ bytes: UnsafeRawBufferPointer, to file: OpenFile) throws(ModelFileError)
  /// Cuts the file to its first `size` bytes.
  func truncate(_ file: OpenFile, to size: Int) throws(ModelFileError)
  /// Makes what was written last.
  func sync(_ file: OpenFile) throws(ModelFileError)
  /// Closes the file; it is closed even when an error is thrown.
  func close(_ file: OpenFile) throws(ModelFileError)
  /// Gives a file or folder another name, in place of a file of that name.
  func rename(_ path: String, to target: String) throws(ModelFileError)
  /// Makes a folder inside one that is there; one of that name is refused with the kind `exists`.
  func makeFolder(_ path: String) throws(ModelFileError)
  /// Makes last what was created, renamed and removed in a folder.
  func syncFolder(_ path: String) throws(ModelFileError)
  /// The names in a folder, sorted.
  func list(_ path: String) throws(ModelFileError) -> [String]
  /// Removes a file.
  func remove(_ path: String) throws(ModelFileError)
  /// Removes an empty folder.
  func removeFolder(_ path: String) throws(ModelFileError)
  /// Takes a file as a lock until it is closed or this process ends, however it ends, and writes the process's number
  /// into it. One that another has is refused with the kind `inUse` and that number.
  func lock(_ path: String) throws(ModelFileError) -> OpenFile
}

extension FileSystem {
  /// The names in a folder, sorted; none where there is no such folder.
  package func listIfThere(_ path: String) throws(ModelFileError) -> [String] {
    do throws(ModelFileError) {
      return try list(path)
    } catch  where error.kind == .missing {
      return []
    }
  }

  /// Makes a folder last, with those above it that are not there either.
  package func makeFolders(_ path: String) throws(ModelFileError) {
    do throws(ModelFileError) {
      try makeFolder(path)
    } catch {
      switch error.kind {
      case .exists: return
      case .missing where Path.folder(of: path) != path:
        try makeFolders(Path.folder(of: path))
        try makeFolder(path)
      default: throw error
      }
    }
    try syncFolder(Path.folder(of: path))
  }

  /// Removes a file, and is content where there is none.
  package func removeIfThere(_ path: String) throws(ModelFileError) {
    do throws(ModelFileError) { try remove(path) } catch  where error.kind == .missing {}
  }
}

/// Parts of a path.
package enum Path {
  /// The folder that a path's last name lies in.
  package static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// A path's last name.
  package static func name(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
  }
}

import Glibc
import ModelFiles
import Testing

@Suite struct AtomicFileTests {
  private let folder = TemporaryFolder()

  @Test("A file is written whole, replaces the old one and leaves nothing beside it")
  func writes() throws {
    try AtomicFile.write(path: "\(folder.path)/file", [1, 2, 3])
    #expect(folder.read("file") == [1, 2, 3])
    try AtomicFile.write(path: "\(folder.path)/file") { write throws(ModelFileError) in
      for piece: [UInt8] in [[4], [], [5, 6]] {
        try piece.withUnsafeBufferPointer { piece throws(ModelFileError) in try write(UnsafeRawBufferPointer(piece)) }
      }
    }
    #expect(folder.read("file") == [4, 5, 6])
    #expect(folder.names == ["file"])
  }

  @Test("A file that only its owner may read")
  func mode() throws {
    try AtomicFile.write(path: "\(folder.path)/token", [1], mode: 0o600)
    var status = stat()
    #expect(stat("\(folder.path)/token", &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
  }

  @Test("A failure half way leaves the old file and no temporary one")
  func failureInBody() throws {
    let path = "\(folder.path)/file"
    try AtomicFile.write(path: path, [1, 2, 3])
    let problem = ModelFileError(path: path, problem: "the source is gone")
    #expect(throws: problem) {
      try AtomicFile.write(path: path) { write throws(ModelFileError) in
        try [UInt8](repeating: 9, count: 100).withUnsafeBufferPointer { piece throws(ModelFileError) in
          try write(UnsafeRawBufferPointer(piece))
        }
        throw problem
      }
    }
    #expect(folder.read("file") == [1, 2, 3])
    #expect(folder.names == ["file"])
  }

  @Test("A target that cannot be replaced is named, and no temporary file is left")
  func rename() throws {
    mkdir("\(folder.path)/taken", 0o755)
    let error = #expect(throws: ModelFileError.self) { try AtomicFile.write(path: "\(folder.path)/taken", [1]) }
    #expect(error?.description == "\(folder.path)/taken: cannot be put in place: Is a directory")
    #expect(folder.names == ["taken"])
  }

  @Test("The system's reason is in the line")
  func reasons() {
    let missing = #expect(throws: ModelFileError.self) { try AtomicFile.write(path: "\(folder.path)/no/file", [1]) }
    #expect(missing?.description == "\(folder.path)/no/file: cannot be written: No such file or directory")
    // Where nobody may write, not even root.
    let denied = #expect(throws: ModelFileError.self) { try AtomicFile.write(path: "/proc/convoy", [1]) }
    #expect(denied?.path == "/proc/convoy")
    #expect(denied?.problem.hasPrefix("cannot be written: ") == true)
  }

  @Test("A disk that fills up leaves the old file, no temporary one, and says so")
  func diskFull() async throws {
    // A limit on the size of files stops a write as a full disk does; in a child, so that no other test meets it.
    await #expect(processExitsWith: .success) {
      let folder = TemporaryFolder()
      let path = "\(folder.path)/file"
      try AtomicFile.write(path: path, [1, 2, 3])
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 10_000, rlim_max: 10_000)
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      let error = #expect(throws: ModelFileError.self) {
        try AtomicFile.write(path: path, [UInt8](repeating: 9, count: 100_000))
      }
      #expect(error?.description == "\(path): cannot be written: File too large")
      #expect(folder.read("file") == [1, 2, 3])
      #expect(folder.names == ["file"])
    }
  }
}

/// A file that is open to be read at places, and is closed with its owner.
struct ReadableFile: ~Copyable {
  let path: String
  /// Its bytes when it was opened.
  let size: Int
  private let files: any FileSystem
  private let file: OpenFile

  init(_ path: String, _ files: any FileSystem) throws(ModelFileError) {
    let file = try files.open(path, for: .reading)
    do throws(ModelFileError) {
      size = try files.size(of: file)
    } catch {
      try? files.close(file)
      throw error
    }
    self.path = path
    self.files = files
    self.file = file
  }

  deinit {
    // Nothing was written: a close that fails loses nothing.
    try? files.close(file)
  }

  func error(_ problem: String, kind: ModelFileError.Kind = .damaged) -> ModelFileError {
    ModelFileError(path: path, problem: problem, kind: kind)
  }

  func read(_ count: Int, at offset: Int) throws(ModelFileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withUnsafeMutableBufferPointer { buffer throws(ModelFileError) in
      try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
    }
    return bytes
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(ModelFileError) {
    try files.read(file, at: offset, into: buffer)
  }
}

import CZlib
import Glibc

/// A file's bytes, inflated where it is gzip, handed over in order.
///
/// The one door to zlib.
struct GzipReader: ~Copyable {
  let path: String
  private let file: gzFile

  /// Opens a file, gzip or plain; the bytes tell.
  init(path: String) throws(DatasetError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw .damaged(file: path, "cannot be opened: \(String(cString: strerror(errno)))")
    }
    guard let file = gzdopen(descriptor, "rb") else {
      close(descriptor)
      throw .damaged(file: path, "zlib has no memory to read it")
    }
    gzbuffer(file, 256 << 10)
    self.path = path
    self.file = file
  }

  deinit {
    gzclose_r(file)
  }

  /// Fills a buffer as far as the file goes; returns the number of bytes.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(DatasetError) -> Int {
    var done = 0
    while done < buffer.count {
      let wanted = UInt32(min(buffer.count - done, 1 << 30))
      let count = gzread(file, buffer.baseAddress! + done, wanted)
      if count < 0 { throw error() }
      if count == 0 { break }
      done += Int(count)
    }
    // A gzip file that is cut short reads as far as it goes; the error is kept until asked for.
    if done < buffer.count {
      var code: Int32 = 0
      _ = gzerror(file, &code)
      if code != Z_OK && code != Z_STREAM_END { throw error() }
    }
    return done
  }

  private func error() -> DatasetError {
    // Taken first: nothing may run between the call that failed and this.
    let number = errno
    var code: Int32 = 0
    let text = gzerror(file, &code).map { String(cString: $0) } ?? ""
    if code == Z_BUF_ERROR { return .damaged(file: path, "the gzip stream is cut short") }
    if code == Z_ERRNO { return .damaged(file: path, "cannot be read: \(String(cString: strerror(number)))") }
    return .damaged(file: path, "the gzip stream is damaged: \(text)")
  }
}

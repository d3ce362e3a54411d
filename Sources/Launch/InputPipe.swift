import Glibc

/// The writing end of a pipe that is one child's standard input. Writing never waits: what does not fit is kept.
final class InputPipe {
  /// The writing end; -1 once closed.
  private(set) var descriptor: Int32
  private var pending: [UInt8] = []

  /// Whether bytes wait for the child to read.
  var isPending: Bool { descriptor >= 0 && !pending.isEmpty }

  /// A pipe with its reading end, which is the caller's to close.
  static func make() throws(SpawnFailure) -> (pipe: InputPipe, reading: Int32) {
    let ends = try ChildProcess.Pipe()
    return (InputPipe(writing: ends.writing), ends.reading)
  }

  private init(writing: Int32) {
    descriptor = writing
    _ = fcntl(writing, F_SETFL, O_NONBLOCK)
  }

  deinit {
    close()
  }

  /// Sends bytes, now or when the child has read what came before them. A child that is gone is no error: its end is
  /// seen elsewhere.
  func send(_ bytes: [UInt8]) {
    guard descriptor >= 0 else { return }
    pending += bytes
    flush()
  }

  /// Writes as much of what waits as fits.
  func flush() {
    while isPending {
      let count = write(descriptor, pending, pending.count)
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN { return }
      guard count > 0 else { return close() }
      pending.removeFirst(count)
    }
  }

  /// Closes the pipe: the child reads its end.
  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
    pending = []
  }
}

import Glibc
import Runtime
import Synchronization

/// Requests to stop, as something that `poll` can wait for.
final class SignalPipe: Sendable {
  /// Readable while there is a request.
  let descriptor: Int32
  private let writing: Int32
  private let requests = Mutex<[StopRequest.Signal]>([])

  init() {
    var ends: [Int32] = [-1, -1]
    let isMade =
      pipe(&ends) == 0
      && ends.allSatisfy {
        fcntl($0, F_SETFD, FD_CLOEXEC) == 0 && fcntl($0, F_SETFL, O_NONBLOCK) == 0
      }
    precondition(isMade, "no pipe can be made")
    descriptor = ends[0]
    writing = ends[1]
  }

  deinit {
    close(descriptor)
    close(writing)
  }

  func put(_ signal: StopRequest.Signal) {
    requests.withLock { $0.append(signal) }
    var byte: UInt8 = 1
    _ = write(writing, &byte, 1)
  }

  func take() -> [StopRequest.Signal] {
    var bytes = [UInt8](repeating: 0, count: 64)
    while read(descriptor, &bytes, bytes.count) > 0 {}
    return requests.withLock { requests in
      defer { requests = [] }
      return requests
    }
  }
}

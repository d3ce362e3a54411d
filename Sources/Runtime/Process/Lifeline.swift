import Foundation
import Glibc

/// The pipe that a launched process has as its standard input: when it closes, the launcher is gone.
///
/// The launcher may write lines to it: see `LauncherWord`. To a process on another host it writes empty ones, beats, so
/// that a network that went away without a word is noticed too.
package enum Lifeline {
  /// The environment's variable that is `1` for a process whose standard input is such a pipe.
  package static let environmentName = "CONVOY_LIFELINE"
  /// Seconds that an orphan has to leave by itself.
  package static let graceSeconds: UInt32 = 2
  /// Seconds between two beats to a process on another host.
  package static let beatSeconds = 5.0
  /// Seconds without a beat after which a process on another host takes its launcher for gone.
  package static let silenceSeconds = 60.0
  /// Bytes of the longest line; what is longer is no word of a launcher, and is left out.
  private static let longestLine = 4096

  /// How the launcher's pipe ended.
  package enum End: Sendable {
    case closed
    /// It is open, but nothing came by it for too long.
    case silent
  }

  /// Watches standard input on a thread; asks to stop when it ends, and ends the process if that takes too long.
  ///
  /// - Parameters:
  ///   - silenceSeconds: seconds without a byte that count as its end; nil for none, where a pipe's end is always seen.
  ///   - line: told of each line that is not empty, without its end, on that thread.
  package static func watch(
    _ stop: StopRequest, silenceSeconds: Double? = nil, line: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    let thread = Thread {
      _ = follow(STDIN_FILENO, silenceMilliseconds: silenceSeconds.map { Int32($0 * 1000) }, line: line)
      stop.request(.orphaned)
      sleep(graceSeconds)
      _exit(ExitCode.failed.rawValue)
    }
    thread.name = "lifeline"
    thread.stackSize = 256 << 10
    thread.start()
  }

  /// Reads lines until the pipe ends, or until nothing has come by it for so many milliseconds.
  package static func follow(
    _ descriptor: Int32, silenceMilliseconds: Int32? = nil, line: (String) -> Void
  ) -> End {
    var partial: [UInt8] = []
    var isTooLong = false
    var buffer = [UInt8](repeating: 0, count: 1024)
    while true {
      var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let ready = poll(&watched, 1, silenceMilliseconds ?? -1)
      if ready == 0 { return .silent }
      if ready < 0, errno == EINTR { continue }
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      guard count > 0 else { return .closed }
      for byte in buffer[..<count] {
        if byte != 0x0A {
          if partial.count < longestLine { partial.append(byte) } else { isTooLong = true }
          continue
        }
        if !partial.isEmpty, !isTooLong { line(String(decoding: partial, as: UTF8.self)) }
        partial.removeAll(keepingCapacity: true)
        isTooLong = false
      }
    }
  }
}

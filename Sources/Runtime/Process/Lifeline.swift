import Foundation
import Glibc

/// The pipe that a launched process has as its standard input: when it closes, the launcher is gone.
package enum Lifeline {
  /// Seconds that an orphan has to leave by itself.
  package static let graceSeconds: UInt32 = 2

  /// Watches standard input on a thread; asks to stop when it closes, and ends the process if that takes too long.
  package static func watch(_ stop: StopRequest) {
    let thread = Thread {
      var byte: UInt8 = 0
      while true {
        let count = read(STDIN_FILENO, &byte, 1)
        if count == 0 || (count < 0 && errno != EINTR) { break }
      }
      stop.request(.orphaned)
      sleep(graceSeconds)
      _exit(ExitCode.failed.rawValue)
    }
    thread.name = "lifeline"
    thread.stackSize = 256 << 10
    thread.start()
  }
}

import Foundation
import Glibc

/// Turns SIGINT and SIGTERM into requests to stop, on a thread that waits for them.
///
/// The signals are blocked in every other thread, so no handler ever interrupts a computation.
package enum SignalThread {
  /// Starts the thread. To be called first in a process, so that every later thread inherits the mask.
  ///
  /// - Parameters:
  ///   - ignoringInterrupts: for a process under a launcher: the terminal sends Ctrl-C to the whole group, and the
  ///     launcher decides.
  ///   - repeated: told of every signal after the first.
  package static func start(
    _ stop: StopRequest, ignoringInterrupts: Bool, repeated: @escaping @Sendable (StopRequest.Signal) -> Void
  ) {
    if ignoringInterrupts { signal(SIGINT, SIG_IGN) }
    // A peer that is gone is an error of the write, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGTERM)
    if !ignoringInterrupts { sigaddset(&signals, SIGINT) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    let mask = signals
    let thread = Thread {
      var mask = mask
      while true {
        var number: Int32 = 0
        guard sigwait(&mask, &number) == 0 else { return }
        let request: StopRequest.Signal = number == SIGINT ? .interrupt : .terminate
        if stop.signal == nil { stop.request(request) } else { repeated(request) }
      }
    }
    thread.name = "signals"
    thread.stackSize = 256 << 10
    thread.start()
  }
}

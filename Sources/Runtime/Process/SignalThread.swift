import Foundation
import Glibc
import Synchronization

/// Turns SIGINT and SIGTERM into requests to stop, on a thread of their own.
///
/// The thread reads a pipe that the signals' handler writes to. The handler may run on any thread: the threads that
/// OpenBLAS makes while the program is loaded have no signal blocked, whatever `main` blocks later, and a signal that
/// is merely waited for would end the process there. The program's own threads block the signals, so that no handler
/// interrupts their calls.
package enum SignalThread {
  /// Where the handler writes; it may use nothing that is not safe in a signal handler.
  private static let pipeEnd = Atomic<Int32>(-1)

  /// Starts the thread. To be called first in a process, and once, so that every later thread inherits the mask.
  ///
  /// - Parameters:
  ///   - ignoringInterrupts: for a process under a launcher: the terminal sends Ctrl-C to the whole group, and the
  ///     launcher decides.
  ///   - repeated: told of every signal after the first.
  package static func start(
    _ stop: StopRequest, ignoringInterrupts: Bool, repeated: @escaping @Sendable (StopRequest.Signal) -> Void
  ) {
    // A peer that is gone is an error of the write, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0, ends.allSatisfy({ fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }) else {
      preconditionFailure("no pipe can be made: \(String(cString: strerror(errno)))")
    }
    // A flood of signals fills the pipe; the handler then lets them go instead of waiting.
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    pipeEnd.store(ends[1], ordering: .sequentiallyConsistent)
    install(SIGTERM)
    if ignoringInterrupts { signal(SIGINT, SIG_IGN) } else { install(SIGINT) }

    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGTERM)
    sigaddset(&signals, SIGINT)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    let mask = signals
    let reading = ends[0]
    let thread = Thread {
      var mask = mask
      pthread_sigmask(SIG_UNBLOCK, &mask, nil)
      var number: UInt8 = 0
      while true {
        let count = read(reading, &number, 1)
        if count < 0, errno == EINTR { continue }
        guard count == 1 else { return }
        let request: StopRequest.Signal = Int32(number) == SIGINT ? .interrupt : .terminate
        if stop.signal == nil { stop.request(request) } else { repeated(request) }
      }
    }
    thread.name = "signals"
    thread.stackSize = 256 << 10
    thread.start()
  }

  private static func install(_ number: Int32) {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { number in
      let saved = errno
      var byte = UInt8(truncatingIfNeeded: number)
      _ = write(SignalThread.pipeEnd.load(ordering: .relaxed), &byte, 1)
      errno = saved
    }
    action.sa_flags = SA_RESTART
    sigaction(number, &action, nil)
  }
}

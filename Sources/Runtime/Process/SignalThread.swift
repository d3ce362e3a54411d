import Foundation
import Glibc
import Observability
import Synchronization

/// Turns SIGINT, SIGTERM and SIGHUP into requests to stop, on a thread of their own.
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
  ///   - underLauncher: whether a launcher decides: the terminal sends Ctrl-C, and its own end, to the whole group.
  ///   - repeated: told of every signal after the first.
  package static func start(
    _ stop: StopRequest, underLauncher: Bool, repeated: @escaping @Sendable (StopRequest.Signal) -> Void
  ) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0, ends.allSatisfy({ fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }) else {
      preconditionFailure("no pipe can be made: \(String(cString: strerror(errno)))")
    }
    // A flood of signals fills the pipe; the handler then lets them go instead of waiting.
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    pipeEnd.store(ends[1], ordering: .sequentiallyConsistent)
    install(SIGTERM)
    for number in [SIGINT, SIGHUP] {
      // `nohup` has the end of the terminal ignored: then it stays so.
      if underLauncher { signal(number, SIG_IGN) } else if number != SIGHUP || !isIgnored(number) { install(number) }
    }

    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, number) }
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
        // Whoever asks a program to stop does not wait for the reader of what it has to say.
        OutputQueue.hurry()
        let request: StopRequest.Signal =
          switch Int32(number) {
          case SIGINT: .interrupt
          case SIGHUP: .hangUp
          default: .terminate
          }
        if stop.signal == nil { stop.request(request) } else { repeated(request) }
      }
    }
    thread.name = "signals"
    thread.stackSize = 256 << 10
    thread.start()
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    sigaction(number, nil, &action)
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: UInt.self)
      == unsafeBitCast(SIG_IGN, to: UInt.self)
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

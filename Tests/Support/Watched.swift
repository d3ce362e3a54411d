import Foundation
package import Glibc

/// A process watched by the kernel's own handle of it: its number cannot be taken for another's.
package final class Watched {
  private let descriptor: Int32

  /// A handle of a process; nil where there is none of this number.
  package init?(_ process: pid_t) {
    // pidfd_open (434 on every architecture): Glibc wraps it only since 2.36, and Swift does not import `syscall`.
    typealias Syscall = @convention(c) (Int, Int, Int) -> Int
    guard let symbol = dlsym(nil, "syscall") else { return nil }
    descriptor = Int32(unsafeBitCast(symbol, to: Syscall.self)(434, Int(process), 0))
    if descriptor < 0 { return nil }
  }

  deinit {
    close(descriptor)
  }

  /// Whether the process ends within so many seconds.
  package func ends(withinSeconds seconds: Int32) -> Bool {
    var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return Glibc.poll(&poll, 1, seconds * 1000) == 1
  }
}

import CZeroMQ
import Glibc

/// An eventfd: any thread signals it, the thread of one hub waits for it. Closed with its last holder.
final class EventDescriptor: Sendable {
  let descriptor: Int32

  init() throws(TransportError) {
    descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    guard descriptor >= 0 else { throw .system("make an eventfd", String(cString: strerror(errno))) }
  }

  deinit {
    close(descriptor)
  }

  /// Makes waiting end, now or the next time.
  func signal() {
    var one: UInt64 = 1
    // It cannot block or fail: only a count near 2⁶⁴ would.
    _ = write(descriptor, &one, 8)
  }

  /// Takes the signals that came; whether there was one.
  func take() -> Bool {
    var count: UInt64 = 0
    return read(descriptor, &count, 8) == 8
  }

  /// Waits for a signal, for at most so many milliseconds; a negative number waits for ever.
  func wait(milliseconds: Int) {
    var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    _ = poll(&item, 1, Int32(clamping: milliseconds))
  }
}

/// The end of a wait, by the clock that does not jump.
struct Deadline {
  private let end: UInt64?

  /// So many milliseconds from now; a negative number is never.
  init(milliseconds: Int) {
    // A year is as good as any longer wait, and its nanoseconds fit.
    end = milliseconds < 0 ? nil : Self.now + UInt64(min(milliseconds, 31_536_000_000)) * 1_000_000
  }

  /// Milliseconds left, rounded up; 0 once it has passed, -1 where it never does.
  var remainingMilliseconds: Int {
    guard let end else { return -1 }
    let now = Self.now
    return now >= end ? 0 : Int((end - now + 999_999) / 1_000_000)
  }

  /// Nanoseconds of the clock.
  static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// Holds a hub to the one thread that uses it first.
struct ThreadOwner {
  private var thread: pthread_t?

  /// Stops the process when another thread comes.
  mutating func check() {
    let current = pthread_self()
    if let thread {
      precondition(pthread_equal(thread, current) != 0, "a hub is used by one thread only")
    } else {
      thread = current
    }
  }
}

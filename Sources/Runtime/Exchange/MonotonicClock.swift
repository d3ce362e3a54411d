import Glibc
package import ParameterServer

/// The clock that deadlines are measured by: it does not jump when the time of day is set.
package enum MonotonicClock {
  /// Milliseconds since an arbitrary zero.
  package static var now: Moment {
    Moment(milliseconds: nanoseconds / 1_000_000)
  }

  /// Seconds since an arbitrary zero.
  package static var seconds: Double { Double(nanoseconds) * 1e-9 }

  private static var nanoseconds: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

import Glibc

/// How many descriptors the process may have open.
package enum DescriptorLimit {
  /// More than any job needs; some systems allow a billion.
  private static let enough: rlim_t = 65_536

  /// Raises the limit that programs begin with, which is low for the sake of old programs, as far as the system allows.
  /// Only for processes that start no others, which might take a table of that size for granted.
  package static func raise() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < enough else { return }
    limit.rlim_cur = min(limit.rlim_max, enough)
    // Where it is refused, what there is has to do.
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}

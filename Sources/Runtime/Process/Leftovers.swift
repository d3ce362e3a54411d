import Glibc
import Synchronization

/// Files that this process has made and that must not outlive it: sockets, and what says where they are. Whoever removes
/// them in the ordinary course says so; an end that is not ordinary removes what is left.
package enum Leftovers {
  private static let paths = Mutex<[String]>([])

  /// A file was made.
  package static func add(_ path: String) {
    paths.withLock { $0.append(path) }
  }

  /// A file is another's business from now on, or gone.
  package static func forget(_ path: String) {
    paths.withLock { paths in paths.removeAll { $0 == path } }
  }

  /// Removes all of them; from any thread, right before the process ends.
  package static func removeAll() {
    for path in paths.withLock({ $0 }) { unlink(path) }
  }
}

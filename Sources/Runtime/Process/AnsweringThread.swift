import Glibc

/// Which threads have to answer: those that run the loop of a coordinator, a server or a worker.
///
/// A member whose loop is busy for longer than the others wait is taken for dead. What may take long asks here that it
/// is elsewhere, so that a call in the wrong place ends the first test that makes it, on however fast a machine.
package enum AnsweringThread {
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    let result = pthread_key_create(&key, nil)
    precondition(result == 0, "no key for a thread's own data: \(String(cString: strerror(result)))")
    return key
  }()

  /// Whether the calling thread has to answer.
  package static var isCurrent: Bool { pthread_getspecific(key) != nil }

  /// Does something for as long as which the calling thread has to answer.
  package static func run<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let before = pthread_getspecific(key)
    // Any address but nil: only whether there is one counts.
    pthread_setspecific(key, UnsafeRawPointer(bitPattern: 1))
    defer { pthread_setspecific(key, before) }
    return try body()
  }

  /// Asks that the calling thread need not answer, as what follows may take long.
  package static func requireOther(_ work: String) {
    precondition(!isCurrent, "\(work): on a thread that has to answer")
  }
}

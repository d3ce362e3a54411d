/// How often a process that ends unexpectedly is started again, and after which wait.
package struct RestartPolicy: Hashable, Sendable {
  /// Most restarts of each process in the whole job.
  package var budget: Int
  /// Seconds before the first restart; each further wait is twice the one before it.
  package var firstWait: Double
  /// Seconds that no wait exceeds.
  package var longestWait: Double

  /// Seconds of life after which a process counts as well again: its next wait is the first one.
  package static let healthySeconds = 30.0

  /// A policy as stated; by default ten restarts, waiting 0.2 s, 0.4 s, and so on to 10 s.
  package init(budget: Int = 10, firstWait: Double = 0.2, longestWait: Double = 10) {
    self.budget = budget
    self.firstWait = firstWait
    self.longestWait = longestWait
  }
}

/// The restarts of one process so far.
package struct RestartRecord {
  /// Restarts that were granted.
  package private(set) var count = 0
  private var wait: Double?

  /// No restart yet.
  package init() {}

  /// Grants a restart to a process that lived so many seconds: the seconds to wait first. Nil when none is left.
  package mutating func grant(_ policy: RestartPolicy, lived seconds: Double) -> Double? {
    guard count < policy.budget else { return nil }
    count += 1
    let next: Double
    if let wait, seconds < RestartPolicy.healthySeconds { next = 2 * wait } else { next = policy.firstWait }
    let granted = min(next, policy.longestWait)
    wait = granted
    return granted
  }
}

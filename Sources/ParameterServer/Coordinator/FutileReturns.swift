/// How often a job went back to its checkpoint, or to its beginning, and made no step before it had to go back again.
///
/// What takes a server away each time takes it away the next time too: a job that only goes back says so and ends.
struct FutileReturns: Sendable {
  /// Returns in a row after which the job ends.
  static let maximum = 5

  /// Returns since the last step.
  private(set) var count = 0
  /// What took away the newest chunks that were lost.
  private(set) var cause = ""

  /// A step was made.
  mutating func stepped() { count = 0 }

  /// Somebody who did not reach somebody else stands by: the next try is another one. It happens to each member a few
  /// times at most.
  mutating func regrouped() { count = 0 }

  /// Something takes members, or chunks, away.
  mutating func note(_ cause: String) { self.cause = cause }

  /// The job has to go back: why it does not, where it has done so often enough.
  mutating func goBack() -> String? {
    count += 1
    guard count >= Self.maximum else { return nil }
    return
      "the job had to go back \(count) times, and made no step in between; at last \(cause). A member that is silent while its machine is overloaded or stopped is taken for dead: run fewer processes on it, give it more processors or memory, or look into the member's log"
  }
}

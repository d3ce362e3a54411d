/// What must hold in every run, whatever fails.
public enum Invariant: String, Hashable, Sendable, Codable, CaseIterable {
  /// An acknowledged push is applied exactly once, an unacknowledged one at most once.
  case exactlyOnce
  /// Versions rise by one for each update; no worker sees one fall within a view.
  case versionsRise
  /// Each synchronous step applies exactly its shards; all read the same bytes; all is equal to the sequential run.
  case synchronousSteps
  /// Nobody computes further ahead than the slack of `ssp` allows.
  case boundedSpread
  /// Parameters are the fold of the log of updates, and the recorded staleness is true.
  case foldOfLog
  /// A checkpoint is one cut through all chunks.
  case consistentCut
  /// What was published survives the crash of any one server that has a replica.
  case survivesCrash
  /// A coordinator that starts again finds its newest complete checkpoint.
  case completeCheckpoint
  /// Each sample is used once in an epoch.
  case samplesOnce
  /// A chunk has at most one writer in a view.
  case singleWriter
  /// After the last fault the job ends within a bounded time, and no queue passes its bound.
  case progress
  /// The same seed gives the same trace.
  case determinism
  /// The machines keep their contract: they use what they hold, and do nothing after their end.
  case contract
}

/// Something that must not be.
public struct Violation: Hashable, Sendable, Codable, CustomStringConvertible {
  /// What was broken.
  public let invariant: Invariant
  /// Microseconds of virtual time.
  public let at: UInt64
  /// One line for a person.
  public let text: String

  /// One line for a person, with the invariant's name.
  public var description: String { "\(invariant.rawValue) at \(at / 1000) ms: \(text)" }
}

/// The violations of a run: the first few, since one brings many.
struct Violations {
  private(set) var all: [Violation] = []
  var now: UInt64 = 0
  private static let most = 20

  mutating func add(_ invariant: Invariant, _ text: @autoclosure () -> String) {
    guard all.count < Self.most else { return }
    all.append(Violation(invariant: invariant, at: now, text: text()))
  }
}

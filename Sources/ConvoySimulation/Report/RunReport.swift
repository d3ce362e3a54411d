/// What came of one run.
public struct RunReport: Hashable, Sendable, Codable {
  /// The seed.
  public let seed: UInt64
  /// The hash over all that happened.
  public let hash: String
  /// What must not be, in the order of its discovery; empty where all is well.
  public let violations: [Violation]
  /// Whether the job was completed.
  public let isCompleted: Bool
  /// Steps that are closed.
  public let steps: Int
  /// Virtual microseconds.
  public let simulatedTime: UInt64
  /// Things that happened.
  public let eventCount: UInt64
  /// How often faults, rare branches and other events occurred.
  public let coverage: Coverage
  /// The faults that were planned.
  public let faults: [Fault]
  /// A line for everything that happened, where it was asked for.
  public let trace: [String]
}

import ParameterServer

/// How late what was pushed came: for each push of a chunk that was applied one by one, the number of updates that the
/// chunk had seen since the gradient's parameters were read.
public struct StalenessSummary: Codable, Hashable, Sendable {
  /// Number of pushes, all servers together.
  public var pushes: UInt64
  /// The mean staleness.
  public var mean: Double
  /// The largest.
  public var max: UInt64
  /// Pushes by staleness, from 0; the last of 65 counts all from 64 on.
  public var histogram: [UInt64]

  /// What was counted; nil where nothing was.
  init?(_ counts: StalenessCounts) {
    guard counts.count > 0 else { return nil }
    (pushes, mean, max, histogram) = (counts.count, counts.mean, counts.largest, counts.bins)
  }
}

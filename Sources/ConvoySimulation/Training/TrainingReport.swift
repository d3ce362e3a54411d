import Runtime

/// What came of a simulated job of a real network.
public struct TrainingReport: Hashable, Sendable, Codable {
  /// The loss where a step is applied.
  public struct Point: Hashable, Sendable, Codable {
    /// Steps applied, this one included.
    public let step: Int
    /// Mean loss over the samples, as they were computed.
    public let loss: Double
    /// Samples.
    public let samples: Int
  }

  /// The run: its violations, its trace's hash, how often what happened.
  public let run: RunReport
  /// The loss by applied step.
  public let curve: [Point]
  /// By staleness, how many updates had it, all chunks together; empty where steps are summed.
  public let staleness: [Int]
  /// Samples applied.
  public let samples: Int
  /// Microseconds of virtual time from the first order to the last update.
  public let trainingTime: UInt64
  /// Number of parameters.
  public let parameters: Int
  /// SHA-256 over the final parameters, as `convoy train` states it; nil where the job was not completed.
  public let parametersSHA256: String?
  /// SHA-256 over the final buffers, likewise.
  public let buffersSHA256: String?
  /// Share of the test set that the model names right; nil where it was not evaluated.
  public let testAccuracy: Double?
  /// Mean loss over the test set, likewise.
  public let testLoss: Double?

  /// Samples applied in a second of virtual time.
  public var imagesPerSecond: Double { trainingTime == 0 ? 0 : Double(samples) / Double(trainingTime) * 1e6 }

  /// The curve as so many points at most, each the mean of its steps.
  public func curve(points: Int) -> [Point] {
    guard points > 0, curve.count > points else { return curve }
    return (0..<points).map { index in
      let part = curve[curve.count * index / points..<curve.count * (index + 1) / points]
      let samples = part.reduce(0) { $0 + $1.samples }
      let loss = part.reduce(0) { $0 + $1.loss * Double($1.samples) }
      return Point(step: part.last?.step ?? 0, loss: loss / Double(max(samples, 1)), samples: samples)
    }
  }
}

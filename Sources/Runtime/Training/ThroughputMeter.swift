package import ParameterServer

/// Images a second, of the whole job and of the newest stretch.
package struct ThroughputMeter: Sendable {
  /// What the newest stretch showed.
  package struct Recent: Sendable {
    /// Mean loss over its samples.
    package let loss: Double
    /// Samples computed in a second.
    package let imagesPerSecond: Double
  }

  private var begunAt: Double?
  private var samplesBefore: UInt64 = 0
  private var endedAt: Double?
  private var updatedAt: Double?
  private var newest = Recent(loss: .nan, imagesPerSecond: 0)

  /// A meter that has not begun.
  package init() {}

  /// Whether training has begun.
  package var hasBegun: Bool { begunAt != nil }
  /// Whether the last update was made.
  package var hasEnded: Bool { endedAt != nil }

  /// Training begins, or goes on after so many samples that are not measured.
  package mutating func begin(at seconds: Double, samples: UInt64 = 0) {
    begunAt = seconds
    samplesBefore = samples
    updatedAt = seconds
  }

  /// The last update was made.
  package mutating func end(at seconds: Double) {
    endedAt = seconds
  }

  /// The stretch from an earlier report to this one, with the whole job's rate once it has ended; the stretch before
  /// where this one has no sample.
  package mutating func update(_ progress: JobProgress, at seconds: Double, since earlier: JobProgress?) -> Recent {
    let samples = progress.samples - min(progress.samples, earlier?.samples ?? 0)
    guard samples > 0, let updatedAt, seconds > updatedAt else { return newest }
    newest = Recent(
      loss: Self.meanLoss(progress, since: earlier),
      // The end brings the reports that lay waiting, so that its stretch tells nothing of the rate.
      imagesPerSecond: endedAt == nil ? Double(samples) / (seconds - updatedAt) : total(samples: progress.samples))
    self.updatedAt = seconds
    return newest
  }

  /// Mean loss of the samples between two reports; no number where there is none.
  package static func meanLoss(_ progress: JobProgress, since earlier: JobProgress?) -> Double {
    func sum(_ progress: JobProgress?) -> Double { progress?.epochs.reduce(0) { $0 + $1.lossSum } ?? 0 }
    guard progress.samples > earlier?.samples ?? 0 else { return .nan }
    return (sum(progress) - sum(earlier)) / Double(progress.samples - (earlier?.samples ?? 0))
  }

  /// Images a second from the first step's start to the last update.
  package func total(samples: UInt64) -> Double {
    guard let begunAt, let endedAt, endedAt > begunAt else { return 0 }
    return Double(samples - min(samples, samplesBefore)) / (endedAt - begunAt)
  }
}

extension Double {
  /// Rounded to so many decimal places, for logs.
  package func rounded(toPlaces places: Int) -> Double {
    var factor = 1.0
    for _ in 0..<places { factor *= 10 }
    return (self * factor).rounded() / factor
  }
}

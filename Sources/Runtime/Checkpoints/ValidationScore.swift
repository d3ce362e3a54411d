package import ModelFiles

/// How good a checkpoint is on the samples that were held out, as its manifest has it.
package struct ValidationScore: Hashable, Sendable {
  /// The checkpoint's step.
  package let step: Int
  /// Share of the samples that it names right.
  package let accuracy: Double
  /// Mean loss over them.
  package let loss: Double

  static let accuracyName = "validation_accuracy"
  static let lossName = "validation_loss"
  static let samplesName = "validation_samples"
  static let seedName = "validation_seed"

  /// What an evaluation of a checkpoint gave.
  package init(step: Int, _ evaluation: Evaluation) {
    self.init(step: step, accuracy: evaluation.accuracy, loss: evaluation.loss)
  }

  /// A score as stated.
  package init(step: Int, accuracy: Double, loss: Double) {
    self.step = step
    self.accuracy = accuracy
    self.loss = loss
  }

  /// The score in a checkpoint's manifest; nil where it has none, or is not good.
  package init?(_ entry: CheckpointStore.Entry) {
    guard entry.state == .good, let accuracy = entry.metadata[Self.accuracyName].flatMap({ Double($0) }),
      let loss = entry.metadata[Self.lossName].flatMap({ Double($0) })
    else { return nil }
    self.init(step: entry.step, accuracy: accuracy, loss: loss)
  }

  /// What goes to the manifest.
  var metadata: [String: String] { [Self.accuracyName: "\(accuracy)", Self.lossName: "\(loss)"] }

  /// Whether this one is to be preferred: by accuracy, then by loss, then for being earlier.
  func isBetter(than other: ValidationScore) -> Bool {
    if accuracy != other.accuracy { return accuracy > other.accuracy }
    // A loss that is no number is the worst.
    let losses = [loss, other.loss].map { $0.isNaN ? .infinity : $0 }
    return losses[0] != losses[1] ? losses[0] < losses[1] : step < other.step
  }

  /// The best of some; nil of none.
  package static func best(_ scores: [ValidationScore]) -> ValidationScore? {
    scores.reduce(nil) { best, score in best.map { score.isBetter(than: $0) ? score : $0 } ?? score }
  }
}

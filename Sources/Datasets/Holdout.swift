/// Which samples of a training set are held out of training, to choose the best checkpoint by.
///
/// They are the first of a permutation that follows from the seed: no table, the same everywhere. What is trained on is
/// the rest of the permutation, in an order of its own for each epoch (`SampleOrder`).
public struct Holdout: Hashable, Sendable {
  /// Number of samples that are held out.
  public let count: Int
  /// Number of samples that are left to train on.
  public let trainingCount: Int

  private let permutation: SampleOrder

  /// Holds so many samples of a training set out.
  ///
  /// - Precondition: at least one is left to train on.
  public init(samples: Int, count: Int, seed: UInt64) {
    precondition(count >= 0 && count < samples, "\(count) of \(samples) samples held out")
    self.count = count
    trainingCount = samples - count
    permutation = SampleOrder(count: samples, seed: seed, purpose: SampleOrder.holdoutPurpose)
  }

  /// The data set's sample of a number, of those that are held out.
  public func heldOut(_ number: Int) -> Int {
    precondition(number >= 0 && number < count, "sample \(number) of \(count) that are held out")
    return permutation.sample(at: number, epoch: 0)
  }

  /// The data set's sample of a number, of those that are trained on; the number itself where nothing is held out.
  public func training(_ number: Int) -> Int {
    precondition(number >= 0 && number < trainingCount, "sample \(number) of \(trainingCount) that are trained on")
    return count == 0 ? number : permutation.sample(at: count + number, epoch: 0)
  }
}

/// Which samples of a data set a reader reads.
public enum DatasetPart: Hashable, Sendable {
  /// All.
  case all
  /// Those that are trained on.
  case training(Holdout)
  /// Those that are held out of training.
  case heldOut(Holdout)

  /// The data set's sample of a number in the part.
  func sample(_ number: Int) -> Int {
    switch self {
    case .all: number
    case .training(let holdout): holdout.training(number)
    case .heldOut(let holdout): holdout.heldOut(number)
    }
  }
}

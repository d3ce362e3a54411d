/// How servers turn gradients into new parameters: a value of settings; what it remembers lies in state vectors.
///
/// Formulas and defaults are PyTorch's (`torch.optim`); each case's type states its own and the paper. All work element
/// by element and without fused operations: the same bits on every instruction set, whatever the chunks. `LARS` is not
/// among them, as its update needs norms over whole tensors.
public enum Optimizer: Hashable, Sendable {
  /// Stochastic gradient descent, with momentum or not.
  case sgd(SGD)
  /// Steps divided by the root of the sum of all squared gradients.
  case adagrad(Adagrad)
  /// Steps sized by a running mean of earlier steps.
  case adadelta(Adadelta)
  /// Steps divided by the root of a running mean of squared gradients.
  case rmsProp(RMSProp)
  /// Running means of gradients and of their squares, corrected for their start at 0.
  case adam(Adam)
  /// Adam with weight decay apart from the gradient.
  case adamW(AdamW)

  /// A vector of the optimiser's state, as long as the parameters.
  public struct StateVector: Hashable, Sendable {
    /// PyTorch's name of it, as in `exp_avg`.
    public let name: String
    /// What every element is before the first update.
    public let initialValue: Float
  }

  /// The state vectors that an update reads and writes, in the order in which they are handed over.
  public var stateVectors: [StateVector] {
    switch self {
    case .sgd(let sgd): sgd.momentum == 0 ? [] : [StateVector(name: "momentum_buffer", initialValue: 0)]
    case .adagrad(let adagrad): [StateVector(name: "sum", initialValue: Float(adagrad.initialSquares))]
    case .adadelta:
      [StateVector(name: "square_avg", initialValue: 0), StateVector(name: "acc_delta", initialValue: 0)]
    case .rmsProp(let rmsProp):
      [StateVector(name: "square_avg", initialValue: 0)]
        + (rmsProp.momentum == 0 ? [] : [StateVector(name: "momentum_buffer", initialValue: 0)])
    case .adam, .adamW:
      [StateVector(name: "exp_avg", initialValue: 0), StateVector(name: "exp_avg_sq", initialValue: 0)]
    }
  }

  /// State for `count` parameters, before the first update. Cost: an allocation and a fill for each vector.
  public func makeState(count: Int) -> [FlatVector] {
    stateVectors.map { vector in
      let values = FlatVector(count: count)
      if vector.initialValue != 0 { values.pointer.update(repeating: vector.initialValue, count: count) }
      return values
    }
  }

  /// Makes an update of a range of the parameters, in place, in one pass.
  ///
  /// - Parameters:
  ///   - gradient: a sum over samples, as long as the parameters.
  ///   - scale: what the sum is multiplied by: one over the number of samples.
  ///   - update: number of this update, from 1: Adam's correction follows from it.
  ///   - state: the vectors that `makeState(count:)` gave, as long as the parameters.
  /// - Precondition: the range lies in every vector, and `update` is at least 1.
  public func apply(
    gradient: FlatVector, scale: Float, learningRate: Float, update: Int, parameters: FlatVector, state: [FlatVector],
    range: Range<Int>
  ) {
    let smallest = min(gradient.count, parameters.count)
    precondition(range.lowerBound >= 0 && range.upperBound <= smallest, "\(range) of vectors of \(smallest)")
    let first = range.lowerBound
    apply(
      gradient: gradient.pointer + first, scale: scale, learningRate: learningRate, update: update,
      from: UnsafePointer(parameters.pointer + first), to: parameters.pointer + first, state: state, stateRange: range)
  }

  /// Makes an update: parameters `from` become `to`, which may be the same.
  ///
  /// - Parameters:
  ///   - gradient: as many fp32 values as the range, at any address: a sum.
  ///   - stateRange: the state's elements that belong to these parameters.
  package func apply(
    gradient: UnsafeRawPointer, scale: Float, learningRate: Float, update: Int, from: UnsafePointer<Float>,
    to: UnsafeMutablePointer<Float>, state: [FlatVector], stateRange: Range<Int>
  ) {
    precondition(update >= 1, "updates are counted from 1, not \(update)")
    let needed = stateVectors.count
    precondition(state.count == needed, "\(state.count) state vectors, not \(needed)")
    precondition(stateRange.lowerBound >= 0, "a state from \(stateRange.lowerBound)")
    for vector in state { precondition(stateRange.upperBound <= vector.count, "\(stateRange) of \(vector.count)") }
    let values = OptimizerInput(
      gradient: gradient.assumingMemoryBound(to: Float.self), scale: scale, rate: learningRate, from: from, to: to,
      count: stateRange.count)
    func vector(_ index: Int) -> UnsafeMutablePointer<Float> { state[index].pointer + stateRange.lowerBound }
    switch self {
    case .sgd(let sgd):
      sgd.apply(
        gradient: gradient, scale: scale, learningRate: learningRate, from: from, to: to,
        velocity: needed == 0 ? nil : vector(0), count: stateRange.count)
    case .adagrad(let adagrad): adagrad.apply(values, squares: vector(0))
    case .adadelta(let adadelta): adadelta.apply(values, squares: vector(0), updates: vector(1))
    case .rmsProp(let rmsProp): rmsProp.apply(values, squares: vector(0), velocity: needed == 1 ? nil : vector(1))
    case .adam(let adam): adam.apply(values, update: update, mean: vector(0), squares: vector(1))
    case .adamW(let adamW): adamW.apply(values, update: update, mean: vector(0), squares: vector(1))
    }
  }
}

/// What every optimiser's kernel reads and writes beside its state.
struct OptimizerInput {
  let gradient: UnsafePointer<Float>
  let scale: Float
  let rate: Float
  let from: UnsafePointer<Float>
  let to: UnsafeMutablePointer<Float>
  let count: Int
}

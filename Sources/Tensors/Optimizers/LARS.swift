import CKernels

/// Layer-wise adaptive rate scaling: SGD with momentum whose gradient is scaled, tensor by tensor, by a trust ratio.
///
/// `ratio = η·‖w‖ / (‖g‖ + decay·‖w‖ + ε)`, `v = momentum·v + ratio·(g + decay·w)`, `w = w − rate·v`, with g the scaled
/// gradient. You, Gitman and Ginsburg, "Large batch training of convolutional networks" (2017), algorithm 1, with the
/// rate outside of the velocity as in `SGD`: the same while the rate stays. The norms need every element of a tensor, so
/// this is no `Optimizer` that a server could run on its chunks alone.
public struct LARS: Hashable, Sendable {
  /// η: how far a tensor may move, as a share of its norm, at a learning rate of 1.
  public let trustCoefficient: Double
  /// Share of the velocity that stays.
  public let momentum: Double
  /// What is added to the gradient for each unit of weight (L2).
  public let weightDecay: Double
  /// ε: what keeps the divisor from 0.
  public let epsilon: Double
  /// Whether tensors of one dimension (biases, a normalisation's scales) keep a ratio of 1, as is usual.
  public let exemptsVectors: Bool

  /// An optimiser of these settings.
  public init(
    trustCoefficient: Double = 0.001, momentum: Double = 0.9, weightDecay: Double = 0, epsilon: Double = 1e-8,
    exemptsVectors: Bool = true
  ) {
    self.trustCoefficient = trustCoefficient
    self.momentum = momentum
    self.weightDecay = weightDecay
    self.epsilon = epsilon
    self.exemptsVectors = exemptsVectors
  }

  /// A tensor's trust ratio; 1 where a norm is 0 or no number, so that such a tensor follows plain SGD.
  public func trustRatio(parameterNorm: Double, gradientNorm: Double) -> Float {
    let divisor = gradientNorm + weightDecay * parameterNorm + epsilon
    guard parameterNorm > 0, gradientNorm > 0, divisor.isFinite, parameterNorm.isFinite else { return 1 }
    return Float(trustCoefficient * parameterNorm / divisor)
  }

  /// The trust ratio of each tensor of a layout.
  ///
  /// - Parameters:
  ///   - parameters: the flat vector of the layout.
  ///   - gradient: its gradient, a sum over samples.
  ///   - scale: what the sum is multiplied by: one over the number of samples.
  /// - Returns: one ratio for each of the layout's entries. Cost: both vectors are read once.
  public func trustRatios(
    layout: ParameterLayout, parameters: FlatVector, gradient: FlatVector, scale: Float
  ) -> [Float] {
    let blocks = NormBlocks(layout)
    let parameterNorms = blocks.tensorNorms(of: parameters)
    let gradientNorms = blocks.tensorNorms(of: gradient)
    return layout.entries.indices.map { index in
      if exemptsVectors, layout.entries[index].shape.rank <= 1 { return 1 }
      return trustRatio(
        parameterNorm: parameterNorms[index], gradientNorm: gradientNorms[index] * Double(scale.magnitude))
    }
  }

  /// Makes an update of a range of the parameters, in place: each tensor's part of it with the tensor's ratio.
  ///
  /// - Parameters:
  ///   - ratios: one for each entry of the layout, from before the update.
  ///   - velocity: zeros before the first update.
  /// - Precondition: the vectors are as long as the layout, and the range lies in it.
  public func apply(
    gradient: FlatVector, scale: Float, learningRate: Float, layout: ParameterLayout, ratios: [Float],
    parameters: FlatVector, velocity: FlatVector, range: Range<Int>
  ) {
    precondition(ratios.count == layout.entries.count, "\(ratios.count) ratios for \(layout.entries.count) tensors")
    for vector in [gradient, parameters, velocity] {
      precondition(vector.count == layout.count, "a vector of \(vector.count) for a layout of \(layout.count)")
    }
    precondition(range.lowerBound >= 0 && range.upperBound <= layout.count, "\(range) of a layout of \(layout.count)")
    for (entry, ratio) in zip(layout.entries, ratios) {
      let part = entry.range.clamped(to: range)
      let first = part.lowerBound
      guard !part.isEmpty else { continue }
      convoy_lars_f32(
        gradient.pointer + first, scale, learningRate, Float(momentum), Float(weightDecay), ratio,
        parameters.pointer + first, parameters.pointer + first, velocity.pointer + first, part.count)
    }
  }
}

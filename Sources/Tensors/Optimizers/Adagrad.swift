import CKernels

/// Adagrad: `h = h + g²`, `w = w − rate·g / (√h + ε)`, with g the gradient plus decay·w.
///
/// Duchi, Hazan and Singer, "Adaptive subgradient methods" (2011); ε outside of the root, as PyTorch has it. PyTorch's
/// decay of the rate is the schedule's business here.
public struct Adagrad: Hashable, Sendable {
  /// ε: what keeps the divisor from 0.
  public let epsilon: Double
  /// What h is before the first update.
  public let initialSquares: Double
  /// What is added to the gradient for each unit of weight (L2).
  public let weightDecay: Double

  /// An optimiser of these settings; the defaults are PyTorch's.
  public init(epsilon: Double = 1e-10, initialSquares: Double = 0, weightDecay: Double = 0) {
    self.epsilon = epsilon
    self.initialSquares = initialSquares
    self.weightDecay = weightDecay
  }

  func apply(_ input: OptimizerInput, squares: UnsafeMutablePointer<Float>) {
    convoy_adagrad_f32(
      input.gradient, input.scale, input.rate, Float(weightDecay), Float(epsilon), input.from, input.to, squares,
      input.count)
  }
}

import CKernels

/// RMSProp: `s = ρ·s + (1 − ρ)·g²`, `d = g / (√s + ε)`, `w = w − rate·d`, with g the gradient plus decay·w.
///
/// Tieleman and Hinton, lecture 6e of "Neural networks for machine learning" (2012); ε outside of the root, as PyTorch
/// has it, whose `alpha` is ρ. With momentum `v = momentum·v + d` and `w = w − rate·v`. Not centred.
public struct RMSProp: Hashable, Sendable {
  /// ρ: share of the running mean that stays.
  public let rho: Double
  /// ε: what keeps the divisor from 0.
  public let epsilon: Double
  /// Share of the velocity that stays; 0 for none.
  public let momentum: Double
  /// What is added to the gradient for each unit of weight (L2).
  public let weightDecay: Double

  /// An optimiser of these settings; the defaults are PyTorch's.
  public init(rho: Double = 0.99, epsilon: Double = 1e-8, momentum: Double = 0, weightDecay: Double = 0) {
    self.rho = rho
    self.epsilon = epsilon
    self.momentum = momentum
    self.weightDecay = weightDecay
  }

  func apply(
    _ input: OptimizerInput, squares: UnsafeMutablePointer<Float>, velocity: UnsafeMutablePointer<Float>?
  ) {
    convoy_rmsprop_f32(
      input.gradient, input.scale, input.rate, Float(weightDecay), Float(rho), Float(1 - rho), Float(epsilon),
      Float(momentum), input.from, input.to, squares, velocity, input.count)
  }
}

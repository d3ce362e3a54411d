import CKernels

/// Adadelta: `s = ρ·s + (1 − ρ)·g²`, `d = √(u + ε) / √(s + ε) · g`, `u = ρ·u + (1 − ρ)·d²`, `w = w − rate·d`, with g the
/// gradient plus decay·w.
///
/// Zeiler, "ADADELTA: an adaptive learning rate method" (2012); the paper's learning rate is 1.
public struct Adadelta: Hashable, Sendable {
  /// ρ: share of the running means that stays.
  public let rho: Double
  /// ε, inside of the roots: it also decides how large the first steps are.
  public let epsilon: Double
  /// What is added to the gradient for each unit of weight (L2).
  public let weightDecay: Double

  /// An optimiser of these settings; the defaults are PyTorch's.
  public init(rho: Double = 0.9, epsilon: Double = 1e-6, weightDecay: Double = 0) {
    self.rho = rho
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }

  func apply(
    _ input: OptimizerInput, squares: UnsafeMutablePointer<Float>, updates: UnsafeMutablePointer<Float>
  ) {
    convoy_adadelta_f32(
      input.gradient, input.scale, input.rate, Float(weightDecay), Float(rho), Float(1 - rho), Float(epsilon),
      input.from, input.to, squares, updates, input.count)
  }
}

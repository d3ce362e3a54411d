import CKernels
import Glibc

/// Adam: `m = m + (1 − β₁)·(g − m)`, `v = β₂·v + (1 − β₂)·g²`,
/// `w = w − rate / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)`, with g the gradient plus decay·w and t the update's number.
///
/// Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1; ε as in PyTorch, after the
/// correction. The corrections are computed in double precision and rounded once.
public struct Adam: Hashable, Sendable {
  /// β₁: share of the gradients' running mean that stays.
  public let beta1: Double
  /// β₂: share of the squares' running mean that stays.
  public let beta2: Double
  /// ε: what keeps the divisor from 0.
  public let epsilon: Double
  /// What is added to the gradient for each unit of weight (L2).
  public let weightDecay: Double

  /// An optimiser of these settings; the defaults are PyTorch's.
  public init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }

  func apply(
    _ input: OptimizerInput, update: Int, mean: UnsafeMutablePointer<Float>, squares: UnsafeMutablePointer<Float>
  ) {
    var step = convoy_adam_step(
      beta1: beta1, beta2: beta2, epsilon: epsilon, learningRate: input.rate, update: update)
    convoy_adam_f32(
      input.gradient, input.scale, &step, Float(weightDecay), input.from, input.to, mean, squares, input.count)
  }
}

/// AdamW: Adam's step from `w · (1 − rate·decay)`, with a gradient that knows nothing of the decay.
///
/// Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), algorithm 2, with the decay multiplied by the
/// learning rate as PyTorch has it. The correction is `Adam`'s.
public struct AdamW: Hashable, Sendable {
  /// β₁: share of the gradients' running mean that stays.
  public let beta1: Double
  /// β₂: share of the squares' running mean that stays.
  public let beta2: Double
  /// ε: what keeps the divisor from 0.
  public let epsilon: Double
  /// Share of a weight that is taken away in an update, for each unit of the learning rate.
  public let weightDecay: Double

  /// An optimiser of these settings; the defaults are PyTorch's.
  public init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0.01) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }

  func apply(
    _ input: OptimizerInput, update: Int, mean: UnsafeMutablePointer<Float>, squares: UnsafeMutablePointer<Float>
  ) {
    var step = convoy_adam_step(
      beta1: beta1, beta2: beta2, epsilon: epsilon, learningRate: input.rate, update: update)
    convoy_adamw_f32(
      input.gradient, input.scale, &step, Float(1 - Double(input.rate) * weightDecay), input.from, input.to, mean,
      squares, input.count)
  }
}

extension convoy_adam_step {
  /// What update number `update` of Adam needs: 1 − β is taken before rounding, as 1 − 0.999 in fp32 has lost a digit.
  fileprivate init(beta1: Double, beta2: Double, epsilon: Double, learningRate: Float, update: Int) {
    let correction1 = 1 - pow(beta1, Double(update))
    let correction2 = 1 - pow(beta2, Double(update))
    self.init(
      rest1: Float(1 - beta1), beta2: Float(beta2), rest2: Float(1 - beta2),
      rate: Float(Double(learningRate) / correction1), root_correction: Float(1 / correction2.squareRoot()),
      epsilon: Float(epsilon))
  }
}

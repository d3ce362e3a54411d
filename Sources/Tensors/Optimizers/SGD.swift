import CKernels

/// Stochastic gradient descent with momentum, Nesterov's or not, and weight decay added to the gradient.
///
/// PyTorch's convention: `v = momentum·v + (g + decay·w)`, `w = w − rate·v` (Nesterov: `w − rate·(g + momentum·v)`).
/// Element by element and without fused operations: the same bits on every instruction set, whatever the chunks.
public struct SGD: Hashable, Sendable {
  /// Share of the velocity that stays; 0 for none.
  public let momentum: Float
  /// Whether the step looks ahead (Nesterov's momentum).
  public let nesterov: Bool
  /// What is added to the gradient for each unit of weight (L2).
  public let weightDecay: Float

  /// An optimiser of these settings.
  public init(momentum: Float, nesterov: Bool = false, weightDecay: Float = 0) {
    self.momentum = momentum
    self.nesterov = nesterov
    self.weightDecay = weightDecay
  }

  /// Makes an update: parameters `from` become `to`, which may be the same.
  ///
  /// - Parameters:
  ///   - gradient: `count` fp32 values at any address: a sum.
  ///   - scale: what the sum is multiplied by: one over the number of samples.
  ///   - velocity: the optimiser's state, zeros at first; nil where momentum is 0.
  package func apply(
    gradient: UnsafeRawPointer, scale: Float, learningRate: Float, from: UnsafePointer<Float>,
    to: UnsafeMutablePointer<Float>, velocity: UnsafeMutablePointer<Float>?, count: Int
  ) {
    precondition(momentum == 0 || velocity != nil, "momentum needs a velocity")
    convoy_sgd_f32(
      gradient.assumingMemoryBound(to: Float.self), scale, learningRate, momentum, nesterov ? 1 : 0, weightDecay,
      from, to, momentum == 0 ? nil : velocity, count)
  }

  /// Makes an update of a range of the parameters, in place.
  public func apply(
    gradient: FlatVector, scale: Float, learningRate: Float, parameters: FlatVector, velocity: FlatVector?,
    range: Range<Int>
  ) {
    let smallest = min(gradient.count, parameters.count, velocity?.count ?? parameters.count)
    precondition(range.lowerBound >= 0 && range.upperBound <= smallest, "\(range) of vectors of \(smallest)")
    let first = range.lowerBound
    apply(
      gradient: gradient.pointer + first, scale: scale, learningRate: learningRate,
      from: UnsafePointer(parameters.pointer + first), to: parameters.pointer + first,
      velocity: velocity.map { $0.pointer + first }, count: range.count)
  }
}

import Tensors

/// The optimisers as their papers and PyTorch's pages spell them, one element at a time in double precision.
struct NaiveOptimizer {
  let optimizer: Optimizer
  var weights: [Double]
  /// Two numbers for each weight; what they are depends on the optimiser.
  private var state: [(Double, Double)]
  private var updates = 0

  init(_ optimizer: Optimizer, weights: [Float]) {
    self.optimizer = optimizer
    self.weights = weights.map(Double.init)
    state = [(Double, Double)](repeating: (0, 0), count: weights.count)
    if case .adagrad(let adagrad) = optimizer {
      for index in state.indices { state[index].0 = adagrad.initialSquares }
    }
  }

  mutating func apply(gradient: [Float], scale: Double, rate: Double) {
    updates += 1
    for index in weights.indices {
      (weights[index], state[index]) = next(
        weight: weights[index], gradient: Double(gradient[index]) * scale, state: state[index], rate: rate)
    }
  }

  private func next(
    weight w: Double, gradient: Double, state: (Double, Double), rate: Double
  ) -> (Double, (Double, Double)) {
    switch optimizer {
    case .sgd(let sgd):
      let g = gradient + Double(sgd.weightDecay) * w
      let v = Double(sgd.momentum) * state.0 + g
      return (w - rate * (sgd.nesterov ? g + Double(sgd.momentum) * v : v), (v, 0))
    case .adagrad(let adagrad):
      let g = gradient + adagrad.weightDecay * w
      let h = state.0 + g * g
      return (w - rate * g / (h.squareRoot() + adagrad.epsilon), (h, 0))
    case .adadelta(let adadelta):
      let g = gradient + adadelta.weightDecay * w
      let s = adadelta.rho * state.0 + (1 - adadelta.rho) * g * g
      let d = (state.1 + adadelta.epsilon).squareRoot() / (s + adadelta.epsilon).squareRoot() * g
      return (w - rate * d, (s, adadelta.rho * state.1 + (1 - adadelta.rho) * d * d))
    case .rmsProp(let rmsProp):
      let g = gradient + rmsProp.weightDecay * w
      let s = rmsProp.rho * state.0 + (1 - rmsProp.rho) * g * g
      let v = rmsProp.momentum * state.1 + g / (s.squareRoot() + rmsProp.epsilon)
      return (w - rate * v, (s, v))
    case .adam(let adam):
      let g = gradient + adam.weightDecay * w
      let step = adamStep(g, state, adam.beta1, adam.beta2, adam.epsilon)
      return (w - rate * step.0, step.1)
    case .adamW(let adamW):
      let step = adamStep(gradient, state, adamW.beta1, adamW.beta2, adamW.epsilon)
      return (w - rate * adamW.weightDecay * w - rate * step.0, step.1)
    }
  }

  private func adamStep(
    _ g: Double, _ state: (Double, Double), _ beta1: Double, _ beta2: Double, _ epsilon: Double
  ) -> (Double, (Double, Double)) {
    let m = beta1 * state.0 + (1 - beta1) * g
    let v = beta2 * state.1 + (1 - beta2) * g * g
    var (power1, power2) = (1.0, 1.0)
    for _ in 0..<updates { (power1, power2) = (power1 * beta1, power2 * beta2) }
    return (m / (1 - power1) / ((v / (1 - power2)).squareRoot() + epsilon), (m, v))
  }
}

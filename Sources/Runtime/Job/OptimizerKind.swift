package import Tensors

/// The optimisers that a job may name.
public enum OptimizerKind: String, Hashable, Sendable, CaseIterable {
  /// Stochastic gradient descent, with momentum.
  case sgd
  /// `Adagrad`.
  case adagrad
  /// `Adadelta`.
  case adadelta
  /// `RMSProp`, without momentum.
  case rmsprop
  /// `Adam`.
  case adam
  /// `AdamW`.
  case adamw

  /// The settings that only some optimisers have, by option name, with this one's defaults: PyTorch's.
  var defaults: [String: Double] {
    switch self {
    case .sgd: ["momentum": 0.9, "nesterov": 0]
    case .adagrad: ["epsilon": 1e-10]
    case .adadelta: ["rho": 0.9, "epsilon": 1e-6]
    case .rmsprop: ["rho": 0.99, "epsilon": 1e-8]
    case .adam, .adamw: ["beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8]
    }
  }

  /// The learning rate of a job that states none: PyTorch's, but for SGD.
  var defaultLearningRate: Double {
    switch self {
    case .sgd: 0.03
    case .adagrad, .rmsprop: 0.01
    case .adadelta: 1
    case .adam, .adamw: 0.001
    }
  }

  /// The options that only some optimisers have, in the order of help.
  static let options = ["momentum", "nesterov", "beta1", "beta2", "rho", "epsilon"]

  /// The optimisers that have an option.
  static func having(_ option: String) -> [OptimizerKind] {
    allCases.filter { $0.defaults[option] != nil }
  }

  /// The optimiser that a job's settings make.
  package func optimizer(of job: Job) -> Optimizer {
    func setting(_ name: String, _ value: Double?) -> Double { value ?? defaults[name] ?? 0 }
    let (beta1, beta2) = (setting("beta1", job.beta1), setting("beta2", job.beta2))
    let (rho, epsilon) = (setting("rho", job.rho), setting("epsilon", job.epsilon))
    switch self {
    case .sgd:
      return .sgd(
        SGD(momentum: Float(job.momentum), nesterov: job.nesterov, weightDecay: Float(job.weightDecay)))
    case .adagrad: return .adagrad(Adagrad(epsilon: epsilon, weightDecay: job.weightDecay))
    case .adadelta: return .adadelta(Adadelta(rho: rho, epsilon: epsilon, weightDecay: job.weightDecay))
    case .rmsprop: return .rmsProp(RMSProp(rho: rho, epsilon: epsilon, weightDecay: job.weightDecay))
    case .adam: return .adam(Adam(beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: job.weightDecay))
    case .adamw: return .adamW(AdamW(beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: job.weightDecay))
    }
  }
}

extension Job {
  /// The optimiser that the job names; SGD where the name is none.
  package var optimizerKind: OptimizerKind { OptimizerKind(rawValue: optimizer) ?? .sgd }

  /// A setting that only some optimisers have, or the optimiser's default; nil where the optimiser has it not.
  func optimizerSetting(_ name: String, _ value: Double?) -> Double? {
    optimizerKind.defaults[name].map { value ?? $0 }
  }
}

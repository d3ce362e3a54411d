package import Tensors

/// How servers update: what the job says of optimiser and schedule, and the network of its buffers.
package struct UpdateSettings: Sendable {
  /// What a late gradient's learning rate is multiplied by.
  package enum StalenessScaling: String, Codable, Hashable, Sendable, CaseIterable {
    /// 1, however late.
    case none
    /// 1 / (1 + staleness).
    case inverse
  }

  /// The optimiser.
  package let optimizer: Optimizer
  /// What moves the buffers.
  package let statistics: RunningStatistics
  /// How the learning rate changes.
  package let schedule: LearningRateSchedule
  /// The learning rate that the schedule starts from.
  package let learningRate: Double
  /// Steps of linear warm-up.
  package let warmupSteps: Int
  /// What staleness does to the learning rate.
  package let scaling: StalenessScaling
  /// λ of delay compensation; 0 for none.
  package let delayCompensation: Float
  /// How gradients are clipped; nil where they are not.
  package let clipping: NormClipping?

  /// Settings of these values.
  package init(
    optimizer: Optimizer, statistics: RunningStatistics, schedule: LearningRateSchedule, learningRate: Double,
    warmupSteps: Int, scaling: StalenessScaling = .none, delayCompensation: Float = 0,
    clipping: NormClipping? = nil
  ) {
    self.optimizer = optimizer
    self.statistics = statistics
    self.schedule = schedule
    self.learningRate = learningRate
    self.warmupSteps = warmupSteps
    self.scaling = scaling
    self.delayCompensation = delayCompensation
    self.clipping = clipping
  }

  /// The learning rate of a step, for a gradient that is so many updates late.
  package func rate(step: Int, totalSteps: Int, staleness: UInt64 = 0) -> Float {
    let rate = schedule.rate(base: learningRate, step: step, totalSteps: totalSteps, warmupSteps: warmupSteps)
    return switch scaling {
    case .none: rate
    case .inverse: rate / (1 + Float(staleness))
    }
  }
}

extension Optimizer {
  /// Whether each worker has a state of its own where pushes are applied as they come. Running means of squares are of the
  /// gradients, whoever computed them: one serves all.
  package var keepsStatePerWorker: Bool {
    if case .sgd = self { true } else { false }
  }

  /// What servers update with where pushes are applied as they come: for SGD Nesterov's form of momentum, with a velocity
  /// for each worker.
  ///
  /// A velocity that all share is stable only up to a learning rate that is smaller by a factor of 2(1 + μ)/(1 − μ) when
  /// gradients are one update late: 38 for a momentum of 0.9, and LeNet diverges within a few steps on two workers. With
  /// one for each worker, Nesterov's form hands a worker the parameters as the others' momentum will have moved them
  /// (Hakimi et al., "Taming momentum in a distributed asynchronous environment", 2019: DANA).
  var forStaleGradients: Optimizer {
    guard case .sgd(let sgd) = self else { return self }
    return .sgd(SGD(momentum: sgd.momentum, nesterov: sgd.momentum > 0, weightDecay: sgd.weightDecay))
  }
}

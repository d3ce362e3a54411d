import Tensors

/// How a shard trains by itself between two exchanges: the servers' optimiser, on its own samples.
struct LocalTrainer {
  let settings: UpdateSettings
  let totalSteps: Int
  /// Elements of a norm's block.
  let normElements: Int

  /// What a gradient, a sum over so many samples, is multiplied by: to be their mean, and clipped where the job says so.
  private func scale(of gradient: ModelVectors, samples: Int) -> Float {
    let mean = 1 / Float(samples)
    guard let clipping = settings.clipping else { return mean }
    return NormClipping.factor(
      mean, scaledBy: clipping.scale(of: gradient.parameters, factor: mean, blockElements: normElements))
  }

  /// Clips a gradient in place, so that the mean over its samples has at most the norm that the job bounds.
  func clip(_ gradient: ModelVectors, samples: Int) {
    guard let clipping = settings.clipping else { return }
    let scale = clipping.scale(of: gradient.parameters, factor: 1 / Float(samples), blockElements: normElements)
    if scale != 1 { gradient.parameters.scale(by: Float(scale)) }
  }

  /// Makes a step of the optimiser by a gradient, which is a sum over so many samples, and moves the running statistics.
  ///
  /// Adam's correction counts the job's steps: the servers' count goes on from it.
  func apply(_ gradient: ModelVectors, samples: Int, step: Int, to model: ModelVectors) {
    settings.optimizer.apply(
      gradient: gradient.parameters, scale: scale(of: gradient, samples: samples),
      learningRate: settings.rate(step: step, totalSteps: totalSteps), update: step + 1,
      parameters: model.parameters, state: model.slots, range: 0..<model.parameters.count)
    guard model.buffers.count > 0 else { return }
    let before = FlatVector(count: model.buffers.count)
    model.buffers.withBytes(of: 0..<before.count) { before.copy($0, to: 0..<before.count) }
    gradient.buffers.withBytes(of: 0..<before.count) {
      settings.statistics.update(
        with: $0, shards: 1, isWholeStep: true, range: 0..<before.count, from: before, to: model.buffers)
    }
  }
}

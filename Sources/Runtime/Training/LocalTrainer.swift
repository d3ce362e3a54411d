import Tensors

/// How a shard trains by itself between two exchanges: the servers' optimiser, on its own samples.
struct LocalTrainer {
  let settings: UpdateSettings
  let totalSteps: Int

  /// Makes a step of the optimiser by a gradient, which is a sum over so many samples, and moves the running statistics.
  ///
  /// Adam's correction counts the job's steps: the servers' count goes on from it.
  func apply(_ gradient: ModelVectors, samples: Int, step: Int, to model: ModelVectors) {
    settings.optimizer.apply(
      gradient: gradient.parameters, scale: 1 / Float(samples),
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

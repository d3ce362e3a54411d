package import Datasets
package import Engines
package import ParameterServer
package import Tensors

/// Computes what a worker is ordered, added in the fixed tree: the gradients of shards and the statistics of their batch
/// normalisation; in local mode what each shard becomes by training by itself.
///
/// The sum of a node has the same bits whoever computes it, and in whatever pieces: shards are computed one by one
/// and added pairwise as the tree says. The last shard's gradient is added to what is held as each of its chunks
/// becomes final, so that the first chunks leave while the rest is computed.
package final class ShardSummer {
  /// A part of the sum of some shards: nil where they hold no sample.
  private struct Part {
    let level: UInt8
    let vectors: ModelVectors?
  }

  private let plan: any Plan
  private let samples: SampleSource
  private let chunks: ChunkTable
  private let trainer: LocalTrainer
  /// How often each batch is computed, for measurements of slow workers.
  private let repetitions: Int
  private var gradients: VectorPool
  private var statistics: VectorPool
  /// Elements of each chunk that the shard under way has not made final yet.
  private var remaining: [Int]

  /// Where samples come from: the batch of a block, nil at the end.
  package struct SampleSource {
    let batch: (SampleBlock) -> Batch?
    let recycle: (Batch) -> Void

    /// A source by what it does.
    package init(batch: @escaping (SampleBlock) -> Batch?, recycle: @escaping (Batch) -> Void) {
      self.batch = batch
      self.recycle = recycle
    }

    /// A reader's samples.
    package init(_ reader: PrefetchingReader) {
      self.init(batch: { reader.batch(of: $0) }, recycle: { reader.recycle($0) })
    }
  }

  /// A summer of a plan's gradients.
  ///
  /// - Parameters:
  ///   - totalSteps: steps of the job, for schedules.
  ///   - settings: how shards train by themselves in local mode.
  ///   - repetitions: how often each batch is computed, with the same result.
  package init(
    plan: any Plan, samples: SampleSource, chunks: ChunkTable, totalSteps: Int, settings: UpdateSettings,
    repetitions: Int = 1
  ) {
    self.plan = plan
    self.samples = samples
    self.chunks = chunks
    self.repetitions = repetitions
    trainer = LocalTrainer(settings: settings, totalSteps: totalSteps, normElements: chunks.normElements)
    gradients = VectorPool(count: chunks.elements)
    statistics = VectorPool(count: chunks.bufferElements)
    remaining = [Int](repeating: 0, count: chunks.chunks(of: .parameters).count)
  }

  /// Computes an order.
  ///
  /// - Parameters:
  ///   - model: the parameters, which their owner may change between orders; in local mode with buffers and slots.
  ///   - ready: told of each chunk of a node's sum as it becomes final; the vectors hold it, and are not written
  ///     again as long as somebody holds them.
  ///   - computed: told of each shard and step.
  package func compute(
    _ order: ComputeOrder, model: ModelVectors, ready: (ShardNode, Int, ModelVectors) -> Void,
    computed: (ShardResult) -> Void
  ) throws(ConvoyError) {
    for node in order.nodes {
      let occupied = node.shards.filter { shard in
        order.steps.contains { !order.schedule.positions(ofStep: $0, shard: shard).isEmpty }
      }
      guard let last = occupied.last else { continue }
      var parts: [Part] = []
      for shard in node.shards.lowerBound...last {
        var vectors: ModelVectors?
        if occupied.contains(shard) {
          let held = shard == last ? parts.reversed().compactMap(\.vectors) : nil
          vectors = try self.vectors(of: shard, order, model, computed: computed) { vectors, chunk in
            guard let held else { return }
            for part in held { vectors.add(part, chunk: chunk, of: chunks) }
            ready(node, chunk, vectors)
          }
        }
        Self.append(vectors, to: &parts)
      }
    }
  }

  /// A shard's gradient and statistics, or what it became, telling of each chunk as it becomes final.
  private func vectors(
    of shard: Int, _ order: ComputeOrder, _ model: ModelVectors, computed: (ShardResult) -> Void,
    final: (ModelVectors, Int) -> Void
  ) throws(ConvoyError) -> ModelVectors {
    guard case .local = order.consistency else {
      let vectors = ModelVectors(parameters: gradients.take(), buffers: statistics.take())
      let step = order.steps.lowerBound
      // A push that is applied alone is clipped alone, by its own norm: it leaves when all of it is there.
      let isClipped = trainer.settings.clipping != nil && !order.consistency.isSummed
      let result = try gradient(of: shard, step, order.schedule, at: model.parameters, into: vectors) {
        if !isClipped { final(vectors, $0) }
      }
      if isClipped {
        trainer.clip(vectors, samples: result.samples)
        for chunk in 0..<chunks.count { final(vectors, chunk) }
      }
      computed(Self.result(result, shard, step))
      return vectors
    }
    let vectors = model.copy()
    let gradient = ModelVectors(parameters: gradients.take(), buffers: statistics.take())
    for step in order.steps where !order.schedule.positions(ofStep: step, shard: shard).isEmpty {
      let result = try self.gradient(of: shard, step, order.schedule, at: vectors.parameters, into: gradient) { _ in }
      trainer.apply(gradient, samples: result.samples, step: step, to: vectors)
      computed(Self.result(result, shard, step))
    }
    for chunk in 0..<chunks.count { final(vectors, chunk) }
    return vectors
  }

  private static func result(_ result: StepResult, _ shard: Int, _ step: Int) -> ShardResult {
    ShardResult(step: step, shard: shard, samples: result.samples, lossSum: result.lossSum, correct: result.correct)
  }

  /// Computes a shard's gradient in a step, telling of each chunk as it becomes final.
  private func gradient(
    of shard: Int, _ step: Int, _ schedule: BatchSchedule, at parameters: FlatVector, into vectors: ModelVectors,
    final: (Int) -> Void
  ) throws(ConvoyError) -> StepResult {
    let block = SampleBlock(
      epoch: schedule.epoch(ofStep: step), positions: schedule.positions(ofStep: step, shard: shard))
    guard let batch = samples.batch(block) else {
      throw ConvoyError(.failed, "the reader of the training samples has ended")
    }
    defer { samples.recycle(batch) }
    for chunk in remaining.indices { remaining[chunk] = chunks.range(of: chunk).count }
    let buffers = chunks.bufferElements == 0 ? nil : vectors.buffers
    do throws(EngineError) {
      for _ in 1..<max(repetitions, 1) {
        _ = try plan.step(
          batch, parameters: parameters, gradient: vectors.parameters, statistics: buffers, onFinal: { _ in })
      }
      let result = try plan.step(
        batch, parameters: parameters, gradient: vectors.parameters, statistics: buffers
      ) { range in
        var chunk = range.lowerBound / chunks.chunkElements
        while chunk < remaining.count, chunks.range(of: chunk).lowerBound < range.upperBound {
          remaining[chunk] -= chunks.range(of: chunk).clamped(to: range).count
          if remaining[chunk] == 0 { final(chunk) }
          chunk += 1
        }
      }
      for chunk in chunks.chunks(of: .buffers) { final(chunk) }
      return result
    } catch {
      throw ConvoyError(.failed, error.description)
    }
  }

  /// Adds a shard's vectors to the parts held, as far as siblings are complete.
  private static func append(_ vectors: ModelVectors?, to parts: inout [Part]) {
    var part = Part(level: 0, vectors: vectors)
    while let left = parts.last, left.level == part.level {
      parts.removeLast()
      if let sum = left.vectors, let right = part.vectors {
        sum.add(right)
        part = Part(level: part.level + 1, vectors: sum)
      } else {
        part = Part(level: part.level + 1, vectors: left.vectors ?? part.vectors)
      }
    }
    parts.append(part)
  }
}

package import Datasets
package import Engines
package import ParameterServer
package import Tensors

/// Computes what a worker is ordered: the gradients of shards and the statistics of their batch normalisation, added in
/// the fixed tree, chunk by chunk.
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
  private let samples: PrefetchingReader
  private let parameters: FlatVector
  private let chunks: ChunkTable
  private var gradients: VectorPool
  private var statistics: VectorPool
  /// Elements of each chunk that the shard under way has not made final yet.
  private var remaining: [Int]

  /// A summer over the given parameters, which its owner may change between orders.
  package init(plan: any Plan, samples: PrefetchingReader, parameters: FlatVector, chunks: ChunkTable) {
    self.plan = plan
    self.samples = samples
    self.parameters = parameters
    self.chunks = chunks
    gradients = VectorPool(count: chunks.elements)
    statistics = VectorPool(count: chunks.bufferElements)
    remaining = [Int](repeating: 0, count: chunks.chunks(of: .parameters).count)
  }

  /// Computes an order.
  ///
  /// - Parameters:
  ///   - ready: told of each chunk of a node's sum as it becomes final; the vectors hold it, and are not written
  ///     again as long as somebody holds them.
  ///   - computed: told of each shard.
  package func compute(
    _ order: ComputeOrder, ready: (ShardNode, Int, ModelVectors) -> Void, computed: (ShardResult) -> Void
  ) throws(ConvoyError) {
    for node in order.nodes {
      let occupied = node.shards.filter { !order.schedule.positions(ofStep: order.step, shard: $0).isEmpty }
      guard let last = occupied.last else { continue }
      var parts: [Part] = []
      for shard in node.shards.lowerBound...last {
        let isEmpty = order.schedule.positions(ofStep: order.step, shard: shard).isEmpty
        let vectors = isEmpty ? nil : ModelVectors(parameters: gradients.take(), buffers: statistics.take())
        if let vectors {
          let held = shard == last ? parts.reversed().compactMap(\.vectors) : nil
          let result = try step(into: vectors) { chunk in
            guard let held else { return }
            for part in held { vectors.add(part, chunk: chunk, of: chunks) }
            ready(node, chunk, vectors)
          }
          computed(
            ShardResult(
              step: order.step, shard: shard, samples: result.samples, lossSum: result.lossSum,
              correct: result.correct))
        }
        Self.append(vectors, to: &parts)
      }
    }
  }

  /// Computes the next shard's gradient, telling of each chunk as it becomes final.
  private func step(into vectors: ModelVectors, final: (Int) -> Void) throws(ConvoyError) -> StepResult {
    guard let batch = samples.next() else {
      throw ConvoyError(.failed, "the reader of the training samples has ended")
    }
    defer { samples.recycle(batch) }
    for chunk in remaining.indices { remaining[chunk] = chunks.range(of: chunk).count }
    do throws(EngineError) {
      let buffers = chunks.bufferElements == 0 ? nil : vectors.buffers
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

  /// Adds a shard's gradient to the parts held, as far as siblings are complete.
  private static func append(_ vectors: ModelVectors?, to parts: inout [Part]) {
    var part = Part(level: 0, vectors: vectors)
    while let left = parts.last, left.level == part.level {
      parts.removeLast()
      if let sum = left.vectors, let right = part.vectors {
        for kind in [ChunkKind.parameters, .buffers] { sum[kind].add(right[kind], in: 0..<sum[kind].count) }
        part = Part(level: part.level + 1, vectors: sum)
      } else {
        part = Part(level: part.level + 1, vectors: left.vectors ?? part.vectors)
      }
    }
    parts.append(part)
  }
}

package import Datasets
package import Engines
package import ParameterServer
package import Tensors

/// Computes what a worker is ordered: the gradients of shards, added in the fixed tree, chunk by chunk.
///
/// The sum of a node has the same bits whoever computes it, and in whatever pieces: shards are computed one by one
/// and added pairwise as the tree says. The last shard's gradient is added to what is held as each of its chunks
/// becomes final, so that the first chunks leave while the rest is computed.
package final class ShardSummer {
  /// A part of the sum of some shards: nil where they hold no sample.
  private struct Part {
    let level: UInt8
    let vector: FlatVector?
  }

  private let plan: any Plan
  private let samples: PrefetchingReader
  private let parameters: FlatVector
  private let chunks: ChunkTable
  private var pool: VectorPool
  /// Elements of each chunk that the shard under way has not made final yet.
  private var remaining: [Int]

  /// A summer over the given parameters, which its owner may change between orders.
  package init(plan: any Plan, samples: PrefetchingReader, parameters: FlatVector, chunks: ChunkTable) {
    self.plan = plan
    self.samples = samples
    self.parameters = parameters
    self.chunks = chunks
    pool = VectorPool(count: chunks.elements)
    remaining = [Int](repeating: 0, count: chunks.count)
  }

  /// Computes an order.
  ///
  /// - Parameters:
  ///   - ready: told of each chunk of a node's sum as it becomes final; the vector holds it, and is not written
  ///     again as long as somebody holds it.
  ///   - computed: told of each shard.
  package func compute(
    _ order: ComputeOrder, ready: (ShardNode, Int, FlatVector) -> Void, computed: (ShardResult) -> Void
  ) throws(ConvoyError) {
    for node in order.nodes {
      let occupied = node.shards.filter { !order.schedule.positions(ofStep: order.step, shard: $0).isEmpty }
      guard let last = occupied.last else { continue }
      var parts: [Part] = []
      for shard in node.shards.lowerBound...last {
        let isEmpty = order.schedule.positions(ofStep: order.step, shard: shard).isEmpty
        let vector = isEmpty ? nil : pool.take()
        if let vector {
          let held = shard == last ? parts.reversed().compactMap(\.vector) : nil
          let result = try step(into: vector) { chunk in
            guard let held else { return }
            let range = chunks.range(of: chunk)
            for part in held { vector.add(part, in: range) }
            ready(node, chunk, vector)
          }
          computed(
            ShardResult(
              step: order.step, shard: shard, samples: result.samples, lossSum: result.lossSum,
              correct: result.correct))
        }
        Self.append(vector, to: &parts)
      }
    }
  }

  /// Computes the next shard's gradient, telling of each chunk as it becomes final.
  private func step(into gradient: FlatVector, final: (Int) -> Void) throws(ConvoyError) -> StepResult {
    guard let batch = samples.next() else {
      throw ConvoyError(.failed, "the reader of the training samples has ended")
    }
    defer { samples.recycle(batch) }
    for chunk in remaining.indices { remaining[chunk] = chunks.range(of: chunk).count }
    do throws(EngineError) {
      return try plan.step(batch, parameters: parameters, gradient: gradient) { range in
        var chunk = range.lowerBound / chunks.chunkElements
        while chunk < remaining.count, chunks.range(of: chunk).lowerBound < range.upperBound {
          remaining[chunk] -= chunks.range(of: chunk).clamped(to: range).count
          if remaining[chunk] == 0 { final(chunk) }
          chunk += 1
        }
      }
    } catch {
      throw ConvoyError(.failed, error.description)
    }
  }

  /// Adds a shard's gradient to the parts held, as far as siblings are complete.
  private static func append(_ vector: FlatVector?, to parts: inout [Part]) {
    var part = Part(level: 0, vector: vector)
    while let left = parts.last, left.level == part.level {
      parts.removeLast()
      if let sum = left.vector, let right = part.vector {
        sum.add(right, in: 0..<sum.count)
        part = Part(level: part.level + 1, vector: sum)
      } else {
        part = Part(level: part.level + 1, vector: left.vector ?? part.vector)
      }
    }
    parts.append(part)
  }
}

import Glibc
package import Networks
package import Tensors

/// How servers make running statistics of what shards push: batch normalisation's moving average, without optimiser,
/// decay or codec.
///
/// running ← (1 − m) · running + m · mean over the shards, with each layer's momentum m, in fp32 and element by element:
/// the same bits on every machine. Where pushes are applied as they come, each is averaged in alone, with the momentum 1 − (1 − m)^(1/s)
/// of a step with s shards that hold samples: s pushes of the same statistics move the running ones as far as one
/// synchronous step does.
package struct RunningStatistics: Sendable {
  /// Neighbouring buffers of one momentum.
  private struct Part: Sendable {
    let range: Range<Int>
    let momentum: Double
  }

  private let parts: [Part]

  /// The moving averages of a network's buffers.
  package init(_ network: Network) {
    var momentum: [String: Double] = [:]
    for node in network.nodes {
      guard case .batchNormalization(let layer) = node.layer.kind else { continue }
      for name in ["running_mean", "running_var"] { momentum["\(layer.name).\(name)"] = layer.momentum }
    }
    parts = network.bufferLayout.entries.map { entry in
      guard let momentum = momentum[entry.name] else {
        preconditionFailure("nobody knows how the buffer \(entry.name) is updated")
      }
      return Part(range: entry.range, momentum: momentum)
    }
  }

  /// Averages statistics in.
  ///
  /// - Parameters:
  ///   - statistics: the sum over a step's shards, or one shard's: as many fp32 values as the range, at any address.
  ///   - shards: the step's shards that hold samples; those that are in the sum.
  ///   - isWholeStep: whether the statistics are a step's sum; else they are one shard's of it.
  ///   - range: the elements' place among the network's buffers.
  ///   - from: the running statistics.
  ///   - to: the new ones: another vector.
  package func update(
    with statistics: UnsafeRawBufferPointer, shards: Int, isWholeStep: Bool, range: Range<Int>, from: FlatVector,
    to: FlatVector
  ) {
    let bytes = range.count * MemoryLayout<Float>.stride
    precondition(statistics.count == bytes && from.count == range.count && to.count == range.count, "\(range)")
    precondition(shards > 0, "statistics of no shard")
    from.withSpan { running in
      to.withMutableSpan { next in
        for part in parts {
          let (keep, share, divisor) = Self.weights(part.momentum, shards: shards, isWholeStep)
          let elements = part.range.clamped(to: range)
          for element in elements.lowerBound - range.lowerBound..<elements.upperBound - range.lowerBound {
            let sum = statistics.loadUnaligned(fromByteOffset: element * MemoryLayout<Float>.stride, as: Float.self)
            next[element] = keep * running[element] + share * (sum / divisor)
          }
        }
      }
    }
  }

  private static func weights(
    _ momentum: Double, shards: Int, _ isWholeStep: Bool
  ) -> (keep: Float, share: Float, divisor: Float) {
    if isWholeStep { return (Float(1 - momentum), Float(momentum), Float(shards)) }
    let keep = pow(1 - momentum, 1 / Double(shards))
    return (Float(keep), Float(1 - keep), 1)
  }
}

import ParameterServer

/// Numbers in place of floats: every operation's result depends on the order of its operands, so that another tree,
/// a lost, a doubled or a stale contribution gives another result.
enum ToyModel {
  /// A number that depends on every operand and its position.
  static func mix(_ operands: UInt64...) -> UInt64 {
    var state: UInt64 = 0x243F_6A88_85A3_08D3
    for operand in operands {
      state = (state.rotated(left: 23) ^ operand) &* 0x9E37_79B9_7F4A_7C15
      state ^= state >> 29
    }
    return state
  }

  /// A chunk before the first update.
  static func initial(_ chunk: Int) -> UInt64 { mix(1, UInt64(chunk)) }

  /// What a gradient knows of the parameters: all of them.
  static func digest(_ parameters: [UInt64]) -> UInt64 { parameters.reduce(2) { mix($0, $1) } }

  /// A chunk of one shard's gradient.
  static func gradient(step: Int, shard: Int, positions: Range<Int>, chunk: Int, parameters: UInt64) -> UInt64 {
    mix(
      3, UInt64(step), UInt64(shard), UInt64(positions.lowerBound), UInt64(positions.upperBound), UInt64(chunk),
      parameters)
  }

  /// The sum of two gradients.
  static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 { mix(4, left, right) }

  /// A chunk after an update.
  static func updated(_ parameters: UInt64, by gradient: UInt64, step: Int, samples: Int) -> UInt64 {
    mix(5, parameters, gradient, UInt64(step), UInt64(samples))
  }

  /// The sum over some shards, halved until one is left; nil where they have no samples.
  static func sum(of shards: Range<Int>, _ gradient: (Int) -> UInt64?) -> UInt64? {
    if shards.count == 1 { return gradient(shards.lowerBound) }
    let middle = shards.lowerBound + shards.count / 2
    let left = sum(of: shards.lowerBound..<middle, gradient)
    let right = sum(of: middle..<shards.upperBound, gradient)
    guard let left, let right else { return left ?? right }
    return sum(left, right)
  }

  /// The final chunks of a synchronous job, computed one step after the other without any message.
  static func sequential(samples: Int, batch: Int, shards: Int, steps: Int, chunks: Int) -> [UInt64] {
    var parameters = (0..<chunks).map(initial)
    var first = 0
    for step in 0..<steps {
      let count = min(batch, samples - first)
      let digest = digest(parameters)
      parameters = parameters.indices.map { chunk in
        let gradient = sum(of: 0..<shards) { shard in
          let positions = first + shard * count / shards..<first + (shard + 1) * count / shards
          guard !positions.isEmpty else { return nil }
          return ToyModel.gradient(step: step, shard: shard, positions: positions, chunk: chunk, parameters: digest)
        }
        return updated(parameters[chunk], by: gradient ?? 0, step: step, samples: count)
      }
      first = first + count == samples ? 0 : first + count
    }
    return parameters
  }
}

extension UInt64 {
  fileprivate func rotated(left count: UInt64) -> UInt64 { self << count | self >> (64 - count) }
}

/// A payload: a chunk of parameters or of a gradient.
struct ToyPayload: Hashable, Sendable {
  /// Where a gradient comes from.
  struct Part: Hashable, Sendable {
    let step: Int
    let shard: Int
    /// The version of this chunk among the parameters that it was computed from.
    let basis: UInt64
    /// The number of the worker that computed it.
    let worker: UInt32
  }

  let value: UInt64
  /// The shards of a gradient, in order; none of parameters.
  var parts: [Part] = []
  let bytes: Int
}

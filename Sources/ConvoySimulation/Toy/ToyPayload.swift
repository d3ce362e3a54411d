/// What stands in for a chunk of floats: one number, and where it comes from.
///
/// A value without references: it is copied with every message.
struct ToyPayload: Sendable {
  /// The number: an integer, or a double's bits.
  var bits: UInt64
  /// Bytes that the chunk would have.
  var bytes: Int32
  /// Of a gradient: the worker's slot in the world.
  var worker: UInt16 = 0
  /// Of a gradient: whether a shard is in it twice, or shards of two steps.
  var isMixed = false
  /// Of a gradient: the step that it is of.
  var step: UInt32 = 0
  /// Of a gradient: the smallest version that it was computed from. Of parameters: their version.
  var version: UInt64 = 0
  /// Of a gradient: a bit for each shard in it.
  var shards: UInt64 = 0
}

/// The numbers that a toy job computes with.
public enum ToyNumbers: String, Hashable, Sendable, Codable, CaseIterable {
  /// 64-bit integers: a sum is exact, so that a contribution that is lost or doubled shows, wherever it was added.
  case integers
  /// Doubles: a sum depends on the order of its additions, so that another tree shows too.
  case doubles
}

/// The arithmetic of a toy job: gradients are a function of the parameters read, the step and the shard.
struct ToyModel: Sendable {
  let numbers: ToyNumbers
  let seed: UInt64

  /// A number that depends on every operand and its position. Costs a few multiplications.
  @inline(__always)
  static func mix(_ a: UInt64, _ b: UInt64, _ c: UInt64 = 0) -> UInt64 {
    var z = a &* 0x9e37_79b9_7f4a_7c15 ^ b
    z = (z ^ z >> 32) &* 0xd6e8_feb8_6659_fd93 ^ c
    z = (z ^ z >> 29) &* 0xbf58_476d_1ce4_e5b9
    return z ^ z >> 32
  }

  /// Any bits as a number of the model's kind; doubles between -1 and 1, of many magnitudes.
  @inline(__always)
  private func number(_ bits: UInt64) -> UInt64 {
    guard numbers == .doubles else { return bits }
    let magnitude = Double(sign: .plus, exponent: -Int(bits & 15), significand: 1)
    return (Double(Int64(bitPattern: bits) >> 11) / 4_503_599_627_370_496 * magnitude).bitPattern
  }

  /// A chunk before the first update.
  func initial(_ chunk: Int) -> UInt64 { number(Self.mix(seed, 1, UInt64(chunk))) }

  /// What a gradient knows of the parameters: all of them, in order.
  func digest(_ digest: UInt64, _ parameters: UInt64) -> UInt64 { Self.mix(digest, parameters) }

  /// A chunk of one shard's gradient.
  func gradient(step: Int, shard: Int, chunk: Int, samples: Range<Int>, digest: UInt64) -> UInt64 {
    let place = UInt64(step) << 32 | UInt64(shard) << 16 | UInt64(chunk)
    let range = UInt64(samples.lowerBound) << 32 | UInt64(samples.upperBound)
    return number(Self.mix(Self.mix(digest, place), range, seed))
  }

  /// The sum of two gradients.
  func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
    switch numbers {
    case .integers: left &+ right
    case .doubles: (Double(bitPattern: left) + Double(bitPattern: right)).bitPattern
    }
  }

  /// The sum with what it is made of.
  func sum(_ left: ToyPayload, _ right: ToyPayload) -> ToyPayload {
    var sum = left
    sum.bits = self.sum(left.bits, right.bits)
    sum.isMixed = left.isMixed || right.isMixed || left.shards & right.shards != 0 || left.step != right.step
    sum.shards |= right.shards
    sum.version = min(left.version, right.version)
    return sum
  }

  /// A chunk after an update: depends on all that an optimiser is told.
  func updated(_ parameters: UInt64, by gradient: UInt64, step: Int, samples: Int, staleness: UInt64) -> UInt64 {
    switch numbers {
    case .integers:
      return Self.mix(parameters, gradient, UInt64(step) << 40 ^ UInt64(samples) << 16 ^ staleness)
    case .doubles:
      let rate = 0.5 / Double(1 + step % 7) / Double(samples) / Double(1 + staleness)
      return (Double(bitPattern: parameters) * 0.875 - rate * Double(bitPattern: gradient)).bitPattern
    }
  }
}

import ParameterServer

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

  /// The sum over all shards, in their place; nil where none has a sample.
  func sum(_ shards: inout [UInt64?]) -> UInt64? {
    var stride = 1
    while stride < shards.count {
      for left in Swift.stride(from: 0, to: shards.count, by: stride * 2) {
        guard let second = shards[left + stride] else { continue }
        shards[left] = shards[left].map { sum($0, second) } ?? second
      }
      stride *= 2
    }
    return shards[0]
  }

  /// The sum with what it is made of.
  func sum(_ left: ToyPayload, _ right: ToyPayload) -> ToyPayload {
    var sum = left
    sum.bits = self.sum(left.bits, right.bits)
    sum.isMixed =
      left.isMixed || right.isMixed || left.shards & right.shards != 0 || left.step != right.step
      || left.chunk != right.chunk
    sum.shards |= right.shards
    sum.version = min(left.version, right.version)
    return sum
  }

  /// What a shard's parameters become when it trains by itself, and their sum begins with.
  func trained(_ parameters: UInt64, by gradient: UInt64) -> UInt64 {
    switch numbers {
    case .integers: Self.mix(parameters, gradient)
    case .doubles: (Double(bitPattern: parameters) * 0.875 - 0.125 * Double(bitPattern: gradient)).bitPattern
    }
  }

  /// A chunk's part of the norm of a gradient.
  func measured(_ gradient: UInt64, samples: UInt64) -> UInt64 {
    switch numbers {
    case .integers: return Self.mix(gradient, samples, 3)
    case .doubles:
      let mean = Double(bitPattern: gradient) / Double(max(samples, 1))
      return (mean * mean).bitPattern
    }
  }

  /// The scale that follows from the parts of a norm, in their order.
  func scale(ofNorm parts: [UInt64]) -> UInt64 {
    switch numbers {
    case .integers: return parts.reduce(4) { Self.mix($0, $1) }
    case .doubles:
      let norm = parts.reduce(0) { $0 + Double(bitPattern: $1) }.squareRoot()
      return (0.125 / (norm + 1)).bitPattern
    }
  }

  /// A gradient times the scale of its step, where there is one.
  private func scaled(_ gradient: UInt64, by scale: UInt64?) -> UInt64 {
    guard let scale else { return gradient }
    switch numbers {
    case .integers: return Self.mix(gradient, scale, 5)
    case .doubles: return (Double(bitPattern: gradient) * Double(bitPattern: scale)).bitPattern
    }
  }

  /// A chunk and its optimiser's state after an update: they depend on all that an optimiser is told.
  func updated(_ chunk: ToyChunk, by gradient: UInt64, _ update: Update) -> ToyChunk {
    let gradient = scaled(gradient, by: update.scale)
    var new = chunk
    new.version = update.version
    new.previousBits = chunk.bits
    switch numbers {
    case .integers:
      let told =
        UInt64(update.step) << 40 ^ UInt64(update.samples) << 16 ^ update.staleness << 8 ^ UInt64(update.shards)
      new.optimizer = Self.mix(chunk.optimizer, gradient, told)
      new.bits = update.kind == .averaged ? new.optimizer : Self.mix(chunk.bits, new.optimizer)
    case .doubles:
      let rate = 1 / Double(2 + update.step % 7) / Double(max(update.samples, 1)) / Double(1 + update.staleness)
      let mean = Double(bitPattern: gradient) * rate
      let optimizer = Double(bitPattern: chunk.optimizer) * 0.5 + mean
      new.optimizer = optimizer.bitPattern
      let old = update.kind == .averaged ? 0 : Double(bitPattern: chunk.bits) * 0.875
      new.bits = (old - optimizer / Double(max(update.shards, 1))).bitPattern
    }
    return new
  }
}

/// A chunk as a server holds it.
struct ToyChunk: Sendable, Equatable {
  var version: UInt64 = 0
  var bits: UInt64
  var previousBits: UInt64 = 0
  var optimizer: UInt64 = 0
}

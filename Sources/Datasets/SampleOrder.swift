import Tensors

/// The order in which an epoch reads the samples: a permutation for each seed and epoch, seekable.
///
/// A Feistel network over the smallest domain of an even number of bits that holds all samples, walked until it falls
/// on a sample (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). No table, the same everywhere.
public struct SampleOrder: Hashable, Sendable {
  /// Number of samples.
  public let count: Int
  private let seed: UInt64
  private let purpose: UInt64
  private let halfBits: UInt64

  private static let rounds: UInt64 = 6
  /// Sets the order's random stream apart from others of the same seed.
  private static let orderPurpose: UInt64 = 0x6F72_6465_72
  /// The same of the permutation that holds samples out of training.
  static let holdoutPurpose: UInt64 = 0x686F_6C64

  /// The order of so many samples.
  public init(count: Int, seed: UInt64) {
    self.init(count: count, seed: seed, purpose: Self.orderPurpose)
  }

  init(count: Int, seed: UInt64, purpose: UInt64) {
    precondition(count > 0, "an order of \(count) samples")
    self.count = count
    self.seed = seed
    self.purpose = purpose
    let bits = UInt64(max(2, Int.bitWidth - (count - 1).leadingZeroBitCount))
    halfBits = (bits + 1) / 2
  }

  /// The sample at a position of an epoch.
  public func sample(at position: Int, epoch: Int) -> Int {
    precondition(position >= 0 && position < count, "position \(position) of \(count)")
    let random = CounterRandom(seed, UInt64(epoch), purpose)
    var value = UInt64(position)
    repeat { value = permuted(value, random) } while value >= UInt64(count)
    return Int(value)
  }

  private func permuted(_ value: UInt64, _ random: CounterRandom) -> UInt64 {
    let mask = (1 << halfBits) - UInt64(1)
    var left = value >> halfBits
    var right = value & mask
    for round in 0..<Self.rounds {
      (left, right) = (right, left ^ (random.bits(at: right << 8 | round) & mask))
    }
    return left << halfBits | right
  }
}

import Glibc

/// Random numbers addressed by a key and an index: the n-th number of a stream without the ones before it.
///
/// The function is Philox 4×32 with ten rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
/// SC 2011). What is drawn for a sample depends on what the sample is, never on who draws it or when.
public struct CounterRandom: Hashable, Sendable {
  private let key: SIMD2<UInt32>

  /// A stream of its own for each list of words, as in `CounterRandom(seed, epoch, purpose)`.
  public init(_ words: UInt64...) {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    for word in words {
      state = Self.mixed(state ^ Self.mixed(word &+ 0x9E37_79B9_7F4A_7C15))
    }
    key = [UInt32(truncatingIfNeeded: state), UInt32(truncatingIfNeeded: state >> 32)]
  }

  /// The stream of a raw key, as the paper's known answers state it.
  package init(key: SIMD2<UInt32>) {
    self.key = key
  }

  /// SplitMix64's finaliser: every bit of the word reaches every bit of the result.
  private static func mixed(_ word: UInt64) -> UInt64 {
    var word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }

  /// The four 32-bit words at a counter.
  public func words(at counter: UInt64, _ lane: UInt64 = 0) -> SIMD4<UInt32> {
    var x = SIMD4(
      UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32),
      UInt32(truncatingIfNeeded: lane), UInt32(truncatingIfNeeded: lane >> 32))
    var key = key
    for _ in 0..<10 {
      let first = UInt64(0xD251_1F53) &* UInt64(x.x)
      let second = UInt64(0xCD9E_8D57) &* UInt64(x.z)
      x = SIMD4(
        UInt32(truncatingIfNeeded: second >> 32) ^ x.y ^ key.x, UInt32(truncatingIfNeeded: second),
        UInt32(truncatingIfNeeded: first >> 32) ^ x.w ^ key.y, UInt32(truncatingIfNeeded: first))
      key = key &+ SIMD2(0x9E37_79B9, 0xBB67_AE85)
    }
    return x
  }

  /// 64 random bits at an index.
  public func bits(at index: UInt64) -> UInt64 {
    let words = words(at: index)
    return UInt64(words.y) << 32 | UInt64(words.x)
  }

  /// A number in [0, 1) with 53 random bits, at an index.
  public func uniform(at index: UInt64) -> Double {
    Double(bits(at: index) >> 11) * 0x1p-53
  }

  /// A normally distributed number with mean 0 and deviation 1, at an index (Box and Muller, 1958).
  public func normal(at index: UInt64) -> Double {
    let words = words(at: index)
    // Never 0, so that its logarithm is finite.
    let radius = (-2 * log((Double(words.x) + 1) * 0x1p-32)).squareRoot()
    return radius * cos(2 * .pi * (Double(words.y) * 0x1p-32))
  }
}

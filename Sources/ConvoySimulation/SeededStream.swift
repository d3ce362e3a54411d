/// A stream of random numbers from a seed (SplitMix64): the same everywhere, for ever.
///
/// A simulation has one stream for each purpose, so that what one purpose draws does not move another's numbers.
public struct SeededStream: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// The stream of a seed and a purpose.
  public init(seed: UInt64, purpose: String) {
    // FNV-1a over the purpose's name: streams of neighbouring seeds and purposes have nothing in common.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in purpose.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    state = seed &* 0x9e37_79b9_7f4a_7c15 ^ hash
    _ = next()
  }

  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// Whether something happens that happens in so many of a hundred cases.
  mutating func chance(_ percent: UInt64) -> Bool { next() % 100 < percent }

  /// A number of a range. Costs one multiplication; the bias is below 2⁻³² for ranges of this size.
  mutating func number(in range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(((next() >> 32) * UInt64(range.count)) >> 32)
  }

  /// One of several.
  ///
  /// - Precondition: there is at least one.
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[number(in: 0...elements.count - 1)] }
}

extension SeededStream {
  /// The first word of a stream.
  static func word(seed: UInt64, purpose: String) -> UInt64 {
    var stream = SeededStream(seed: seed, purpose: purpose)
    return stream.next()
  }
}

/// A hash over everything that happened, in order: two runs with the same hash were the same run.
public struct TraceHash: Hashable, Sendable, CustomStringConvertible {
  /// The hash so far.
  public private(set) var value: UInt64 = 0x243f_6a88_85a3_08d3

  /// Nothing has happened.
  public init() {}

  /// Adds a word. Costs one multiplication.
  @inline(__always)
  mutating func mix(_ word: UInt64) {
    value = (value << 23 | value >> 41) ^ word
    value = value &* 0x9e37_79b9_7f4a_7c15
    value ^= value >> 29
  }

  /// Sixteen hexadecimal digits.
  public var description: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

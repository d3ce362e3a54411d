/// The order in which what had no answer is said again.
///
/// A queue that takes only the first of many messages would take the same ones every time: each turn begins elsewhere,
/// at multiples of the golden ratio, so that every one soon comes first.
enum Rotation {
  /// The numbers below a count, beginning where it is this turn's.
  static func order(_ count: Int, turn: UInt64) -> [Int] {
    let fraction = (turn &* 2_654_435_769) & 0xffff_ffff
    let start = Int((fraction * UInt64(count)) >> 32)
    return Array(start..<count) + Array(0..<start)
  }
}

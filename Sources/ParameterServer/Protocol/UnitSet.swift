/// A set of numbers that grows mostly from the bottom: ranges in order, so that it stays small.
public struct UnitSet: Hashable, Sendable {
  /// Its numbers as ranges, in order, none touching the next.
  public private(set) var ranges: [Range<Int>] = []

  /// An empty set.
  public init() {}

  /// The set of some ranges, or nil where they are not in order.
  public init?(ranges: [Range<Int>]) {
    guard ranges.allSatisfy({ !$0.isEmpty && $0.lowerBound >= 0 }),
      zip(ranges, ranges.dropFirst()).allSatisfy({ $0.upperBound < $1.lowerBound })
    else { return nil }
    self.ranges = ranges
  }

  /// Number of numbers.
  public var count: Int { ranges.reduce(0) { $0 + $1.count } }

  /// Whether it has none.
  public var isEmpty: Bool { ranges.isEmpty }

  /// Whether it has a number.
  public func contains(_ unit: Int) -> Bool {
    var index = ranges.count
    while index > 0, ranges[index - 1].lowerBound > unit { index -= 1 }
    return index > 0 && ranges[index - 1].contains(unit)
  }

  /// Adds a number; false when it was there.
  @discardableResult
  public mutating func insert(_ unit: Int) -> Bool {
    var index = ranges.count
    while index > 0, ranges[index - 1].lowerBound > unit { index -= 1 }
    if index > 0, ranges[index - 1].contains(unit) { return false }
    let joinsLeft = index > 0 && ranges[index - 1].upperBound == unit
    let joinsRight = index < ranges.count && ranges[index].lowerBound == unit + 1
    switch (joinsLeft, joinsRight) {
    case (true, true):
      ranges[index - 1] = ranges[index - 1].lowerBound..<ranges[index].upperBound
      ranges.remove(at: index)
    case (true, false): ranges[index - 1] = ranges[index - 1].lowerBound..<unit + 1
    case (false, true): ranges[index] = unit..<ranges[index].upperBound
    case (false, false): ranges.insert(unit..<unit + 1, at: index)
    }
    return true
  }

  /// Takes a number out; false where it was not there.
  @discardableResult
  public mutating func remove(_ unit: Int) -> Bool {
    guard let index = ranges.firstIndex(where: { $0.contains(unit) }) else { return false }
    let range = ranges[index]
    let parts = [range.lowerBound..<unit, unit + 1..<range.upperBound].filter { !$0.isEmpty }
    ranges.replaceSubrange(index...index, with: parts)
    return true
  }

  /// The smallest number from another on that it has not.
  public func firstMissing(from start: Int) -> Int {
    for range in ranges where range.contains(start) { return range.upperBound }
    return start
  }

  /// Takes out every number below one.
  public mutating func removeAll(below bound: Int) {
    while let first = ranges.first, first.lowerBound < bound {
      if first.upperBound <= bound {
        ranges.removeFirst()
      } else {
        ranges[0] = bound..<first.upperBound
        return
      }
    }
  }
}

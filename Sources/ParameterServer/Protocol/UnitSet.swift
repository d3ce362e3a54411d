/// A set of numbers that grows mostly from the bottom: ranges in order, so that it stays small.
package struct UnitSet: Hashable, Sendable {
  private var ranges: [Range<Int>] = []

  /// An empty set.
  package init() {}

  /// Adds a number; false when it was there.
  package mutating func insert(_ unit: Int) -> Bool {
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
}

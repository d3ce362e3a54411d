/// The units of work that a worker in a leased mode holds.
struct LeaseQueue: Sendable {
  private var units: [Int] = []
  private var next = 0
  /// The newest grant that came.
  private(set) var grant: UInt64 = 0
  private var lowWater = 0
  private var askedAfter: UInt64?
  /// Units that were granted and are not finished.
  private(set) var held = UnitSet()

  /// Takes the next unit, or nil where none is held.
  mutating func take() -> Int? {
    guard next < units.count else { return nil }
    next += 1
    return units[next - 1]
  }

  /// Puts a unit back that has to be computed again.
  mutating func putBack(_ unit: Int) {
    units.replaceSubrange(..<next, with: [unit])
    next = 0
  }

  /// Adds a grant; false where it came before. Units without work are finished at once.
  mutating func add(_ leases: Leases, holdsWork: (Int) -> Bool) -> Bool {
    guard leases.grant > grant else { return false }
    grant = leases.grant
    units.removeFirst(next)
    next = 0
    // Half of what the coordinator thinks to be enough for a while.
    lowWater = leases.units.count / 2
    for unit in leases.units.ranges.joined() where holdsWork(unit) {
      units.append(unit)
      held.insert(unit)
    }
    // What came back from another worker may be of steps before those that wait here.
    units.sort()
    return true
  }

  /// Whether more is wanted.
  var isLow: Bool { units.count - next <= lowWater }

  /// Whether nothing was asked for since the last grant; notes that it is now.
  mutating func asksNow() -> Bool {
    guard askedAfter != grant else { return false }
    askedAfter = grant
    return true
  }

  /// A unit is finished.
  mutating func finish(_ unit: Int) { held.remove(unit) }

  /// Units that are not begun.
  var waiting: ArraySlice<Int> { units[next...] }
}

/// The units of work that a worker outside sync mode holds.
struct LeaseQueue: Sendable {
  private var units: [Int] = []
  private var next = 0
  private var isAsking = true
  /// What was granted so far: a grant that comes twice is work for once.
  private var granted = UnitSet()
  private var grantedCount: UInt64 = 0
  /// How many units were granted in all, once the coordinator has said that there are no more.
  private var total: UInt64?

  /// Units below which more are asked for, so that none is waited for.
  static let lowWater = 8

  /// Takes the next unit, or nil where none is held.
  mutating func take() -> Int? {
    guard next < units.count else { return nil }
    next += 1
    return units[next - 1]
  }

  /// Adds a grant and returns those of its units that are new and hold work.
  mutating func add(_ range: Range<Int>, holdsWork: (Int) -> Bool) -> [Int] {
    isAsking = false
    var added: [Int] = []
    for unit in range where granted.insert(unit) {
      grantedCount += 1
      if holdsWork(unit) { added.append(unit) }
    }
    units.removeFirst(next)
    next = 0
    units += added
    return added
  }

  /// Nothing more will be granted than so many units in all.
  mutating func end(total: UInt64) {
    isAsking = false
    self.total = total
  }

  /// Whether it is time to ask for more.
  var wantsMore: Bool { total == nil && !isAsking && units.count - next < Self.lowWater }

  /// More was asked for.
  mutating func asked() { isAsking = true }

  /// Whether nothing is held and nothing more will come, not even what was granted before the coordinator's last word.
  var isExhausted: Bool { total.map { $0 <= grantedCount } ?? false && next == units.count }
}

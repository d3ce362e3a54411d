/// The units of work that a worker outside sync mode holds.
struct LeaseQueue: Sendable {
  private var units: [Int] = []
  private var next = 0
  private var isAsking = true
  private var hasLast = false

  /// Units below which more are asked for, so that none is waited for.
  static let lowWater = 8

  /// Takes the next unit, or nil where none is held.
  mutating func take() -> Int? {
    guard next < units.count else { return nil }
    next += 1
    return units[next - 1]
  }

  /// Adds what was granted; `isLast` says that there is no more.
  mutating func add(_ granted: [Int], isLast: Bool) {
    units.removeFirst(next)
    next = 0
    units += granted
    isAsking = false
    if isLast { hasLast = true }
  }

  /// Whether it is time to ask for more.
  var wantsMore: Bool { !hasLast && !isAsking && units.count - next < Self.lowWater }

  /// More was asked for.
  mutating func asked() { isAsking = true }

  /// Whether nothing is held and nothing more will come.
  var isExhausted: Bool { hasLast && next == units.count }
}

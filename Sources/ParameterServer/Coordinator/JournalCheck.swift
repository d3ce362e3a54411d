/// Whether the records of a journal can be gone on from, one after the other: who writes one asks it, and who reads one, so
/// that what is written can be read.
public struct JournalCheck: Sendable {
  /// The rules of the newest view.
  private var rules: JobRules?
  /// The largest of the numbers that go up by one, of which a successor's go on.
  private var highest: UInt64 = 0

  /// No record yet.
  public init() {}

  /// Why the next record is none that a coordinator writes, or nil.
  public mutating func problem(of record: JournalRecord) -> String? {
    switch record {
    case .term(let term):
      count(term)
      return term > Bounds.counter ? "term \(term)" : nil
    case .agreed, .completed: return nil
    case .view(let view):
      count(view.number.rawValue)
      // An era is counted in fewer bits than the others.
      count(UInt64(view.era) << 30)
      rules = view.rules
      return view.problem.map { "view \(view.number.rawValue) does not hold together: \($0)" }
    case .leased(let member, _, let leases):
      count(leases.grant)
      guard member.role == .worker else { return "\(member) is given shards" }
      return problem(of: leases.units)
    case .leaseBook(let stand):
      guard let rules, stand.frontier <= rules.units else { return "shards up to \(stand.frontier) were given out" }
      return problem(of: stand.returned) ?? problem(of: stand.applied)
    case .checkpoint(let mark): return mark.problem.map { "a checkpoint of \($0)" }
    case .totals(let epochs, let staleness):
      for (index, totals) in epochs.enumerated() {
        if index > 0, epochs[index - 1].epoch >= totals.epoch { return "epoch \(totals.epoch) stands twice" }
        if let problem = totals.problem { return problem }
      }
      if let rules, let last = epochs.last, Int(last.epoch) >= rules.epochs {
        return "epoch \(last.epoch) of a job of \(rules.epochs)"
      }
      return staleness.problem
    }
  }

  /// Why no coordinator can go on from all these records, or nil: it counts on from their numbers.
  public var problem: String? {
    highest > Bounds.counter / 2 ? "a number of \(highest) leaves nothing to count on to" : nil
  }

  private mutating func count(_ number: UInt64) { highest = max(highest, number) }

  private func problem(of units: UnitSet) -> String? {
    guard let rules else { return "shards are given out and there is no view" }
    return rules.contains(units)
      ? nil : "shards up to \(units.ranges.last?.upperBound ?? 0), and the job has \(rules.units)"
  }
}

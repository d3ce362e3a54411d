/// Where the leases of an era stand, beside those that workers hold.
public struct LeaseStand: Hashable, Sendable {
  /// The first unit that was never leased.
  public let frontier: Int
  /// Units that were leased to workers who are gone.
  public let returned: UnitSet
  /// Units that are applied although they lie beyond the frontier.
  public let applied: UnitSet

  /// A stand as stated.
  public init(frontier: Int, returned: UnitSet, applied: UnitSet) {
    self.frontier = frontier
    self.returned = returned
    self.applied = applied
  }
}

/// Which units of work are leased to whom: each is given out until it is finished, to one worker at a time.
package struct LeaseBook: Sendable {
  /// What a worker holds.
  private struct Account: Sendable {
    let member: Member
    let incarnation: Incarnation
    var last: Leases
    var held: UnitSet
  }

  /// The first unit that was never leased.
  package private(set) var frontier: Int
  /// Units that were leased to workers who are gone.
  package private(set) var returned = UnitSet()
  /// Units that are applied although they lie beyond the frontier.
  private var applied: UnitSet
  private var accounts: [Account] = []

  /// The book of an era that begins where some units are applied.
  package init(from frontier: Int, applied: UnitSet) {
    self.frontier = frontier
    self.applied = applied
  }

  /// The end of what was applied when the era began; 0 where that is nothing beyond its steps.
  package var appliedEnd: Int { applied.ranges.last?.upperBound ?? 0 }

  /// Leaves out what is not leased: the steps before a segment.
  package mutating func skip(to unit: Int) { frontier = max(frontier, unit) }

  /// The number of the newest grant that a worker was given; 0 of one that was given none.
  package func newestGrant(of member: Member, _ incarnation: Incarnation) -> UInt64 {
    accounts.first { $0.member == member && $0.incarnation == incarnation }?.last.grant ?? 0
  }

  /// Notes what a worker says that it holds; returns the grant to send again, where it did not come.
  package mutating func note(_ request: LeaseRequest, of member: Member, _ incarnation: Incarnation) -> Leases? {
    guard let index = accounts.firstIndex(where: { $0.member == member && $0.incarnation == incarnation }) else {
      return nil
    }
    if request.grant == accounts[index].last.grant {
      // Between two grants what is held only shrinks: of what comes late or is made up, nothing is added.
      var held = UnitSet()
      for unit in accounts[index].held.ranges.joined() where request.held.contains(unit) { held.insert(unit) }
      accounts[index].held = held
      return nil
    }
    return request.grant < accounts[index].last.grant ? accounts[index].last : nil
  }

  /// Units for a worker: those that came back first, then new ones, below a limit.
  package mutating func grant(_ count: Int, below limit: Int, to member: Member, _ incarnation: Incarnation) -> Leases?
  {
    var units = UnitSet()
    var taken = 0
    while taken < count, let unit = returned.ranges.first?.lowerBound, unit < limit {
      returned.remove(unit)
      units.insert(unit)
      taken += 1
    }
    while taken < count, frontier < limit {
      if !applied.contains(frontier) {
        units.insert(frontier)
        taken += 1
      }
      frontier += 1
    }
    applied.removeAll(below: frontier)
    guard taken > 0 else { return nil }
    return record(units, to: member, incarnation)
  }

  private mutating func record(_ units: UnitSet, to member: Member, _ incarnation: Incarnation) -> Leases {
    if let index = accounts.firstIndex(where: { $0.member == member && $0.incarnation == incarnation }) {
      let leases = Leases(grant: accounts[index].last.grant + 1, units: units)
      accounts[index].last = leases
      for unit in units.ranges.joined() { accounts[index].held.insert(unit) }
      return leases
    }
    let leases = Leases(grant: 1, units: units)
    accounts.append(Account(member: member, incarnation: incarnation, last: leases, held: units))
    return leases
  }

  /// Goes on from a journal: a grant that was given.
  package mutating func replay(_ leases: Leases, to member: Member, _ incarnation: Incarnation) {
    for unit in leases.units.ranges.joined() {
      returned.remove(unit)
      frontier = max(frontier, unit + 1)
    }
    if let index = accounts.firstIndex(where: { $0.member == member && $0.incarnation == incarnation }) {
      accounts[index].last = leases
      for unit in leases.units.ranges.joined() { accounts[index].held.insert(unit) }
    } else {
      accounts.append(Account(member: member, incarnation: incarnation, last: leases, held: leases.units))
    }
  }

  /// Goes on from a journal that was condensed.
  package init(_ stand: LeaseStand) {
    frontier = stand.frontier
    returned = stand.returned
    applied = stand.applied
  }

  /// What a journal says of the book instead of all that led to it.
  package var condensed: [JournalRecord] {
    var records = [
      JournalRecord.leaseBook(LeaseStand(frontier: frontier, returned: returned, applied: applied))
    ]
    for account in accounts {
      // What is held of earlier grants comes first: a worker that has not heard of the last is given that again, alone.
      var earlier = account.held
      for unit in account.last.units.ranges.joined() { earlier.remove(unit) }
      var rest = ArraySlice(Array(earlier.ranges.joined()))
      while !rest.isEmpty {
        var units = UnitSet()
        for unit in rest.prefix(Leases.maximumUnits) { units.insert(unit) }
        rest = rest.dropFirst(Leases.maximumUnits)
        let grant = Leases(grant: account.last.grant - 1, units: units)
        records.append(.leased(account.member, account.incarnation, grant))
      }
      records.append(.leased(account.member, account.incarnation, account.last))
    }
    return records
  }

  /// What a book that knows more of what is finished says otherwise; nil where it says nothing else.
  func difference(_ other: LeaseBook) -> String? {
    if frontier > other.frontier { return "units from \(other.frontier) to \(frontier) leased once more" }
    for others in other.accounts {
      guard let account = accounts.first(where: { $0.incarnation == others.incarnation }) else {
        return "leases of a worker that was given none"
      }
      if account.last != others.last { return "another last grant of \(account.member)" }
      for unit in others.held.ranges.joined() where !account.held.contains(unit) {
        return "unit \(unit) held by \(account.member), which was not given it"
      }
    }
    // Who is gone may be known by the second alone.
    let gone = accounts.filter { account in !other.accounts.contains { $0.incarnation == account.incarnation } }
    for unit in other.returned.ranges.joined()
    where unit < frontier && !returned.contains(unit) && !gone.contains(where: { $0.held.contains(unit) }) {
      return "unit \(unit) leased again, which nobody gave back"
    }
    return nil
  }

  /// A worker is gone: what it holds can be leased to others.
  package mutating func remove(_ incarnation: Incarnation) {
    for account in accounts where account.incarnation == incarnation {
      for unit in account.held.ranges.joined() { returned.insert(unit) }
    }
    accounts.removeAll { $0.incarnation == incarnation }
  }

  /// Only these workers are still there.
  package mutating func keep(_ incarnations: [Incarnation]) {
    for account in accounts where !incarnations.contains(account.incarnation) { remove(account.incarnation) }
  }

  /// Every server has applied all units below one: nothing of them is given out again.
  package mutating func finish(below unit: Int) {
    returned.removeAll(below: unit)
    for index in accounts.indices { accounts[index].held.removeAll(below: unit) }
  }
}

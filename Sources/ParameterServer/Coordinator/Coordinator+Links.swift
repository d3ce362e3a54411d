/// A member that hears nothing of a server, although both speak to the coordinator.
public struct Stall: Hashable, Sendable {
  /// Who waits.
  public let waiter: Member
  /// The server's address, as the view says.
  public let address: String
  /// For which server, since when, for what.
  public let wait: Wait

  /// One line for a person.
  public var text: String {
    "\(waiter) waits for \(wait.server) at \(address) for \(wait.milliseconds / 1000) s (\(wait.request))"
  }
}

/// Members that were removed because one did not reach the other, by place.
struct Suspensions: Sendable {
  private struct Entry: Sendable {
    let member: Member
    var removals = 0
    /// Until then it stands by; nil from when on it may work again.
    var until: Moment?
  }

  private var entries: [Entry] = []
  /// Who is removed so often is not tried again.
  static let maximumRemovals = 3

  /// Removes a member once more.
  mutating func add(_ member: Member, at now: Moment, _ deadlines: Deadlines) {
    if !entries.contains(where: { $0.member == member }) { entries.append(Entry(member: member)) }
    for index in entries.indices where entries[index].member == member {
      entries[index].removals += 1
      let isLast = entries[index].removals >= Self.maximumRemovals
      entries[index].until =
        isLast
        ? Moment(milliseconds: .max) : now.advanced(milliseconds: deadlines.suspension << (entries[index].removals - 1))
    }
  }

  /// Whether a member only stands by.
  func holds(_ member: Member) -> Bool { entries.contains { $0.member == member && $0.until != nil } }

  /// Ends those that are over; returns whose.
  mutating func end(at now: Moment) -> [Member] {
    end { $0.until.map { $0 <= now } ?? false }
  }

  /// Ends those of a role, whose members are needed. Who was removed too often is not tried again.
  mutating func end(of role: Role) -> [Member] {
    end { $0.member.role == role && $0.until != nil && $0.removals < Self.maximumRemovals }
  }

  private mutating func end(_ isOver: (Entry) -> Bool) -> [Member] {
    var ended: [Member] = []
    for index in entries.indices where isOver(entries[index]) {
      entries[index].until = nil
      ended.append(entries[index].member)
    }
    return ended
  }
}

/// Progress is watched: who waits for a server that it does not reach is told of, and then gone on without one of the two.
extension Coordinator {
  /// The waits of members of the view for servers that the coordinator hears, of so many milliseconds at least.
  func stalls(of milliseconds: UInt64, at now: Moment) -> [Stall] {
    guard let view, recovery == nil, case .running = phase else { return [] }
    var stalls: [Stall] = []
    for index in roster.entries.indices where !roster.entries[index].waits.isEmpty {
      let (member, waits) = (roster.entries[index].member, roster.entries[index].waits)
      guard view.incarnation(of: member) == roster.entries[index].incarnation else { continue }
      for wait in waits where wait.milliseconds >= milliseconds {
        guard let line = view.server(wait.server), line.incarnation == roster[wait.server]?.incarnation else {
          continue
        }
        stalls.append(Stall(waiter: member, address: line.address, wait: wait))
      }
    }
    return stalls
  }

  mutating func watchLinks(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    for member in suspensions.end(at: now) { rejoin(member, at: now, &effects) }
    // Rather one that may not reach all than none.
    for role in [Role.server, .worker] where roster.readyCount(role) == 0 {
      for member in suspensions.end(of: role) { rejoin(member, at: now, &effects) }
    }
    let stalls = stalls(of: deadlines.stallReport, at: now)
    guard !stalls.isEmpty || !toldStalls.isEmpty else { return }
    for stall in stalls
    where !toldStalls.contains(where: { $0.waiter == stall.waiter && $0.server == stall.wait.server }) {
      effects.append(.report(.stalled(stall)))
    }
    toldStalls = stalls.map { ($0.waiter, $0.wait.server) }
    guard let worst = stalls.max(by: { $0.wait.milliseconds < $1.wait.milliseconds }),
      worst.wait.milliseconds >= deadlines.stallAction
    else { return }
    resolve(worst, among: stalls, at: now, &effects)
  }

  /// A member that stood by works again.
  private mutating func rejoin(_ member: Member, at now: Moment, _ effects: inout [CoordinatorEffect]) {
    roster.suspend(member, false)
    if roster[member]?.isReady == true { memberJoined(member, at: now, &effects) }
  }

  /// Goes on without one of the two, or ends the job where nobody would be left.
  private mutating func resolve(
    _ stall: Stall, among stalls: [Stall], at now: Moment, _ effects: inout [CoordinatorEffect]
  ) {
    guard let removed = removed(for: stall, among: stalls) else { return end(.failed(stall.text), at: now, &effects) }
    forget(removed)
    // In the place of the one who goes: whoever stood by, where nobody else is left of its role.
    if roster.readyCount(removed.role) == 0 {
      for member in suspensions.end(of: removed.role) { roster.suspend(member, false) }
    }
    suspensions.add(removed, at: now, deadlines)
    futileReturns.regrouped()
    membersLeft([removed], stall.text, since: now, at: now, &effects)
  }

  /// Who of the two goes: whom others miss too, or who alone does not reach a server. Nil where the job cannot go on
  /// without either.
  private func removed(for stall: Stall, among stalls: [Stall]) -> Member? {
    let server = stall.wait.server
    let missing = stalls.filter { $0.wait.server == server }.map(\.waiter)
    if stall.waiter.role == .server {
      // The one of the two that more miss; of equals the later.
      let missed = stalls.count { $0.wait.server == stall.waiter }
      return missed > missing.count || (missed == missing.count && stall.waiter > server) ? stall.waiter : server
    }
    let workers = missing.count { $0.role == .worker }
    let canDoWithoutServer = canDoWithout(server)
    let reachedByOthers = workers < (view?.workers.count ?? 0)
    if canDoWithoutServer, missing.count > 1 || !reachedByOthers { return server }
    if reachedByOthers || canDoWithout(stall.waiter) { return stall.waiter }
    return nil
  }

  /// Whether another of a member's role can work, or may be tried again.
  private func canDoWithout(_ member: Member) -> Bool {
    if roster.readyCount(member.role) > 1 { return true }
    var suspensions = suspensions
    return suspensions.end(of: member.role).contains { roster[$0] != nil }
  }
}

/// Who comes and who goes, and what they say.
extension Coordinator {
  mutating func receive(
    _ envelope: Envelope, from connection: Connection, payload: ReceivedPayload?, at now: Moment,
    _ effects: inout [CoordinatorEffect]
  ) {
    if case .snapshot(let position) = envelope.message, let payload {
      return receive(position, payload, of: envelope, connection, at: now, &effects)
    }
    if let payload { effects.append(.release(payload.handle)) }
    guard envelope.token == token else {
      return refuse(Fence.wrongJob, connection, stranger: envelope.token, &effects)
    }
    // What another coordinator would be told is nothing for this one; refusals are never answered.
    if case .refused = envelope.message { return drops.count(.refusal) }
    switch envelope.message {
    case .hello(let hello): return join(hello, envelope.incarnation, connection, at: now, &effects)
    case .statusRequest: return send(.status(status(at: now)), to: connection, &effects)
    case .setMode(let mode): return setMode(mode, connection, at: now, &effects)
    case .outranked(let term): return outranked(by: term, &effects)
    default: break
    }
    guard roster.hear(envelope.sender, envelope.incarnation, connection, at: now) else {
      // The goodbye of a process that was not taken, or one that came twice.
      if case .leaving = envelope.message { return drops.count(.outdated) }
      if endedLives.contains(envelope.incarnation) { return dismiss(connection, &effects) }
      let refusal = Refusal(
        .deadIncarnation, "\(envelope.sender) has no place in this job any more, or another process has it")
      return refuse(refusal, connection, &effects)
    }
    receive(envelope, connection, at: now, &effects)
  }

  private mutating func receive(
    _ envelope: Envelope, _ connection: Connection, at now: Moment, _ effects: inout [CoordinatorEffect]
  ) {
    let sender = envelope.sender
    if case .leaving(let leaving) = envelope.message { return left(sender, leaving, connection, at: now, &effects) }
    if case .ending(let reason, _) = phase { return send(.stop(reason), to: connection, &effects) }
    let isCurrent = view.map { envelope.view == $0.number } ?? false
    switch envelope.message {
    case .viewAccepted, .stateLost, .leaseRequest:
      // Who is of an earlier view is told the new one when it tells how far it is.
      guard isCurrent else { return drops.count(.outdated) }
    default: break
    }
    switch envelope.message {
    case .ready(let ready): memberReady(ready, of: sender, connection, at: now, &effects)
    case .viewAccepted(let closed):
      viewAccepted(by: sender, connection, closed: closed, at: now, &effects)
    case .stateLost(let chunk): stateLost(chunk, by: sender, connection, at: now, &effects)
    case .progress(let progress):
      if let problem = problem(of: progress, from: sender) {
        return refuse(outOfBounds(sender, problem), connection, &effects)
      }
      roster.record(progress, of: sender, isCurrent: isCurrent)
      if isCurrent, sender.role == .server, let view, progress.steps > UInt64(view.origin.step) {
        futileReturns.stepped()
      }
      if let (milliseconds, isLate) = roster.begins(sender, at: now) {
        effects.append(.report(.computes(sender, milliseconds: milliseconds, isLate: isLate)))
      }
      send(.alive, to: connection, &effects)
      let isWaitedFor = sender.role == .server && !isPlaced && !accepted.contains(sender)
      if !isCurrent || isWaitedFor { tellAgain(sender, at: now, &effects) }
      progressed(at: now, &effects)
    case .leaseRequest(let request):
      lease(request, to: sender, envelope.incarnation, connection, &effects)
    case .snapshot:
      refuse(Refusal(.malformed, "a snapshot of \(sender) came without its floats"), connection, &effects)
    default:
      refuse(Refusal(.misplaced, "a coordinator takes no such message from \(sender)"), connection, &effects)
    }
  }

  /// Why what a member says of itself is none that this job makes possible, or nil.
  private func problem(of progress: Progress, from member: Member) -> String? {
    guard let rules = view?.rules, roster.isReady(member) else {
      return progress.isNothing ? nil : "it tells of work, and has been given none"
    }
    return rules.problem(of: progress, from: member.role)
  }

  func outOfBounds(_ member: Member, _ problem: String) -> Refusal {
    Refusal(.outOfBounds, "\(member) says what cannot be: \(problem)")
  }

  // MARK: Coming

  private mutating func join(
    _ hello: Hello, _ incarnation: Incarnation, _ connection: Connection, at now: Moment,
    _ effects: inout [CoordinatorEffect]
  ) {
    if case .ending(let reason, _) = phase { return send(.stop(reason), to: connection, &effects) }
    if endedLives.contains(incarnation) { return dismiss(connection, &effects) }
    switch roster.join(hello, incarnation, connection, at: now, silence: deadlines.silence, isLate: hasBegun) {
    case .success(let entry, let isNew):
      if isNew { effects.append(.report(.joined(entry.member, name: entry.name))) }
      send(.welcome(Welcome(member: entry.member, job: plan.job)), to: connection, &effects)
    case .failure(let refusal): refuse(refusal, connection, &effects)
    // It asks again until the holder of its name is heard, or gone.
    case .later: drops.count(.untimely)
    }
  }

  private mutating func memberReady(
    _ ready: Ready, of sender: Member, _ connection: Connection, at now: Moment,
    _ effects: inout [CoordinatorEffect]
  ) {
    // Said again with every sign of life until the view has come.
    if roster[sender]?.ready != nil {
      send(.alive, to: connection, &effects)
      return tellAgain(sender, at: now, &effects)
    }
    if let refusal = roster.mismatch(ready, of: sender, plan: plan, agreed: agreed) {
      roster.remove(sender)
      return refuse(refusal, connection, &effects)
    }
    roster.setReady(ready, sender)
    roster.suspend(sender, suspensions.holds(sender))
    if sender.role == .worker, agreed == nil {
      agreed = Agreement(fingerprint: ready.engineFingerprint, data: ready.digests.data, samples: ready.samples)
    }
    send(.alive, to: connection, &effects)
    if roster[sender]?.isSuspended == true { return }
    switch phase {
    case .gathering:
      if roster.isComplete { begin(at: now, &effects) }
    case .running: memberJoined(sender, at: now, &effects)
    case .ending, .over: break
    }
  }

  mutating func memberJoined(_ member: Member, at now: Moment, _ effects: inout [CoordinatorEffect]) {
    disturb(at: now)
    if recovery != nil {
      if case .gathering = recovery, roster.readyCount(.server) >= plan.servers { startRecovery(at: now, &effects) }
      return
    }
    // A server that nothing is placed on waits until it is needed.
    if member.role == .server, !plan.hasReplicas { return }
    revise(.joined(member), at: now, &effects)
  }

  // MARK: Going

  private mutating func left(
    _ member: Member, _ leaving: Leaving, _ connection: Connection, at now: Moment,
    _ effects: inout [CoordinatorEffect]
  ) {
    // It is gone whatever it says last.
    if let problem = problem(of: leaving.progress, from: member) {
      refuse(outOfBounds(member, problem), connection, &effects)
    } else {
      roster.record(leaving.progress, of: member, isCurrent: false)
    }
    let isEnding: Bool
    if case .ending = phase { isEnding = true } else { isEnding = false }
    forget(member)
    if isEnding {
      effects.append(.journal(.totals(pastTotals, pastStaleness)))
      return leaveIfAlone(at: now, &effects)
    }
    guard leaving.isOrderly else {
      return end(.failed("\(member): \(leaving.text)", leaving.kind), at: now, &effects)
    }
    membersLeft([member], leaving.text, since: now, at: now, &effects)
  }

  /// The launcher says that a process has ended.
  mutating func ended(_ name: String, at now: Moment, _ effects: inout [CoordinatorEffect]) {
    // A process that has left or was removed before it ended.
    guard let entry = roster.entry(named: name) else { return drops.count(.outdated) }
    let member = entry.member
    endedLives.append(entry.incarnation)
    if endedLives.count > Self.rememberedEnds { endedLives.removeFirst() }
    forget(member)
    if case .ending = phase {
      effects.append(.journal(.totals(pastTotals, pastStaleness)))
      return leaveIfAlone(at: now, &effects)
    }
    membersLeft([member], "its process has ended", since: now, at: now, &effects)
  }

  /// Lives that are remembered as ended: more than have one name between two words of the launcher.
  private static let rememberedEnds = 256

  /// Sends away a process that its launcher has lost. Fenced, it would come back as another life, and could be there
  /// before the process that is started in its place.
  private func dismiss(_ connection: Connection, _ effects: inout [CoordinatorEffect]) {
    let text = "whoever started this process has lost it, and starts another in its place"
    send(.stop(.failed(text)), to: connection, &effects)
  }

  /// Takes a member out of the roster; what it reported stays.
  mutating func forget(_ member: Member) {
    if let entry = roster[member] {
      for totals in entry.epochs { Self.add(totals, to: &pastTotals) }
      pastShards = pastShards.adding(entry.shards)
      pastRefused.add(entry.refused)
      pastStaleness.add(entry.staleness)
      book?.remove(entry.incarnation)
    }
    roster.remove(member)
  }

  /// Members are gone: the job goes on without them.
  mutating func membersLeft(
    _ members: [Member], _ text: String, since: Moment, at now: Moment, _ effects: inout [CoordinatorEffect]
  ) {
    guard case .running = phase, let view else { return }
    // Of those too who only stood by: what they computed counts.
    effects.append(.journal(.totals(pastTotals, pastStaleness)))
    let wereInView = members.filter { view.incarnation(of: $0) != nil }
    guard let first = wereInView.first else { return }
    disturb(at: since)
    guard recovery == nil else { return }
    futileReturns.note("\(first) was gone: \(text)")
    revise(.removed(first, text), at: now, &effects)
  }

  func disturbance(at now: Moment) -> Moment { disturbedAt ?? now }

  mutating func disturb(at moment: Moment) {
    if disturbedAt.map({ moment < $0 }) ?? true { disturbedAt = moment }
  }

  // MARK: Leases

  private mutating func lease(
    _ request: LeaseRequest, to worker: Member, _ incarnation: Incarnation, _ connection: Connection,
    _ effects: inout [CoordinatorEffect]
  ) {
    guard let view, worker.role == .worker else {
      return refuse(Refusal(.misplaced, "\(worker) is no worker, and asks for shards"), connection, &effects)
    }
    // It asks again with its next sign of life.
    guard isPlaced, recovery == nil, wantedMode == nil, var book else { return drops.count(.untimely) }
    guard view.rules.contains(request.held), request.grant <= book.newestGrant(of: worker, incarnation) else {
      let problem = "it holds shards up to \(request.held.ranges.last?.upperBound ?? 0), of grant \(request.grant)"
      return refuse(outOfBounds(worker, problem), connection, &effects)
    }
    defer { self.book = book }
    if let again = book.note(request, of: worker, incarnation) { return send(.leases(again), to: connection, &effects) }
    guard request.wantsMore else { return drops.count(.needless) }
    guard let (range, isLast) = leasedUnits(book, view.rules) else { return drops.count(.needless) }
    book.skip(to: range.lowerBound)
    let left = max(0, range.upperBound - book.frontier) + book.returned.count
    let share = isLast ? max(1, left / (2 * max(1, view.workers.count))) : left
    let count = min(left, share, lookAhead(of: worker))
    guard count > 0, let leases = book.grant(count, below: range.upperBound, to: worker, incarnation) else {
      return drops.count(.needless)
    }
    effects.append(.journal(.leased(worker, incarnation, leases)))
    send(.leases(leases), to: connection, &effects)
  }

  /// Work for twice the time that a coordinator needs to be restarted, so that nobody waits for it.
  private func lookAhead(of worker: Member) -> Int {
    let rate = roster[worker]?.speed.rate ?? 2_000
    return Int(clamping: min(UInt64(Leases.maximumUnits), max(2, rate * 2 * deadlines.replacement / 1_000_000)))
  }

  /// The units that can be leased now, of the first segment that has any: those never leased, and the bound of those
  /// that came back; whether it is the last segment. Nil where there are none.
  private func leasedUnits(_ book: LeaseBook, _ rules: JobRules) -> (Range<Int>, isLast: Bool)? {
    let shards = rules.schedule.tree.shards
    let returned = book.returned.ranges.first?.lowerBound ?? .max
    for (index, segment) in rules.segments.enumerated() where segment.consistency.isLeased {
      let isLast = index + 1 == rules.segments.count
      let end = (isLast ? rules.steps : min(rules.steps, rules.segments[index + 1].firstStep)) * shards
      let first = max(book.frontier, segment.firstStep * shards)
      if returned < end { return (min(book.frontier, end)..<end, isLast) }
      if first < end { return (first..<end, isLast) }
    }
    return nil
  }
}

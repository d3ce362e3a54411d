/// A checkpoint that is being stored.
struct PendingMark: Sendable {
  let mark: CheckpointMark
  let era: UInt32
}

/// The last cut where the disk has refused it.
struct RefusedMark: Sendable {
  let mark: CheckpointMark
  /// When it was refused first.
  let since: Moment
  /// How long is waited after the next refusal.
  var pause: UInt64
  /// When it is tried again.
  var next: Moment
}

/// Checkpoints, and the way back to them.
extension Coordinator {
  // MARK: Cuts

  mutating func receive(
    _ position: ChunkPosition, _ payload: ReceivedPayload, of envelope: Envelope, _ connection: Connection,
    at now: Moment, _ effects: inout [CoordinatorEffect]
  ) {
    let sender = envelope.sender
    guard envelope.token == token else {
      effects.append(.release(payload.handle))
      return refuse(Fence.wrongJob, connection, stranger: envelope.token, &effects)
    }
    guard roster.hear(sender, envelope.incarnation, connection, at: now) else {
      effects.append(.release(payload.handle))
      let refusal = Refusal(.deadIncarnation, "\(sender) has no place in this job, and sends a snapshot")
      return refuse(refusal, connection, &effects)
    }
    if case .ending(let reason, _) = phase {
      effects.append(.release(payload.handle))
      return send(.stop(reason), to: connection, &effects)
    }
    // A job that goes back, or has another view, makes its cuts anew.
    guard let view, recovery == nil, envelope.view == view.number else {
      effects.append(.release(payload.handle))
      return drops.count(.outdated)
    }
    guard position.isSound(view.rules), view.server(sender)?.chunks.contains(position.chunk) == true else {
      effects.append(.release(payload.handle))
      let refusal =
        position.isSound(view.rules)
        ? Refusal(.misplaced, "\(sender) does not serve chunk \(position.chunk), and sends a snapshot of it")
        : outOfBounds(sender, "chunk \(position.chunk) at version \(position.version), \(position.closed) steps closed")
      return refuse(refusal, connection, &effects)
    }
    let isLast = Int(position.closed) == view.rules.steps
    let (isNew, complete) = cuts.take(position, chunks: view.rules.chunks.count, isLast: isLast, &effects)
    if isNew {
      effects.append(.collect(position, cut: Int(position.closed), payload: payload.handle))
    } else {
      effects.append(.release(payload.handle))
      if Int(position.closed) <= cuts.newest { noteStaleCut(Int(position.closed), at: now) }
    }
    send(.snapshotTaken(chunk: position.chunk, version: position.version), to: connection, &effects)
    if let complete { store(complete, view.rules, isLast: isLast, at: now, &effects) }
  }

  /// A cut that closes no more steps than the newest makes no checkpoint: it is over, and the next may begin.
  private mutating func noteStaleCut(_ step: Int, at now: Moment) {
    guard cuts.isMarking, step >= cuts.floor else { return }
    cuts.isMarking = false
    cutAt = now
  }

  private mutating func store(
    _ cut: OpenCut, _ rules: JobRules, isLast: Bool, at now: Moment, _ effects: inout [CoordinatorEffect]
  ) {
    // The last of an earlier cut may come while the next is marked, which workers hold their pushes back for.
    if cut.step >= cuts.floor { cuts.isMarking = false }
    cutAt = now
    // A disk that is slower than the cuts come is not made to queue them.
    guard isLast || cuts.storing.isEmpty else {
      effects.append(.report(.passedOver(cut: cut.step)))
      return effects.append(.abandon(cut: cut.step))
    }
    cuts.storing.append(cut.step)
    let mark = CheckpointMark(step: cut.step, version: cut.version, rules: rules, covered: cut.covered)
    pendingMarks.append(PendingMark(mark: mark, era: view?.era ?? 0))
    effects.append(.store(mark))
  }

  mutating func stored(_ step: Int, at now: Moment, _ effects: inout [CoordinatorEffect]) {
    cuts.storing.removeAll { $0 == step }
    guard let index = pendingMarks.firstIndex(where: { $0.mark.step == step }) else { return drops.count(.outdated) }
    let mark = pendingMarks.remove(at: index).mark
    effects.append(.journal(.checkpoint(mark)))
    effects.append(.journal(.totals(pastTotals, pastStaleness)))
    effects.append(.report(.stored(step: step)))
    if step == mark.rules.steps {
      isCompleted = true
      effects.append(.journal(.completed))
      end(.completed, at: now, &effects)
    }
  }

  mutating func notStored(_ step: Int, _ text: String, at now: Moment, _ effects: inout [CoordinatorEffect]) {
    effects.append(.report(.notStored(step: step, text)))
    guard let index = pendingMarks.firstIndex(where: { $0.mark.step == step }) else { return }
    let pending = pendingMarks.remove(at: index)
    let mark = pending.mark
    guard step == mark.rules.steps else { return cuts.storing.removeAll { $0 == step } }
    // A job that has gone back meanwhile makes its last cut again.
    guard recovery == nil, pending.era == view?.era else { return effects.append(.abandon(cut: step)) }
    // The last cut is the result: it is kept and tried again, as long as somebody may make room for it.
    var refused = refusedMark ?? RefusedMark(mark: mark, since: now, pause: deadlines.heartbeat, next: now)
    guard now.milliseconds(since: refused.since) < deadlines.storing else {
      return end(.failed("the model could not be stored: \(text)"), at: now, &effects)
    }
    refused.next = now.advanced(milliseconds: refused.pause)
    refused.pause = min(refused.pause * 2, deadlines.storingPause)
    refusedMark = refused
  }

  /// Tries once more to store the last cut.
  mutating func storeAgain(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard let refusedMark, recovery == nil, now >= refusedMark.next,
      !pendingMarks.contains(where: { $0.mark == refusedMark.mark })
    else {
      return
    }
    pendingMarks.append(PendingMark(mark: refusedMark.mark, era: view?.era ?? 0))
    effects.append(.store(refusedMark.mark))
  }

  /// Begins a cut where pushes are applied one by one and the servers have gone far enough.
  mutating func progressed(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard let view, isPlaced, recovery == nil else { return }
    let closed = servedSteps
    if closed <= view.rules.steps { book?.finish(below: closed * view.rules.schedule.tree.shards) }
    // Whoever has not heard of the cut holds up all others.
    if cuts.isMarking { return markCut(&effects) }
    guard let every = plan.checkpointEvery, closed < view.rules.steps, !view.rules.consistency(ofStep: closed).isSummed,
      closed / every > max(cuts.newest, view.origin.step) / every
    else { return }
    markCut(&effects)
  }

  /// Steps that every server has closed, as far as is known.
  private var servedSteps: Int {
    guard let view else { return 0 }
    // By index: a line that is copied costs more than what is asked of it.
    let servers = view.servers
    return servers.indices.reduce(Int.max) {
      servers[$1].chunks.isEmpty ? $0 : min($0, Int(clamping: roster.steps(of: servers[$1].member)))
    }
  }

  private mutating func markCut(_ effects: inout [CoordinatorEffect]) {
    guard let view else { return }
    if !cuts.isMarking {
      // Of two cuts after the same steps nobody could tell which is over.
      let closed = servedSteps
      guard !cuts.open.contains(where: { $0.step >= closed }) else { return }
      cuts.number += 1
      cuts.floor = closed
      cuts.isMarking = true
    }
    for worker in view.workers { send(.cut(cuts.number), to: roster[worker.member]?.connection, &effects) }
  }

  /// Begins a cut where the last is long ago.
  mutating func cutByTime(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard let view, isPlaced, let interval = plan.checkpointInterval else { return }
    guard let last = cutAt else {
      cutAt = now
      return
    }
    guard now.milliseconds(since: last) >= interval else { return }
    let closed = servedSteps
    guard closed < view.rules.steps else { return }
    guard view.rules.consistency(ofStep: closed).isSummed else { return markCut(&effects) }
    // Far enough ahead that no server has closed it before the message comes.
    cutAt = now
    let step = begunSteps + max(8, begunSteps / 64)
    for server in view.servers {
      send(.cut(UInt64(min(step, view.rules.steps))), to: roster[server.member]?.connection, &effects)
    }
  }

  // MARK: The way back

  mutating func stateLost(
    _ chunk: UInt32, by member: Member, _ connection: Connection, at now: Moment, _ effects: inout [CoordinatorEffect]
  ) {
    guard let view, let line = view.server(member) else {
      return refuse(Refusal(.misplaced, "\(member) is no server, and lacks a chunk"), connection, &effects)
    }
    guard Int(chunk) < view.rules.chunks.count else {
      return refuse(outOfBounds(member, "it lacks chunk \(chunk)"), connection, &effects)
    }
    // Whoever works in the view has all that it needs: what it said before it had is late.
    guard recovery == nil, !accepted.contains(member) else { return drops.count(.outdated) }
    let isRestoring: Bool
    if view.isBeginning, case .checkpoint = view.origin { isRestoring = true } else { isRestoring = false }
    guard line.chunks.contains(chunk) || isRestoring && line.replicas.contains(chunk) else {
      return refuse(Refusal(.misplaced, "\(member) lacks chunk \(chunk), which is not its own"), connection, &effects)
    }
    if isRestoring { return restore([chunk], to: member, &effects) }
    disturb(at: now)
    futileReturns.note("\(member) had no state of chunk \(chunk)")
    lose(at: now, &effects)
  }

  /// Chunks are lost: back to the last checkpoint, on as many servers as there were where they come in time.
  mutating func lose(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    cuts.abandonAll(&effects)
    if let refused = refusedMark?.mark.step {
      effects.append(.abandon(cut: refused))
      refusedMark = nil
    }
    isPlaced = false
    if let problem = futileReturns.goBack() { return end(.failed(problem), at: now, &effects) }
    gatherServers(at: now)
    if roster.readyCount(.server) >= plan.servers { startRecovery(at: now, &effects) }
  }

  mutating func gatherServers(at now: Moment) {
    recovery = .gathering(until: now.advanced(milliseconds: deadlines.replacement))
  }

  mutating func startRecovery(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard roster.readyCount(.server) > 0 else { return gatherServers(at: now) }
    recovery = .loading
    effects.append(.load)
  }

  mutating func loaded(_ mark: CheckpointMark?, at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard case .loading = recovery else { return drops.count(.outdated) }
    guard let rules else { return end(.failed("the job has no step to begin with"), at: now, &effects) }
    guard let mark else {
      newestCheckpoint = nil
      return beginEra(.initial, rules, covered: UnitSet(), at: now, &effects)
    }
    guard let resumed = resumedRules(rules, mark) else {
      return end(.failed("the checkpoint of step \(mark.step) does not fit the job's steps"), at: now, &effects)
    }
    newestCheckpoint = mark
    beginEra(.checkpoint(step: mark.step), resumed, covered: mark.covered, at: now, &effects)
  }

  /// The rules by which the job goes on from a checkpoint; nil where it cannot.
  private func resumedRules(_ rules: JobRules, _ mark: CheckpointMark) -> JobRules? {
    guard view == nil, plan.keepsModes else { return rules.resuming(mark) }
    let segments = mark.rules.segments.filter { $0.firstStep < rules.steps }
    return (rules.with(segments) ?? rules).resuming(mark)
  }
}

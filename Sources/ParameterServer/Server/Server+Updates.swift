/// Updates: ordered, repeated by the replica, then seen.
extension Server {
  mutating func order(_ update: Update, _ gradient: GradientHandle, _ effects: inout [ServerEffect]) {
    let chunk = Int(update.chunk)
    let isReplicated = chunks[chunk]?.begin(update, gradient: gradient) == true
    effects.append(.apply(update, gradient: gradient))
    if isReplicated { sendUpdate(chunk, &effects) }
  }

  /// Sends the update under way to the replica, where that has everything before it.
  mutating func sendUpdate(_ chunk: Int, _ effects: inout [ServerEffect]) {
    guard let (replica, open) = chunks[chunk]?.unconfirmed else { return }
    send(.replicate(open.update), to: .server(replica), payload: .gradient(open.gradient), &effects)
  }

  /// Sends the replica all of a chunk, with the update under way where it is made here.
  mutating func sendState(_ chunk: Int, _ effects: inout [ServerEffect]) {
    guard let state = chunks[chunk], let replica = state.replica, state.holdsState else { return }
    var position = ChunkPosition(
      chunk: UInt32(chunk), version: state.version, closed: UInt64(state.closed), covered: state.covered,
      previous: state.previous, scale: state.scale)
    if let open = state.open {
      // Half an update cannot be sent: its end sends the state.
      guard open.isApplied else { return }
      var covered = state.covered
      if let unit = open.update.unit { covered.insert(Int(unit)) }
      covered.removeAll(below: Int(open.update.closed) * (view?.rules.schedule.tree.shards ?? 1))
      position = ChunkPosition(
        chunk: UInt32(chunk), version: open.update.version, closed: max(UInt64(state.closed), open.update.closed),
        covered: covered, previous: ChunkPosition.Previous(version: state.version, closed: UInt64(state.closed)),
        scale: open.update.scale)
    }
    send(.replica(position), to: .server(replica), payload: .state(chunk: chunk), &effects)
  }

  /// An ordered update was made.
  mutating func applied(_ chunk: Int, _ version: UInt64, _ effects: inout [ServerEffect]) {
    // The update of an era that is over, or of a chunk that went elsewhere, was given up.
    guard chunks.indices.contains(chunk) else { return drops.count(.outdated) }
    switch chunks[chunk]?.made(version) {
    case nil, .void: return drops.count(.outdated)
    case .doubtful: return askForState(chunk, &effects)
    case .good(let owesState): if owesState { sendState(chunk, &effects) }
    }
    publish(chunk, &effects)
  }

  /// Makes an update visible once it is made here and on the replica, and goes on with what waits.
  mutating func publish(_ chunk: Int, _ effects: inout [ServerEffect]) {
    guard let rules = view?.rules, let published = chunks[chunk]?.publish(rules) else { return }
    effects.append(.release(published.gradient))
    guard published.isPrimary else { return confirm(chunk, published.version, &effects) }
    answerWaiters(of: chunk, &effects)
    if published.closed > published.closedBefore, isCut(from: published.closedBefore, to: published.closed, rules) {
      snapshot(chunk, &effects)
    }
    if published.hasNext, let next = chunks[chunk]?.dequeue() {
      orderSingle(next, rules, &effects)
    } else {
      snapshotForCut(chunk, &effects)
    }
  }

  private mutating func isCut(from earlier: Int, to closed: Int, _ rules: JobRules) -> Bool {
    // Where pushes are applied one by one, a chunk that has closed a step holds parts of later ones: markers make the cut.
    guard closed < rules.steps else { return true }
    guard rules.consistency(ofStep: closed - 1).isSummed else { return false }
    return rules.isCut(from: earlier, to: closed) || (earlier < commandedCut && closed >= commandedCut)
  }

  /// Tells the primary which version is here.
  private mutating func confirm(_ chunk: Int, _ version: UInt64, _ effects: inout [ServerEffect]) {
    guard let view, let holder = view.serverOfChunk?[chunk] else { return }
    send(
      .replicated(chunk: UInt32(chunk), version: version), to: .server(view.servers[holder].member), &effects)
  }

  /// A replica has a version.
  mutating func replicated(
    _ chunk: Int, _ version: UInt64, by sender: Member, _ effects: inout [ServerEffect]
  ) -> Refusal? {
    guard chunks.indices.contains(chunk) else { return Refusal(.outOfBounds, "there is no chunk \(chunk)") }
    switch chunks[chunk]?.replicated(version, by: sender) {
    case nil, .absent: return Refusal(.misplaced, "\(sender) keeps no replica of chunk \(chunk) for \(session.member)")
    case .tooNew: return Refusal(.outOfBounds, "chunk \(chunk) has no version \(version) that \(sender) could have")
    case .known: drops.count(.repeated)
    case .noted(let owesUpdate): if owesUpdate { sendUpdate(chunk, &effects) }
    }
    publish(chunk, &effects)
    return nil
  }

  /// A replica that was the primary cannot go on from what it has.
  mutating func replicaLacksState(_ chunk: Int, by sender: Member, _ effects: inout [ServerEffect]) -> Refusal? {
    guard chunks.indices.contains(chunk) else { return Refusal(.outOfBounds, "there is no chunk \(chunk)") }
    guard let state = chunks[chunk], state.isPrimary, state.replica == sender else {
      return Refusal(.misplaced, "\(sender) keeps no replica of chunk \(chunk) for \(session.member)")
    }
    // Where it is not in step the state is on its way, or is sent when the update under way is made.
    guard state.isReplicaSynced else {
      drops.count(.repeated)
      return nil
    }
    chunks[chunk]?.isReplicaSynced = false
    sendState(chunk, &effects)
    return nil
  }

  // MARK: The replica's side

  /// Asks the primary for the state where an update that was made here may not be its own, once that is made.
  mutating func askForState(_ chunk: Int, _ effects: inout [ServerEffect]) {
    guard let view, let state = chunks[chunk], state.awaitsState, state.open?.isApplied ?? true,
      let holder = view.serverOfChunk?[chunk]
    else { return }
    send(.stateLost(chunk: UInt32(chunk)), to: .server(view.servers[holder].member), &effects)
  }

  private mutating func isPrimary(_ member: Member, of chunk: Int) -> Bool {
    guard let view, let holders = view.serverOfChunk, holders.indices.contains(chunk) else { return false }
    return view.servers[holders[chunk]].member == member
  }

  mutating func receive(
    _ update: Update, from primary: Member, _ source: Destination, payload: ReceivedPayload?,
    _ effects: inout [ServerEffect]
  ) -> Refusal? {
    let chunk = Int(update.chunk)
    guard let rules = view?.rules, chunks.indices.contains(chunk), let copy = chunks[chunk]?.replicaStanding,
      copy.isReplica, isPrimary(primary, of: chunk)
    else {
      return Refusal(.misplaced, "\(session.member) keeps no replica of chunk \(chunk) for \(primary)")
    }
    guard update.isSound(rules) else {
      return Refusal(
        .outOfBounds,
        "an update of chunk \(chunk) to version \(update.version) in step \(update.step) is none of this job's"
      )
    }
    guard let payload, payload.bytes == update.payloadBytes(rules) else {
      return Refusal(.malformed, "an update of chunk \(chunk) for step \(update.step) has another length")
    }
    if copy.lacksState {
      drops.count(.untimely)
      effects.append(.release(payload.handle))
      askForState(chunk, &effects)
      return nil
    }
    if !copy.holdsState || update.version != copy.version + 1 || copy.isUpdating {
      // Something before it is missing, which the primary sends, or it is here already.
      effects.append(.release(payload.handle))
      if copy.holdsState, update.version <= copy.version {
        drops.count(.repeated)
        confirm(chunk, copy.version, &effects)
      } else {
        drops.count(.untimely)
      }
      return nil
    }
    _ = chunks[chunk]?.begin(update, gradient: payload.handle)
    effects.append(.apply(update, gradient: payload.handle))
    return nil
  }

  mutating func receive(
    _ position: ChunkPosition, from primary: Member, _ source: Destination, payload: ReceivedPayload?,
    _ effects: inout [ServerEffect]
  ) -> Refusal? {
    let chunk = Int(position.chunk)
    guard let rules = view?.rules, chunks.indices.contains(chunk), let state = chunks[chunk], !state.isPrimary,
      isPrimary(primary, of: chunk)
    else {
      return Refusal(.misplaced, "\(session.member) keeps no replica of chunk \(chunk) for \(primary)")
    }
    guard position.isSound(rules) else {
      return Refusal(.outOfBounds, "a state of chunk \(chunk) at version \(position.version) is none of this job's")
    }
    guard let payload else { return Refusal(.malformed, "a state of chunk \(chunk) came without its floats") }
    let isStale =
      state.awaitsState ? state.open?.isApplied == false : state.open != nil || state.version >= position.version
    if state.holdsState, isStale {
      drops.count(.repeated)
      effects.append(.release(payload.handle))
      if state.open == nil { confirm(chunk, state.version, &effects) }
      return nil
    }
    if let gradient = chunks[chunk]?.abandonUpdate() { effects.append(.release(gradient)) }
    effects.append(.install(position, payload: payload.handle))
    chunks[chunk]?.begin(at: position)
    confirm(chunk, position.version, &effects)
    return nil
  }

  // MARK: Again

  /// Sends again what has had no answer.
  mutating func retry(_ effects: inout [ServerEffect]) {
    guard view != nil, !isInitialising else { return }
    if let lost = chunks.firstIndex(where: { $0.map { !$0.holdsState && ($0.isPrimary || unrestored > 0) } ?? false }) {
      // In a view that begins an era the coordinator sends it again; otherwise the job has to go back.
      send(.stateLost(chunk: UInt32(lost)), to: .coordinator, &effects)
    } else if !workersCame {
      accept(&effects)
    }
    guard unrestored == 0 else { return }
    for chunk in chunks.indices {
      guard let state = chunks[chunk], state.holdsState else { continue }
      if state.isPrimary, state.replica != nil {
        if !state.isReplicaSynced { sendState(chunk, &effects) } else { sendUpdate(chunk, &effects) }
      }
      askForState(chunk, &effects)
      if let position = snapshots[chunk] {
        send(.snapshot(position), to: .coordinator, payload: .snapshot(chunk: chunk), &effects)
      }
    }
    if view?.rules.clipsNorm == true { retryNorm(&effects) }
  }
}

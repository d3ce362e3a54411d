/// What workers ask of a server.
extension Server {
  mutating func receive(_ pull: Pull, from source: Destination, _ effects: inout [ServerEffect]) -> Refusal? {
    guard let rules = view?.rules, isReady(Int(pull.chunk)), let state = chunks[Int(pull.chunk)] else {
      return notServed(Int(pull.chunk))
    }
    guard pull.closed <= UInt64(rules.steps) else {
      return Refusal(.outOfBounds, "\(pull.closed) steps are never closed: the job has \(rules.steps)")
    }
    let chunk = Int(pull.chunk)
    let closed = Int(pull.closed)
    if pull.isExact, closed < state.closed {
      if let previous = state.previous, previous.closed == pull.closed {
        answer(chunk, version: previous.version, closed: closed, to: source, &effects)
      } else {
        let position = Parameters(
          chunk: pull.chunk, version: state.version, closed: UInt64(state.closed), asked: pull.closed)
        send(.position(position), to: source, &effects)
      }
      return nil
    }
    let isNew = chunks[chunk]?.wait(
      ChunkState.Waiter(destination: source, closed: closed, version: 0, answers: nil))
    if isNew == false { drops.count(.repeated) }
    answerWaiters(of: chunk, &effects)
    return nil
  }

  mutating func answer(
    _ chunk: Int, version: UInt64, closed: Int, answers: Contribution? = nil, to source: Destination,
    _ effects: inout [ServerEffect]
  ) {
    let parameters = Parameters(chunk: UInt32(chunk), version: version, closed: UInt64(closed), answers: answers)
    send(.parameters(parameters), to: source, payload: .values(chunk: chunk, version: version), &effects)
  }

  mutating func answerWaiters(of chunk: Int, _ effects: inout [ServerEffect]) {
    // The list is taken out, and those who wait on are put back: nothing is copied.
    guard let (version, closed) = chunks[chunk]?.swapWaiters(&waiters) else { return }
    for index in waiters.indices {
      if waiters[index].isDue(version: version, closed: closed, isGatheringCut: cut.isGathering) {
        let (answers, destination) = (waiters[index].answers, waiters[index].destination)
        answer(chunk, version: version, closed: closed, answers: answers, to: destination, &effects)
      } else {
        chunks[chunk]?.wait(waiters[index])
      }
    }
    waiters.removeAll(keepingCapacity: true)
  }

  /// Whether workers reach it for a chunk whose state is here.
  private mutating func isReady(_ chunk: Int) -> Bool {
    chunks.indices.contains(chunk) && chunks[chunk]?.isReady == true
  }

  private func notServed(_ chunk: Int) -> Refusal {
    Refusal(.misplaced, "\(session.member) does not serve chunk \(chunk)")
  }

  mutating func receive(
    _ push: Push, of worker: UInt32, from source: Destination, payload: ReceivedPayload?,
    _ effects: inout [ServerEffect]
  ) -> Refusal? {
    guard let rules = view?.rules, chunks.indices.contains(Int(push.chunk)) else { return notServed(Int(push.chunk)) }
    guard push.step < UInt64(rules.steps), push.awaits <= UInt64(rules.steps),
      rules.schedule.tree.contains(push.node)
    else {
      return Refusal(.outOfBounds, "the job has no step \(push.step) with shards \(push.node)")
    }
    let step = Int(push.step)
    let expected = rules.payloadBytes(ofChunk: Int(push.chunk), step: step)
    guard let payload, payload.bytes == expected else {
      return Refusal(
        .malformed, "what is pushed to chunk \(push.chunk) has \(expected) bytes, not \(payload?.bytes ?? 0)")
    }
    guard rules.samples(ofRound: step, under: push.node) > 0, rules.round(ofStep: step).lowerBound == step else {
      return Refusal(.misplaced, "step \(push.step) has no samples in shards \(push.node), or begins no round")
    }
    let queued = QueuedPush(push: push, worker: worker, source: source, gradient: payload.handle)
    if rules.consistency(ofStep: step).isSummed { return pushSummed(queued, rules, &effects) }
    return pushSingle(queued, rules, &effects)
  }

  // MARK: Summed

  private mutating func pushSummed(
    _ queued: QueuedPush, _ rules: JobRules, _ effects: inout [ServerEffect]
  ) -> Refusal? {
    let push = queued.push
    let (chunk, step) = (Int(push.chunk), Int(push.step))
    let waiter = ChunkState.Waiter(
      destination: queued.source, closed: Int(push.awaits), version: 0,
      answers: Contribution(step: push.step, node: push.node))
    switch chunks[chunk]?.offer(queued.gradient, at: push.node, step: step, from: waiter, rules, &sums, &effects) {
    case nil, .absent: return notServed(chunk)
    case .early(let closed):
      return Refusal(.misplaced, "step \(step) has not begun: chunk \(chunk) has closed \(closed)")
    case .late:
      if case .backup = rules.consistency(ofStep: step) { counts.late += 1 } else { counts.duplicates += 1 }
      drop(queued, &effects)
    case .known:
      counts.duplicates += 1
      drop(queued, &effects)
    case .added(let whole?):
      order(
        chunk, whole.gradient, step: step, samples: rules.samples(ofRound: step, under: whole.node),
        shards: rules.occupiedShards(ofRound: step), rules, &effects)
    case .added(nil):
      closeEarly(step, chunk, rules, &effects)
    }
    return nil
  }

  /// Lets go of a push that is not needed; who waits may be answered.
  private mutating func drop(_ queued: QueuedPush, _ effects: inout [ServerEffect]) {
    effects.append(.release(queued.gradient))
    answerWaiters(of: Int(queued.push.chunk), &effects)
  }

  /// Closes a step that can spare the shards that are missing: what is there is added in the order of the shards.
  private mutating func closeEarly(
    _ step: Int, _ chunk: Int, _ rules: JobRules, _ effects: inout [ServerEffect]
  ) {
    let spared = rules.consistency(ofStep: step).sparedShards
    guard spared > 0, let nodes = chunks[chunk]?.round.nodes else { return }
    let there = nodes.reduce(0) { total, node in
      total + node.shards.count { !rules.schedule.positions(ofStep: step, shard: $0).isEmpty }
    }
    guard there >= max(1, rules.schedule.occupiedShards(ofStep: step) - spared),
      let gradient = chunks[chunk]?.round.addAll(&sums, &effects)
    else { return }
    let samples = nodes.reduce(0) { $0 + rules.schedule.sampleCount(ofStep: step, under: $1) }
    order(chunk, gradient, step: step, samples: samples, shards: there, rules, &effects)
  }

  private mutating func order(
    _ chunk: Int, _ gradient: GradientHandle, step: Int, samples: Int, shards: Int, _ rules: JobRules,
    _ effects: inout [ServerEffect]
  ) {
    guard let version = chunks[chunk]?.standing.version else { return }
    let isAveraged = rules.consistency(ofStep: step).stepsPerRound > 1 || Self.isLocal(step, rules)
    let update = Update(
      chunk: UInt32(chunk), version: version + 1, closed: UInt64(rules.round(ofStep: step).upperBound), unit: nil,
      kind: isAveraged ? .averaged : .summed, step: UInt64(step), staleness: 0, basis: version, worker: nil,
      samples: UInt64(samples), shards: UInt32(shards))
    if rules.clipsNorm, rules.awaitsScale(chunk: chunk, step: step) { return measure(update, gradient, &effects) }
    order(update, gradient, &effects)
  }

  private static func isLocal(_ step: Int, _ rules: JobRules) -> Bool {
    if case .local = rules.consistency(ofStep: step) { true } else { false }
  }

  // MARK: Single

  private mutating func pushSingle(
    _ queued: QueuedPush, _ rules: JobRules, _ effects: inout [ServerEffect]
  ) -> Refusal? {
    let push = queued.push
    let (chunk, step) = (Int(push.chunk), Int(push.step))
    guard let standing = chunks[chunk]?.standing, standing.isReady else { return notServed(chunk) }
    guard push.node.level == 0, push.basis <= standing.version, standing.closed >= rules.segment(ofStep: step).firstStep
    else {
      return Refusal(
        .misplaced, "a single push covers one shard and is computed from a version that exists in an open step")
    }
    if cut.holdsBack(queued.worker, chunk: chunk) {
      cut.hold(queued)
      return nil
    }
    take(queued, rules, &effects)
    return nil
  }

  /// Applies a single push, or queues it, unless it is there already or too old.
  mutating func take(_ queued: QueuedPush, _ rules: JobRules, _ effects: inout [ServerEffect]) {
    let push = queued.push
    let chunk = Int(push.chunk)
    let unit = rules.unit(step: Int(push.step), shard: Int(push.node.index))
    switch chunks[chunk]?.offer(queued, unit: unit, rules) {
    case nil:
      drops.count(.outdated)
      effects.append(.release(queued.gradient))
    case .known:
      counts.duplicates += 1
      drop(queued, &effects)
    case .stale(let version, let closed):
      counts.stale += 1
      effects.append(.release(queued.gradient))
      let stale = Contribution(step: push.step, node: push.node, isStale: true)
      answer(chunk, version: version, closed: closed, answers: stale, to: queued.source, &effects)
    case .queued: break
    case .open: orderSingle(queued, rules, &effects)
    }
  }

  mutating func orderSingle(_ queued: QueuedPush, _ rules: JobRules, _ effects: inout [ServerEffect]) {
    let push = queued.push
    let (chunk, step) = (Int(push.chunk), Int(push.step))
    let unit = rules.unit(step: step, shard: Int(push.node.index))
    guard let (version, closed, counted) = chunks[chunk]?.next(by: unit, rules) else {
      return effects.append(.release(queued.gradient))
    }
    let staleness = version - push.basis
    counts.apply(staleness: staleness)
    order(
      Update(
        chunk: push.chunk, version: version + 1, closed: UInt64(closed), unit: UInt64(unit), kind: .single,
        step: UInt64(min(counted, rules.steps - 1)), staleness: staleness, basis: push.basis, worker: queued.worker,
        samples: UInt64(rules.schedule.positions(ofStep: step).count),
        shards: UInt32(rules.schedule.occupiedShards(ofStep: step))),
      queued.gradient, &effects)
  }
}

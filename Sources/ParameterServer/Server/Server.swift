/// A parameter server: holds chunks, counts each contribution once, orders updates, answers with new versions.
///
/// A value without I/O, clock or floats: `handle` takes what happened and returns what to do, in order.
public struct Server: Sendable {
  private var session: MemberSession
  private var view: View?
  /// The states of this server's chunks, by chunk; nil for another's.
  private var chunks: [ChunkState?] = []
  private var unfinished = 0
  /// Whether the chunks hold their first parameters.
  private var isInitialised = false
  private var nextSum = GradientHandle.firstSum
  private var timer: Moment?

  /// What was refused since the start.
  public private(set) var refusals = RefusalCounts()
  /// Contributions that came again and were dropped.
  public private(set) var duplicates: UInt64 = 0

  /// A server that has not started.
  public init(name: String, token: JobToken, incarnation: Incarnation, deadlines: Deadlines = Deadlines()) {
    session = MemberSession(
      role: .server, name: name, token: token, incarnation: incarnation, deadlines: deadlines)
  }

  /// Its place in the job; unnumbered until the coordinator gave it one.
  public var member: Member { session.member }

  /// The version of a chunk that it holds, or nil.
  public func version(of chunk: Int) -> UInt64? {
    chunks.indices.contains(chunk) ? chunks[chunk]?.version : nil
  }

  /// Takes what happened and returns what to do, in order.
  public mutating func handle(_ event: ServerEvent, at now: Moment) -> [ServerEffect] {
    guard !session.isOver else { return dropPayload(of: event) }
    var effects: [ServerEffect] = []
    switch event {
    case .started:
      send(session.start(at: now), to: .coordinator, &effects)
    case .message(let envelope, let source, let payload):
      receive(envelope, from: source, payload: payload, at: now, &effects)
    case .unreadable(let refusal, let source):
      refuse(refusal, to: source, &effects)
    case .prepared(let ready):
      if let message = session.prepared(ready, at: now) { send(message, to: .coordinator, &effects) }
    case .initialised:
      isInitialised = true
      send(.viewAccepted, to: .coordinator, &effects)
      // A small model can leave a server without a chunk.
      if unfinished == 0 { finish(&effects) }
    case .applied(let chunk):
      applied(chunk, &effects)
    case .timer:
      let due = session.tick(at: now, progress: Progress(steps: 0, shards: 0, epochs: []))
      if let message = due.message { send(message, to: .coordinator, &effects) }
      if let reason = due.stop { effects.append(.stop(reason)) }
    case .failed(let text):
      send(.leaving(text), to: .coordinator, &effects)
      session.end()
      effects.append(.stop(.failed(text)))
    }
    if let deadline = session.nextDeadline, deadline != timer {
      timer = deadline
      effects.append(.timer(deadline))
    }
    return effects
  }

  private func dropPayload(of event: ServerEvent) -> [ServerEffect] {
    guard case .message(_, _, let payload?) = event else { return [] }
    return [.release(payload.handle)]
  }

  private func send(
    _ message: Message, to destination: Destination, parameters: Parameters? = nil, _ effects: inout [ServerEffect]
  ) {
    effects.append(.send(session.envelope(message), to: destination, parameters: parameters))
  }

  private mutating func refuse(_ refusal: Refusal, to source: Destination, _ effects: inout [ServerEffect]) {
    refusals.count(refusal.reason)
    // The coordinator is not answered with a refusal: nothing that it says is an answer's cause.
    if source != .coordinator { send(.refused(refusal), to: source, &effects) }
  }

  private mutating func receive(
    _ envelope: Envelope, from source: Destination, payload: ReceivedPayload?, at now: Moment,
    _ effects: inout [ServerEffect]
  ) {
    if source == .coordinator {
      if let payload { effects.append(.release(payload.handle)) }
      return receiveFromCoordinator(envelope, at: now, &effects)
    }
    var refusal = Fence.refusal(of: envelope, token: session.token, view: session.view)
    if refusal == nil, !isInitialised { refusal = Refusal(.misplaced, "\(session.member) has no parameters yet") }
    if refusal == nil, envelope.sender.role != .worker {
      refusal = Refusal(.misplaced, "a server takes pushes and pulls from workers, not from \(envelope.sender)")
    }
    if refusal == nil {
      switch envelope.message {
      case .push(let push):
        refusal = receivePush(push, of: envelope.sender.number, from: source, payload: payload, &effects)
        if refusal == nil { return }
      case .pull(let pull):
        refusal = receivePull(pull, from: source, &effects)
      default:
        refusal = Refusal(.misplaced, "a server takes pushes and pulls from workers, nothing else")
      }
    }
    if let payload { effects.append(.release(payload.handle)) }
    if let refusal { refuse(refusal, to: source, &effects) }
  }

  private mutating func receiveFromCoordinator(
    _ envelope: Envelope, at now: Moment, _ effects: inout [ServerEffect]
  ) {
    switch session.receive(envelope, at: now) {
    case .none, .leases: break
    case .prepare(let welcome): effects.append(.prepare(welcome))
    case .adopt(let view): adopt(view, &effects)
    case .pull(let pull):
      if let refusal = receivePull(pull, from: .coordinator, &effects) { refusals.count(refusal.reason) }
    case .refuse(let refusal): refusals.count(refusal.reason)
    case .stop(let reason):
      send(.leaving(session.farewell(reason)), to: .coordinator, &effects)
      effects.append(.stop(reason))
    }
  }

  private mutating func adopt(_ view: View, _ effects: inout [ServerEffect]) {
    self.view = view
    chunks = [ChunkState?](repeating: nil, count: view.rules.chunks.count)
    let mine = view.servers[Int(session.member.number)].chunks
    for chunk in mine { chunks[Int(chunk)] = ChunkState(chunk: Int(chunk)) }
    unfinished = mine.count
    effects.append(.initialise(view))
  }

  // MARK: Pushes and pulls

  private mutating func receivePull(
    _ pull: Pull, from source: Destination, _ effects: inout [ServerEffect]
  ) -> Refusal? {
    guard isInitialised, let rules = view?.rules, chunks.indices.contains(Int(pull.chunk)),
      chunks[Int(pull.chunk)] != nil
    else {
      return Refusal(.misplaced, "\(session.member) does not hold chunk \(pull.chunk)")
    }
    guard pull.version <= rules.finalVersion else {
      return Refusal(
        .misplaced, "chunk \(pull.chunk) never reaches version \(pull.version): the last is \(rules.finalVersion)")
    }
    chunks[Int(pull.chunk)]?.wait(source, for: pull.version)
    answerWaiters(of: Int(pull.chunk), &effects)
    return nil
  }

  private mutating func receivePush(
    _ push: Push, of worker: UInt32, from source: Destination, payload: ReceivedPayload?,
    _ effects: inout [ServerEffect]
  ) -> Refusal? {
    guard let rules = view?.rules, chunks.indices.contains(Int(push.chunk)), let state = chunks[Int(push.chunk)] else {
      return Refusal(.misplaced, "\(session.member) does not hold chunk \(push.chunk)")
    }
    let expected = rules.chunks.bytes(of: Int(push.chunk))
    guard let payload, payload.bytes == expected else {
      return Refusal(
        .malformed, "a gradient for chunk \(push.chunk) has \(expected) bytes, not \(payload?.bytes ?? 0)")
    }
    guard push.step < UInt64(rules.steps), rules.schedule.tree.contains(push.node),
      rules.schedule.sampleCount(ofStep: Int(push.step), under: push.node) > 0
    else {
      return Refusal(.misplaced, "step \(push.step) has no samples in shards \(push.node)")
    }
    switch rules.consistency {
    case .sync: return pushSync(push, payload.handle, state, rules, from: source, &effects)
    case .async: return pushAsync(push, of: worker, payload.handle, state, rules, from: source, &effects)
    }
  }

  private mutating func pushSync(
    _ push: Push, _ gradient: GradientHandle, _ state: ChunkState, _ rules: JobRules, from source: Destination,
    _ effects: inout [ServerEffect]
  ) -> Refusal? {
    guard push.step <= state.version else {
      return Refusal(.misplaced, "step \(push.step) has not begun: chunk \(push.chunk) is at \(state.version)")
    }
    let chunk = Int(push.chunk)
    if push.step == state.version || push.step + 1 == state.version {
      chunks[chunk]?.wait(source, for: push.step + 1)
    }
    if push.step < state.version || state.covers(push.node) {
      duplicates += 1
      effects.append(.release(gradient))
      answerWaiters(of: chunk, &effects)
      return nil
    }
    for part in chunks[chunk]?.removeParts(under: push.node) ?? [] { effects.append(.release(part)) }
    add(gradient, at: push.node, step: Int(push.step), to: chunk, rules, &effects)
    return nil
  }

  /// Adds a part of the open step to its sibling, and the sum to its sibling, as far as they are there.
  private mutating func add(
    _ gradient: GradientHandle, at node: ShardNode, step: Int, to chunk: Int, _ rules: JobRules,
    _ effects: inout [ServerEffect]
  ) {
    var gradient = gradient
    var node = node
    while node != rules.schedule.tree.root {
      if rules.schedule.sampleCount(ofStep: step, under: node.sibling) > 0 {
        guard let other = chunks[chunk]?.take(node.sibling) else {
          chunks[chunk]?.hold(node, gradient)
          return
        }
        let sum = GradientHandle(nextSum)
        nextSum += 1
        effects.append(
          .combine(left: node.isLeft ? gradient : other, right: node.isLeft ? other : gradient, into: sum))
        effects.append(.release(gradient))
        effects.append(.release(other))
        gradient = sum
      }
      node = node.parent
    }
    order(gradient, step: step, staleness: 0, worker: nil, for: chunk, rules, &effects)
  }

  private mutating func pushAsync(
    _ push: Push, of worker: UInt32, _ gradient: GradientHandle, _ state: ChunkState, _ rules: JobRules,
    from source: Destination, _ effects: inout [ServerEffect]
  ) -> Refusal? {
    guard push.node.level == 0, push.basis <= state.version else {
      return Refusal(
        .misplaced, "a push outside sync mode covers one shard and is computed from a version that exists")
    }
    let chunk = Int(push.chunk)
    let unit = Int(push.step) * rules.schedule.tree.shards + Int(push.node.index)
    guard chunks[chunk]?.takeUnit(unit) == true else {
      duplicates += 1
      effects.append(.release(gradient))
      chunks[chunk]?.wait(source, for: min(push.basis + 1, rules.finalVersion))
      answerWaiters(of: chunk, &effects)
      return nil
    }
    // The answer holds this very push: whatever is queued before it is applied first.
    chunks[chunk]?.wait(source, for: state.version + UInt64(state.pendingApplies) + 1)
    if state.isApplying {
      chunks[chunk]?.queue(push, of: worker, gradient)
    } else {
      order(
        gradient, step: Int(push.step), staleness: state.version - push.basis, worker: worker, for: chunk, rules,
        &effects)
    }
    return nil
  }

  // MARK: Updates

  private mutating func order(
    _ gradient: GradientHandle, step: Int, staleness: UInt64, worker: UInt32?, for chunk: Int, _ rules: JobRules,
    _ effects: inout [ServerEffect]
  ) {
    guard let version = chunks[chunk]?.version else { return }
    chunks[chunk]?.beginApply()
    effects.append(
      .apply(
        ApplyOrder(
          chunk: chunk, version: version + 1, step: rules.step(ofApply: version), staleness: staleness,
          worker: worker, gradient: gradient, samples: rules.schedule.positions(ofStep: step).count,
          shards: rules.schedule.occupiedShards(ofStep: step))))
  }

  private mutating func applied(_ chunk: Int, _ effects: inout [ServerEffect]) {
    guard let rules = view?.rules, chunks.indices.contains(chunk), chunks[chunk] != nil else { return }
    chunks[chunk]?.endApply()
    answerWaiters(of: chunk, &effects)
    if chunks[chunk]?.version == rules.finalVersion {
      unfinished -= 1
      if unfinished == 0 { finish(&effects) }
    }
    if let next = chunks[chunk]?.dequeue(), let version = chunks[chunk]?.version {
      order(
        next.gradient, step: Int(next.push.step), staleness: version - next.push.basis, worker: next.worker, for: chunk,
        rules, &effects)
    }
  }

  private func finish(_ effects: inout [ServerEffect]) {
    let steps = UInt64(view?.rules.steps ?? 0)
    send(.finished(Finished(progress: Progress(steps: steps, shards: 0, epochs: []))), to: .coordinator, &effects)
  }

  private mutating func answerWaiters(of chunk: Int, _ effects: inout [ServerEffect]) {
    guard let version = chunks[chunk]?.version, let due = chunks[chunk]?.dueWaiters() else { return }
    for destination in due {
      let parameters = Parameters(chunk: UInt32(chunk), version: version)
      send(.parameters(parameters), to: destination, parameters: parameters, &effects)
    }
  }
}

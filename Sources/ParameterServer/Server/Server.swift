/// A parameter server: holds chunks, counts each contribution once, orders updates, answers with new versions.
///
/// A value without I/O, clock or floats: `handle` takes what happened and returns what to do, in order.
public struct Server: Sendable {
  var session: MemberSession
  var view: View?
  /// The states of this server's chunks, by chunk; nil for another's.
  var chunks: [ChunkState?] = []
  /// Chunks that the era's first state is still missing of.
  var unrestored = 0
  /// Whether the first parameters were ordered and are not there yet.
  var isInitialising = false
  var sums = SumNumbers()
  /// An empty list that is used again.
  var waiters: [ChunkState.Waiter] = []
  /// Whether a worker has spoken in the view: then every server is known to work in it.
  var workersCame = false
  /// Snapshots that the coordinator has not confirmed, by chunk.
  var snapshots: [ChunkPosition?] = []
  var cut = ServerCut()
  var norm = NormRound()
  /// Closed steps at which the coordinator wants a snapshot, beside those that the rules say.
  var commandedCut = 0
  /// How long nothing was heard of servers that this one exchanges replicas or norms with.
  private var links = LinkWatch()
  private var callers = Callers()
  private var timer: Moment?
  private var retriedAt = Moment(milliseconds: 0)

  /// What was refused since the start.
  public internal(set) var refusals = RefusalCounts()
  /// What was passed over since the start.
  public internal(set) var drops = DropCounts()
  /// What became of pushes since the start.
  public internal(set) var counts = PushCounts()

  /// A server that has not started.
  public init(name: String, token: JobToken, incarnation: Incarnation, deadlines: Deadlines = Deadlines()) {
    session = MemberSession(
      role: .server, name: name, token: token, incarnation: incarnation, deadlines: deadlines)
  }

  /// Its place in the job; unnumbered until the coordinator gave it one.
  public var member: Member { session.member }

  /// Where a chunk that it holds is, or nil.
  public func position(of chunk: Int) -> ChunkPosition? {
    guard chunks.indices.contains(chunk), let state = chunks[chunk], state.holdsState else { return nil }
    return state.position
  }

  /// Whether workers reach it for a chunk.
  public func serves(_ chunk: Int) -> Bool {
    chunks.indices.contains(chunk) && chunks[chunk]?.isPrimary == true
  }

  /// The fewest closed steps of the chunks that it serves; nil where it serves none.
  public var closedSteps: Int? {
    chunks.lazy.compactMap { $0 }.filter { $0.isPrimary && $0.holdsState }.map(\.closed).min()
  }

  /// Takes what happened and adds what to do, in order.
  public mutating func handle(_ event: ServerEvent, at now: Moment, into effects: inout [ServerEffect]) {
    guard !session.isOver else {
      drops.count(.ended)
      if case .message(_, _, let payload?) = event { effects.append(.release(payload.handle)) }
      return
    }
    switch event {
    case .started:
      send(session.start(at: now), to: .coordinator, &effects)
    case .message(let envelope, let source, let payload):
      receive(envelope, from: source, payload: payload, at: now, &effects)
    case .unreadable(let refusal, let source):
      refuse(refusal, to: source, stranger: JobToken.none, &effects)
    case .prepared(let ready):
      if let message = session.prepared(ready, at: now) {
        send(message, to: .coordinator, &effects)
      } else {
        drops.count(.outdated)
      }
    case .initialised(let chunks, let era):
      initialised(chunks, era: era, &effects)
    case .applied(let chunk, let version):
      applied(chunk, version, &effects)
    case .scaled(let order, let scale):
      scaled(order, scale, &effects)
    case .timer:
      tick(at: now, &effects)
    case .asked(let text):
      leave(text, isOrderly: true, reason: .interrupted, &effects)
    case .failed(let text, let kind):
      leave(text, isOrderly: false, reason: .failed(text, kind), &effects)
    }
    if let deadline = session.nextDeadline, deadline != timer {
      timer = deadline
      effects.append(.timer(deadline))
    }
  }

  private mutating func leave(
    _ text: String, isOrderly: Bool, reason: StopReason, _ effects: inout [ServerEffect]
  ) {
    send(session.leaving(text, isOrderly: isOrderly, kind: reason.kind, progress: progress), to: .coordinator, &effects)
    session.end()
    effects.append(.stop(reason))
  }

  var progress: Progress {
    let behind = chunks.count { $0.map { ($0.replica != nil && !$0.isReplicaSynced) || $0.awaitsState } ?? false }
    return Progress(
      steps: UInt64(closedSteps ?? 0), shards: 0, behind: UInt64(behind), refused: RefusedCounts(messages: refusals),
      staleness: counts.staleness, waits: links.waits(session.deadlines))
  }

  mutating func send(
    _ message: Message, to destination: Destination, payload: ServerPayload? = nil, _ effects: inout [ServerEffect]
  ) {
    effects.append(.send(session.envelope(message), to: destination, payload: payload))
  }

  mutating func refuse(
    _ refusal: Refusal, to source: Destination, stranger: JobToken? = nil, _ effects: inout [ServerEffect]
  ) {
    refusals.count(refusal.reason)
    // The coordinator is not answered with a refusal: nothing that it says is an answer's cause.
    guard source != .coordinator else { return effects.append(.refused(refusal)) }
    guard let stranger else { return send(.refused(refusal), to: source, &effects) }
    // Who does not know the job's token is not told it: the answer carries the one that they know.
    let answer = Envelope(
      token: stranger, view: .none, sender: member, incarnation: session.incarnation, message: .refused(refusal))
    effects.append(.send(answer, to: source, payload: nil))
  }

  private mutating func tick(at now: Moment, _ effects: inout [ServerEffect]) {
    if view != nil { watchLinks(at: now, &effects) }
    switch session.tick(at: now) {
    case .nothing: break
    case .message(let message): send(message, to: .coordinator, &effects)
    case .progress: send(.progress(progress), to: .coordinator, &effects)
    case .stop(let reason): return effects.append(.stop(reason))
    }
    guard now.milliseconds(since: retriedAt) >= session.deadlines.retry else { return }
    retriedAt = now
    retry(&effects)
  }

  /// Tells those who spoke that they are heard, and asks servers whether they hear.
  private mutating func watchLinks(at now: Moment, _ effects: inout [ServerEffect]) {
    for connection in callers.due(at: now, every: session.deadlines.linkProbe) {
      send(.alive, to: .connection(connection), &effects)
    }
    let requests: [Wait.Request?] = links.servers.map { _ in .exchange }
    for server in links.look(at: now, session.deadlines, requests: requests) {
      send(.alive, to: .server(server), &effects)
    }
  }

  /// The servers that this one exchanges something with: each chunk's two, and all where the norm of the gradient is theirs.
  private func partners(in view: View) -> [Member] {
    guard let own = view.server(session.member) else { return [] }
    return view.servers.filter { other in
      other.member != own.member
        && (view.rules.clipsNorm || own.chunks.contains { other.replicas.contains($0) }
          || own.replicas.contains { other.chunks.contains($0) })
    }.map(\.member)
  }

  // MARK: Messages

  private mutating func receive(
    _ envelope: Envelope, from source: Destination, payload: ReceivedPayload?, at now: Moment,
    _ effects: inout [ServerEffect]
  ) {
    if source == .coordinator {
      return receiveFromCoordinator(envelope, payload: payload, at: now, &effects)
    }
    // Whatever view it is of: the way is open.
    if case .server(let server) = source { links.heard(server) }
    if let refusal = Fence.refusal(of: envelope, token: session.token, view: view) {
      if let payload { effects.append(.release(payload.handle)) }
      // A refusal is not answered by one: two members that refuse each other would never end.
      if case .refused = envelope.message { return drops.count(.refusal) }
      return refuse(
        refusal, to: source, stranger: envelope.token == session.token ? nil : envelope.token, &effects)
    }
    if envelope.sender.role == .worker { workersCame = true }
    callers.note(source)
    let refusal: Refusal?
    switch (envelope.message, envelope.sender.role) {
    case (.push(let push), .worker):
      refusal = receive(push, of: envelope.sender.number, from: source, payload: payload, &effects)
      if refusal == nil { return }
    case (.pull(let pull), .worker):
      refusal = receive(pull, from: source, &effects)
    case (.marker(let number), .worker):
      mark(number, by: envelope.sender.number, &effects)
      refusal = nil
    case (.replicate(let update), .server):
      refusal = receive(update, from: envelope.sender, source, payload: payload, &effects)
      if refusal == nil { return }
    case (.replica(let position), .server):
      refusal = receive(position, from: envelope.sender, source, payload: payload, &effects)
      if refusal == nil { return }
    case (.replicated(let chunk, let version), .server):
      refusal = replicated(Int(chunk), version, by: envelope.sender, &effects)
    case (.norm(let chunk, let step), .server):
      refusal = receiveNorm(Int(chunk), step, from: envelope.sender, payload: payload, &effects)
      if refusal == nil { return }
    case (.scale(let step, let bits), .server):
      refusal = receiveScale(step, bits, from: envelope.sender, &effects)
    case (.stateLost(let chunk), .server):
      refusal = replicaLacksState(Int(chunk), by: envelope.sender, &effects)
    case (.alive, .worker), (.alive, .server):
      // The answer to an answer would never end.
      if case .connection = source { send(.alive, to: source, &effects) }
      refusal = nil
    case (.refused, _):
      // What a replica refuses is sent again until a view says otherwise.
      drops.count(.refusal)
      refusal = nil
    default:
      refusal = Refusal(.misplaced, "a server takes no such message from \(envelope.sender)")
    }
    if let payload { effects.append(.release(payload.handle)) }
    if let refusal { refuse(refusal, to: source, &effects) }
  }

  private mutating func receiveFromCoordinator(
    _ envelope: Envelope, payload: ReceivedPayload?, at now: Moment, _ effects: inout [ServerEffect]
  ) {
    let outcome = session.receive(envelope, at: now)
    if case .other(.restore(let position)) = outcome, let payload {
      return restore(position, payload, in: envelope.view, &effects)
    }
    if let payload { effects.append(.release(payload.handle)) }
    switch outcome {
    case .none: break
    case .dropped(let reason): drops.count(reason)
    case .other(.cut(let step)): takeCut(step, &effects)
    case .other(.snapshotTaken(let chunk, let version)): snapshotTaken(Int(chunk), version, &effects)
    case .other(.restore): refuse(Refusal(.malformed, "a state came without its floats"), to: .coordinator, &effects)
    case .other:
      refuse(Refusal(.misplaced, "a server takes no such message from the coordinator"), to: .coordinator, &effects)
    case .prepare(let welcome): effects.append(.prepare(welcome))
    case .adopt(let view):
      links.begin(partners(in: view), at: now)
      adopt(view, &effects)
    case .adoptedBefore: adoptedBefore(&effects)
    case .answer(let message):
      drops.count(.outdated)
      send(message, to: .coordinator, &effects)
    case .refuse(let refusal): refuse(refusal, to: .coordinator, &effects)
    case .stop(let reason):
      let isOrderly = reason == .completed || reason == .interrupted
      send(
        session.leaving(session.farewell(reason), isOrderly: isOrderly, kind: reason.kind, progress: progress),
        to: .coordinator, &effects)
      effects.append(.stop(reason))
    }
  }
}

/// What became of the pushes that a server took.
public struct PushCounts: Hashable, Sendable {
  /// Contributions that came again and were dropped.
  public internal(set) var duplicates: UInt64 = 0
  /// Contributions to a step that closed without them, dropped.
  public internal(set) var late: UInt64 = 0
  /// Contributions that were refused for their age.
  public internal(set) var stale: UInt64 = 0
  /// Single contributions applied, by staleness.
  public internal(set) var staleness = StalenessCounts()

  /// Nothing yet.
  public init() {}

  /// Counts a contribution that is applied.
  mutating func apply(staleness: UInt64) {
    self.staleness.add(staleness)
  }
}

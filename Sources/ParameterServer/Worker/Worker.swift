/// A worker: reads the parameters, orders gradients of its shards, hands them to the servers chunk by chunk.
///
/// A value without I/O, clock or floats: `handle` takes what happened and returns what to do, in order.
public struct Worker: Sendable {
  private var session: MemberSession
  private var timer: Moment?

  private var view: View?
  /// The server of each chunk, by chunk.
  private var servers: [Member] = []
  /// The version of each chunk that the parameters hold, by chunk; nil before the first.
  private var versions: [UInt64?] = []
  /// Chunks whose answer the next computation waits for.
  private var awaited: [Bool] = []
  private var awaitedCount = 0

  private var isComputing = false
  private var nextStep = 0
  private var leases = LeaseQueue()
  private var isFinished = false

  private var ledger = EpochLedger()
  private var begunSteps: UInt64 = 0

  /// Shards computed since the start, in number.
  public private(set) var shardCount: UInt64 = 0
  /// Computed shards by shard number: what the log shows.
  public private(set) var shardsComputed: [UInt64] = []
  /// What was refused since the start.
  public private(set) var refusals = RefusalCounts()

  /// Steps whose samples are read ahead of the computation.
  static let readAheadSteps = 2

  /// A worker that has not started.
  public init(name: String, token: JobToken, incarnation: Incarnation, deadlines: Deadlines = Deadlines()) {
    session = MemberSession(
      role: .worker, name: name, token: token, incarnation: incarnation, deadlines: deadlines)
  }

  /// Its place in the job; unnumbered until the coordinator gave it one.
  public var member: Member { session.member }

  /// Takes what happened and returns what to do, in order.
  public mutating func handle(_ event: WorkerEvent, at now: Moment) -> [WorkerEffect] {
    var effects: [WorkerEffect] = []
    guard !session.isOver else {
      if case .message(_, _, let payload?) = event { effects.append(.release(payload.handle)) }
      return effects
    }
    switch event {
    case .started:
      send(session.start(at: now), to: .coordinator, &effects)
    case .message(let envelope, let source, let payload):
      receive(envelope, from: source, payload: payload, at: now, &effects)
    case .unreadable(let refusal, _):
      refusals.count(refusal.reason)
    case .prepared(let ready):
      if let message = session.prepared(ready, at: now) { send(message, to: .coordinator, &effects) }
    case .gradientReady(let step, let node, let chunk):
      push(chunk, of: node, step: step, &effects)
    case .computed(let result):
      record(result, &effects)
    case .computeFinished:
      isComputing = false
      proceed(&effects)
    case .timer:
      let due = session.tick(at: now, progress: progress)
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

  private var progress: Progress {
    Progress(steps: begunSteps, shards: shardCount, epochs: ledger.newest)
  }

  private func send(
    _ message: Message, to destination: Destination, gradient: GradientPart? = nil, _ effects: inout [WorkerEffect]
  ) {
    effects.append(.send(session.envelope(message), to: destination, gradient: gradient))
  }

  // MARK: Messages

  private mutating func receive(
    _ envelope: Envelope, from source: Destination, payload: ReceivedPayload?, at now: Moment,
    _ effects: inout [WorkerEffect]
  ) {
    guard source == .coordinator else {
      return receiveFromServer(envelope, from: source, payload: payload, &effects)
    }
    if let payload { effects.append(.release(payload.handle)) }
    switch session.receive(envelope, at: now) {
    case .none, .pull: break
    case .prepare(let welcome): effects.append(.prepare(welcome))
    case .adopt(let view): adopt(view, &effects)
    case .leases(let granted): take(granted, &effects)
    case .refuse(let refusal): refusals.count(refusal.reason)
    case .stop(let reason):
      send(.leaving(session.farewell(reason)), to: .coordinator, &effects)
      effects.append(.stop(reason))
    }
  }

  private mutating func receiveFromServer(
    _ envelope: Envelope, from source: Destination, payload: ReceivedPayload?, _ effects: inout [WorkerEffect]
  ) {
    var refusal = Fence.refusal(of: envelope, token: session.token, view: session.view)
    if refusal == nil, source != .server(envelope.sender) {
      refusal = Refusal(.unknownMember, "\(envelope.sender) speaks through another server's connection")
    }
    if refusal == nil, case .parameters(let parameters) = envelope.message {
      refusal = receive(parameters, from: envelope.sender, payload: payload, &effects)
      if refusal == nil { return }
    } else if refusal == nil, case .refused(let theirs) = envelope.message {
      if let payload { effects.append(.release(payload.handle)) }
      return leave("\(envelope.sender) refused a message: \(theirs.explanation)", &effects)
    }
    if let payload { effects.append(.release(payload.handle)) }
    if let refusal { refusals.count(refusal.reason) }
  }

  private mutating func leave(_ text: String, _ effects: inout [WorkerEffect]) {
    send(.leaving(text), to: .coordinator, &effects)
    session.end()
    effects.append(.stop(.failed(text)))
  }

  private mutating func adopt(_ view: View, _ effects: inout [WorkerEffect]) {
    guard self.view == nil, let holders = view.serverOfChunk else { return }
    self.view = view
    let chunks = view.rules.chunks.count
    servers = holders.map { view.servers[$0].member }
    versions = [UInt64?](repeating: nil, count: chunks)
    awaited = [Bool](repeating: false, count: chunks)
    shardsComputed = [UInt64](repeating: 0, count: view.rules.schedule.tree.shards)
    effects.append(.connect(view))
    if view.rules.consistency == .sync, nodes(ofStep: 0).isEmpty, myNodes.isEmpty {
      return finish(&effects)
    }
    for chunk in 0..<chunks { pull(chunk, version: 0, &effects) }
    if view.rules.consistency == .async { send(.leaseRequest, to: .coordinator, &effects) }
    readAhead(from: 0, to: Self.readAheadSteps, &effects)
  }

  private mutating func receive(
    _ parameters: Parameters, from server: Member, payload: ReceivedPayload?, _ effects: inout [WorkerEffect]
  ) -> Refusal? {
    let chunk = Int(parameters.chunk)
    guard let rules = view?.rules, servers.indices.contains(chunk), servers[chunk] == server else {
      return Refusal(.misplaced, "\(server) does not hold chunk \(chunk)")
    }
    guard let payload, payload.bytes == rules.chunks.bytes(of: chunk) else {
      return Refusal(.malformed, "chunk \(chunk) has \(rules.chunks.bytes(of: chunk)) bytes")
    }
    guard awaited[chunk], versions[chunk].map({ $0 < parameters.version }) ?? true else {
      // An answer that came twice, or that was overtaken.
      effects.append(.release(payload.handle))
      return nil
    }
    awaited[chunk] = false
    awaitedCount -= 1
    versions[chunk] = parameters.version
    effects.append(.install(chunk: chunk, version: parameters.version, payload: payload.handle))
    proceed(&effects)
    return nil
  }

  private mutating func pull(_ chunk: Int, version: UInt64, _ effects: inout [WorkerEffect]) {
    expectAnswer(for: chunk)
    send(.pull(Pull(chunk: UInt32(chunk), version: version)), to: .server(servers[chunk]), &effects)
  }

  private mutating func expectAnswer(for chunk: Int) {
    guard !awaited[chunk] else { return }
    awaited[chunk] = true
    awaitedCount += 1
  }

  private mutating func push(_ chunk: Int, of node: ShardNode, step: Int, _ effects: inout [WorkerEffect]) {
    guard servers.indices.contains(chunk), let basis = basis(of: chunk, step: step) else { return }
    expectAnswer(for: chunk)
    let push = Push(chunk: UInt32(chunk), step: UInt64(step), node: node, basis: basis)
    send(
      .push(push), to: .server(servers[chunk]), gradient: GradientPart(step: step, node: node, chunk: chunk), &effects)
  }

  private func basis(of chunk: Int, step: Int) -> UInt64? {
    view?.rules.consistency == .sync ? UInt64(step) : versions[chunk]
  }

  // MARK: Work

  private var myNodes: [ShardNode] {
    view.map { $0.workers[Int(session.member.number)].nodes } ?? []
  }

  /// This worker's nodes that hold samples in a step.
  private func nodes(ofStep step: Int) -> [ShardNode] {
    guard let schedule = view?.rules.schedule else { return [] }
    return myNodes.filter { schedule.sampleCount(ofStep: step, under: $0) > 0 }
  }

  /// Goes on where nothing is missing: begins the next computation, or says that there is none.
  private mutating func proceed(_ effects: inout [WorkerEffect]) {
    guard let rules = view?.rules, !isComputing, awaitedCount == 0, !isFinished else { return }
    switch rules.consistency {
    case .sync: proceedSync(rules, &effects)
    case .async: proceedAsync(rules, &effects)
    }
  }

  private mutating func proceedSync(_ rules: JobRules, _ effects: inout [WorkerEffect]) {
    while nextStep < rules.steps {
      let step = nextStep
      nextStep += 1
      begunSteps = UInt64(nextStep)
      let nodes = nodes(ofStep: step)
      if nodes.isEmpty {
        // A batch too small for this worker: it waits for what the others make of it. They may be steps ahead already
        // and a chunk be newer than that: then nothing newer comes, and nothing is waited for.
        for chunk in servers.indices where versions[chunk].map({ $0 <= UInt64(step) }) ?? true {
          pull(chunk, version: UInt64(step) + 1, &effects)
        }
      } else {
        isComputing = true
        effects.append(.compute(ComputeOrder(step: step, nodes: nodes, schedule: rules.schedule)))
      }
      readAhead(from: step + Self.readAheadSteps, to: step + Self.readAheadSteps + 1, &effects)
      if isComputing || awaitedCount > 0 { return }
    }
    finish(&effects)
  }

  private func readAhead(from first: Int, to end: Int, _ effects: inout [WorkerEffect]) {
    guard let rules = view?.rules, rules.consistency == .sync, first < rules.steps else { return }
    for step in first..<min(end, rules.steps) {
      let nodes = nodes(ofStep: step)
      if !nodes.isEmpty { effects.append(.readAhead(ComputeOrder(step: step, nodes: nodes, schedule: rules.schedule))) }
    }
  }

  private mutating func proceedAsync(_ rules: JobRules, _ effects: inout [WorkerEffect]) {
    guard let unit = leases.take() else {
      if leases.isExhausted { finish(&effects) }
      return
    }
    if leases.wantsMore {
      leases.asked()
      send(.leaseRequest, to: .coordinator, &effects)
    }
    isComputing = true
    begunSteps = max(begunSteps, UInt64(rules.unit(unit).step) + 1)
    effects.append(.compute(order(ofUnit: unit, rules)))
  }

  private func order(ofUnit unit: Int, _ rules: JobRules) -> ComputeOrder {
    let (step, shard) = rules.unit(unit)
    return ComputeOrder(
      step: step, nodes: [ShardNode(level: 0, index: UInt32(shard))], schedule: rules.schedule)
  }

  private mutating func take(_ granted: Leases, _ effects: inout [WorkerEffect]) {
    guard let rules = view?.rules, rules.consistency == .async else { return }
    let (end, overflow) = granted.first.addingReportingOverflow(UInt64(granted.count))
    guard !overflow, end <= UInt64(rules.units), granted.count <= UInt32(Leases.maximumUnits) else {
      return refusals.count(.malformed)
    }
    guard granted.count > 0 else {
      leases.end(total: granted.first)
      return proceed(&effects)
    }
    let occupied = leases.add(Int(granted.first)..<Int(end)) { unit in
      let (step, shard) = rules.unit(unit)
      return !rules.schedule.positions(ofStep: step, shard: shard).isEmpty
    }
    for unit in occupied { effects.append(.readAhead(order(ofUnit: unit, rules))) }
    if occupied.isEmpty, leases.wantsMore {
      leases.asked()
      send(.leaseRequest, to: .coordinator, &effects)
    }
    proceed(&effects)
  }

  private mutating func record(_ result: ShardResult, _ effects: inout [WorkerEffect]) {
    guard let schedule = view?.rules.schedule else { return }
    shardCount += 1
    shardsComputed[result.shard] += 1
    if let totals = ledger.add(result, epoch: UInt32(schedule.epoch(ofStep: result.step))) {
      let progress = Progress(steps: begunSteps, shards: shardCount, epochs: [totals])
      send(.progress(progress), to: .coordinator, &effects)
    }
  }

  private mutating func finish(_ effects: inout [WorkerEffect]) {
    guard !isFinished else { return }
    isFinished = true
    send(.finished(Finished(progress: progress)), to: .coordinator, &effects)
  }
}

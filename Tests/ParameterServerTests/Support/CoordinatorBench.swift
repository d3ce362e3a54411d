import ParameterServer

/// One coordinator, with the test as everyone else.
struct CoordinatorBench {
  private(set) var coordinator: Coordinator
  private(set) var ledger = Ledger()
  /// What it wrote down.
  private(set) var journal: [JournalRecord] = []
  private(set) var reports: [CoordinatorReport] = []
  /// Other lives than the first.
  var lives: [Member: UInt64] = [:]
  var now: UInt64 = 0
  let plan: JobPlan

  static func plan(
    _ consistency: Consistency = .sync, servers: Int = 2, workers: Int = 2, replicas: Bool = false, steps: Int = 8,
    shards: Int = 4, every: Int? = nil, interval: UInt64? = nil
  ) -> JobPlan {
    var plan = JobPlan(
      consistency: consistency, servers: servers, workers: workers, tree: ShardTree(shards: shards)!, batch: 8,
      epochs: 100, maximumSteps: steps, elements: 64, job: "toy", digests: Job.digests)
    plan.hasReplicas = replicas
    plan.checkpointEvery = every
    plan.checkpointInterval = interval
    return plan
  }

  init(_ plan: JobPlan, journal: [JournalRecord] = [], at now: UInt64 = 0) {
    self.plan = plan
    self.now = now
    self.journal = journal
    coordinator = Coordinator(plan: plan, token: Job.token, journal: journal)
  }

  /// A coordinator whose job trains: everyone has joined, every server works in the first view.
  static func training(_ plan: JobPlan) -> CoordinatorBench {
    var bench = CoordinatorBench(plan)
    _ = bench.handle(.started)
    for number in 0..<UInt32(plan.servers) { _ = bench.join(server(number)) }
    for number in 0..<UInt32(plan.workers) { _ = bench.join(worker(number)) }
    _ = bench.acceptAll()
    return bench
  }

  /// Its successor, with the same journal.
  func restarted() -> (bench: CoordinatorBench, effects: [CoordinatorEffect]) {
    var bench = CoordinatorBench(plan, journal: journal, at: now)
    bench.lives = lives
    let effects = bench.handle(.started)
    return (bench, effects)
  }

  var view: View { coordinator.currentView! }

  mutating func handle(_ event: CoordinatorEvent) -> [CoordinatorEffect] {
    let effects = coordinator.handle(event, at: Moment(milliseconds: now))
    for effect in effects {
      switch effect {
      case .release(let handle), .collect(_, _, let handle): ledger.letGo(handle)
      case .journal(let record): journal.append(record)
      case .report(let report): reports.append(report)
      default: break
      }
    }
    return effects
  }

  func life(_ member: Member) -> Incarnation { lives[member].map(Incarnation.init) ?? Job.life(member) }

  /// Where a life of a member is reached.
  func connection(_ member: Member) -> Connection { Connection(life(member).rawValue) }

  mutating func arrive(_ bytes: Int) -> ReceivedPayload { ledger.arrive(bytes) }

  mutating func send(
    _ message: Message, from member: Member, view: ViewNumber? = nil, bytes: Int? = nil
  ) -> [CoordinatorEffect] {
    let envelope = Envelope(
      token: Job.token, view: view ?? coordinator.currentView?.number ?? .none, sender: member,
      incarnation: life(member), message: message)
    let payload = bytes.map { ledger.arrive($0) }
    return handle(.message(envelope, from: connection(member), payload: payload))
  }

  mutating func hello(_ role: Role, _ name: String, life: UInt64) -> [CoordinatorEffect] {
    let envelope = Envelope(
      token: Job.token, view: .none, sender: Member(role, Member.unassigned), incarnation: Incarnation(life),
      message: .hello(Hello(role: role, name: name)))
    return handle(.message(envelope, from: Connection(life), payload: nil))
  }

  /// A process of this name joins and is ready.
  mutating func join(_ member: Member, life: UInt64? = nil) -> [CoordinatorEffect] {
    if let life { lives[member] = life }
    let welcome = hello(member.role, "\(member)", life: self.life(member).rawValue)
    return welcome + send(.ready(member.role == .server ? Job.serverReady : Job.workerReady), from: member)
  }

  /// Every server of the view works in it.
  mutating func acceptAll(closed: UInt64 = 0) -> [CoordinatorEffect] {
    view.servers.flatMap { send(.viewAccepted(closed: closed), from: $0.member) }
  }

  /// Everyone but some is heard, again and again, for so long.
  mutating func pass(_ milliseconds: UInt64, silent: [Member] = [], steps: UInt64 = 0) -> [CoordinatorEffect] {
    var effects: [CoordinatorEffect] = []
    let end = now + milliseconds
    while now < end {
      now = min(end, now + 250)
      for member in view.servers.map(\.member) + view.workers.map(\.member) where !silent.contains(member) {
        effects += send(.progress(Progress(steps: steps, shards: now)), from: member)
      }
      effects += handle(.timer)
    }
    return effects
  }

  mutating func snapshot(_ chunk: UInt32, closed: UInt64, version: UInt64? = nil) -> [CoordinatorEffect] {
    let holder = view.servers[view.serverOfChunk![Int(chunk)]].member
    return send(
      .snapshot(ChunkPosition(chunk: chunk, version: version ?? closed, closed: closed)), from: holder, bytes: 64)
  }

  mutating func snapshots(closed: UInt64) -> [CoordinatorEffect] {
    (0..<UInt32(view.rules.chunks.count)).flatMap { snapshot($0, closed: closed) }
  }
}

/// Effects, taken apart.
extension [CoordinatorEffect] {
  var messages: [Message] { compactMap { if case .send(let envelope, _, _) = $0 { envelope.message } else { nil } } }

  func messages(to connection: Connection) -> [Message] {
    compactMap {
      if case .send(let envelope, connection, _) = $0 { envelope.message } else { nil }
    }
  }

  var welcomed: [Member] { messages.compactMap { if case .welcome(let welcome) = $0 { welcome.member } else { nil } } }

  var views: [View] { messages.compactMap { if case .view(let view) = $0 { view } else { nil } } }

  var restored: [Int] { compactMap { if case .send(_, _, let chunk?) = $0 { chunk } else { nil } } }

  var leased: [Leases] { messages.compactMap { if case .leases(let leases) = $0 { leases } else { nil } } }

  var cuts: [UInt64] { messages.compactMap { if case .cut(let number) = $0 { number } else { nil } } }

  var stored: [CheckpointMark] { compactMap { if case .store(let mark) = $0 { mark } else { nil } } }

  var abandoned: [Int] { compactMap { if case .abandon(let cut) = $0 { cut } else { nil } } }

  var records: [JournalRecord] { compactMap { if case .journal(let record) = $0 { record } else { nil } } }

  var reports: [CoordinatorReport] { compactMap { if case .report(let report) = $0 { report } else { nil } } }

  var refusals: [RefusalReason] {
    messages.compactMap { if case .refused(let refusal) = $0 { refusal.reason } else { nil } }
  }

  var stopped: [StopReason] { messages.compactMap { if case .stop(let reason) = $0 { reason } else { nil } } }

  var stops: [StopReason] { compactMap { if case .stop(let reason) = $0 { reason } else { nil } } }
}

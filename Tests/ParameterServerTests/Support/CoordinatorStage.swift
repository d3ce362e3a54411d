import ParameterServer

/// A coordinator, with the test as everyone else; a process is known by a number.
struct CoordinatorStage {
  private(set) var coordinator: Coordinator
  private let settings: ClusterSettings
  var now: UInt64 = 100
  var reports: [CoordinatorReport] = []
  private(set) var collected: [Int] = []
  private(set) var released: [GradientHandle] = []
  private(set) var stopped: StopReason?
  private(set) var view: View?

  init(_ consistency: Consistency = .sync, servers: Int, workers: Int, data: [UInt8] = []) {
    var settings = ClusterSettings()
    settings.consistency = consistency
    settings.servers = servers
    settings.workers = workers
    self.settings = settings
    var digests = ClusterSettings.digests
    digests.data = data
    let plan = JobPlan(
      consistency: consistency, servers: servers, workers: workers, tree: ShardTree(shards: 4)!, batch: 8, epochs: 2,
      maximumSteps: nil, elements: 100, job: "toy", digests: digests)
    coordinator = Coordinator(plan: plan, token: ClusterSettings.token, incarnation: Incarnation(1))
    _ = handle(.started)
  }

  /// One server, process 1, and two workers, processes 2 and 3, in training.
  static func training(_ consistency: Consistency = .sync) -> CoordinatorStage {
    var stage = CoordinatorStage(consistency, servers: 1, workers: 2)
    _ = stage.hello(.server, "", from: 1)
    _ = stage.hello(.worker, "", from: 2)
    _ = stage.hello(.worker, "", from: 3)
    _ = stage.send(.ready(stage.serverReady), Member(.server, 0), from: 1)
    _ = stage.send(.ready(stage.workerReady), Member(.worker, 0), from: 2)
    _ = stage.send(.ready(stage.workerReady), Member(.worker, 1), from: 3)
    _ = stage.send(.viewAccepted, Member(.server, 0), from: 1)
    return stage
  }

  var serverReady: Ready { settings.serverReady(.server(0)) }
  var workerReady: Ready { settings.workerReady(.worker(0)) }

  /// The same statement with one digest changed.
  func changed(_ ready: Ready, _ kind: String) -> Ready {
    var digests = ready.digests
    switch kind {
    case "build of convoy": digests.build = ClusterSettings.digest(99)
    case "network": digests.network = ClusterSettings.digest(99)
    case "job": digests.job = []
    default: digests.data = ClusterSettings.digest(99)
    }
    return Ready(
      digests: digests, samples: ready.samples, engineFingerprint: ready.engineFingerprint, address: ready.address)
  }

  /// The names of those that a report says are missing.
  var missing: [String]? {
    for case .waiting(let missing) in reports { return missing }
    return nil
  }

  var progress: JobProgress? {
    for case .progress(let progress) in reports.reversed() { return progress }
    return nil
  }

  mutating func handle(_ event: CoordinatorEvent) -> [CoordinatorEffect] {
    let effects = coordinator.handle(event, at: Moment(milliseconds: now))
    for effect in effects {
      switch effect {
      case .report(let report):
        reports.append(report)
        if case .begun(let view) = report { self.view = view }
      case .collect(let chunk, _): collected.append(chunk)
      case .release(let handle): released.append(handle)
      case .stop(let reason): stopped = reason
      case .send, .store, .timer: break
      }
    }
    return effects
  }

  mutating func hello(_ role: Role, _ name: String, from process: UInt64) -> [Message] {
    send(.hello(Hello(role: role, name: name)), Member(role, Member.unassigned), from: process)
  }

  /// A message of a process; the messages that the coordinator sends then.
  mutating func send(
    _ message: Message, _ sender: Member, from process: UInt64, payload: ReceivedPayload? = nil,
    token: JobToken = ClusterSettings.token
  ) -> [Message] {
    let envelope = Envelope(
      token: token, view: view?.number ?? .none, sender: sender, incarnation: Incarnation(process), message: message)
    return handle(.message(envelope, from: Connection(process), payload: payload)).messages
  }

  mutating func tick() -> [CoordinatorEffect] { handle(.timer) }
}

extension [CoordinatorEffect] {
  var messages: [Message] {
    compactMap { if case .send(let envelope, _) = $0 { envelope.message } else { nil } }
  }

  var stops: [StopReason] {
    compactMap { if case .stop(let reason) = $0 { reason } else { nil } }
  }
}

extension [Message] {
  var refusals: [RefusalReason] {
    compactMap { if case .refused(let refusal) = $0 { refusal.reason } else { nil } }
  }

  var welcomed: Member? {
    for case .welcome(let welcome) in self { return welcome.member }
    return nil
  }

  var stopped: [StopReason] {
    compactMap { if case .stop(let reason) = $0 { reason } else { nil } }
  }
}

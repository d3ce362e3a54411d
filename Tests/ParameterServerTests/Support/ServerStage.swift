import ParameterServer

/// One server in a view of three workers over four shards, with the test as everyone else.
struct ServerStage {
  static let myself = Actor.server(0)

  let view: View
  private(set) var server: Server
  private var nextHandle: UInt64 = 0
  var now: UInt64 = 100

  /// Workers 0, 1 and 2 work on shards 0, 1 and 2-3 in sync mode.
  init(_ consistency: Consistency = .sync, isInitialised: Bool = true, samples: Int = 20, batch: Int = 8) {
    var settings = ClusterSettings()
    settings.consistency = consistency
    settings.servers = 2
    settings.workers = 3
    settings.batch = batch
    settings.samples = samples
    settings.elements = 500
    view = View.assigning(
      number: ViewNumber(3), rules: settings.plan.rules(samples: samples)!,
      servers: [0, 1].map { (Actor.server($0).incarnation, "s\($0)", Actor.server($0).address) },
      workers: (0..<3).map { (Actor.worker($0).incarnation, "w\($0)") })
    server = Server(name: "", token: ClusterSettings.token, incarnation: Self.myself.incarnation)
    _ = server.handle(.started, at: moment)
    _ = fromCoordinator(.welcome(Welcome(member: Member(.server, 0), job: "toy")))
    _ = server.handle(.prepared(settings.serverReady(Self.myself)), at: moment)
    _ = fromCoordinator(.view(view))
    if isInitialised { _ = server.handle(.initialised, at: moment) }
  }

  private var moment: Moment { Moment(milliseconds: now) }

  mutating func handle(_ event: ServerEvent) -> [ServerEffect] {
    server.handle(event, at: moment)
  }

  mutating func fromCoordinator(_ message: Message, token: JobToken = ClusterSettings.token) -> [ServerEffect] {
    let envelope = Envelope(
      token: token, view: .none, sender: .coordinator, incarnation: Actor.coordinator.incarnation, message: message)
    return handle(.message(envelope, from: .coordinator, payload: nil))
  }

  /// A message of a worker's, its envelope as it should be unless stated otherwise; the payload's handle is returned.
  mutating func send(
    _ message: Message, worker: Int = 0, bytes: Int? = nil, token: JobToken = ClusterSettings.token,
    view: ViewNumber? = nil, sender: Member? = nil, incarnation: Incarnation? = nil
  ) -> (effects: [ServerEffect], handle: GradientHandle) {
    let envelope = Envelope(
      token: token, view: view ?? self.view.number, sender: sender ?? Member(.worker, UInt32(worker)),
      incarnation: incarnation ?? Actor.worker(worker).incarnation, message: message)
    let handle = GradientHandle(nextHandle)
    nextHandle += 1
    let payload = bytes.map { ReceivedPayload(handle: handle, bytes: $0) }
    let source = Destination.connection(Actor.worker(worker).connection)
    return (server.handle(.message(envelope, from: source, payload: payload), at: moment), handle)
  }

  /// A push of a worker's for a chunk, with as many bytes as the chunk has.
  mutating func push(
    step: UInt64 = 0, _ level: UInt8, _ index: UInt32, chunk: UInt32 = 0, worker: Int = 0, basis: UInt64? = nil
  ) -> (effects: [ServerEffect], handle: GradientHandle) {
    let push = Push(chunk: chunk, step: step, node: ShardNode(level: level, index: index), basis: basis ?? step)
    return send(.push(push), worker: worker, bytes: view.rules.chunks.bytes(of: Int(chunk)))
  }

  mutating func pull(_ chunk: UInt32 = 0, version: UInt64, worker: Int = 0) -> [ServerEffect] {
    send(.pull(Pull(chunk: chunk, version: version)), worker: worker).effects
  }
}

/// Effects, taken apart.
extension [ServerEffect] {
  var released: [GradientHandle] {
    compactMap { if case .release(let handle) = $0 { handle } else { nil } }
  }

  var applied: [ApplyOrder] {
    compactMap { if case .apply(let order) = $0 { order } else { nil } }
  }

  var sums: [[GradientHandle]] {
    compactMap { if case .combine(let left, let right, let sum) = $0 { [left, right, sum] } else { nil } }
  }

  var messages: [Message] {
    compactMap { if case .send(let envelope, _, _) = $0 { envelope.message } else { nil } }
  }

  /// The versions that are sent, and the workers that they are sent to.
  var answers: [Answer] {
    compactMap { effect in
      guard case .send(_, .connection(let connection), let parameters?) = effect,
        case .worker(let worker) = Actor(connection)
      else { return nil }
      return Answer(worker: worker, chunk: parameters.chunk, version: parameters.version)
    }
  }

  var refusals: [RefusalReason] {
    messages.compactMap { if case .refused(let refusal) = $0 { refusal.reason } else { nil } }
  }

  var stops: [StopReason] {
    compactMap { if case .stop(let reason) = $0 { reason } else { nil } }
  }
}

/// A chunk on its way to a worker.
struct Answer: Hashable {
  let worker: Int
  var chunk: UInt32 = 0
  let version: UInt64
}

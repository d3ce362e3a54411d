import ParameterServer

/// One worker in a view of two servers over four shards, with the test as everyone else.
struct WorkerStage {
  static let myself = Actor.worker(0)

  let view: View
  private(set) var worker: Worker
  /// What it did when the view came.
  private(set) var beginning: [WorkerEffect] = []
  private var nextHandle: UInt64 = 0
  var now: UInt64 = 100

  init(
    _ consistency: Consistency = .sync, workers: Int = 2, number: UInt32 = 0, samples: Int = 20, batch: Int = 8,
    epochs: Int = 2
  ) {
    var settings = ClusterSettings()
    settings.consistency = consistency
    settings.servers = 2
    settings.batch = batch
    settings.epochs = epochs
    settings.elements = 200
    view = View.assigning(
      number: ViewNumber(3), rules: settings.plan.rules(samples: samples)!,
      servers: [0, 1].map { (Actor.server($0).incarnation, "s\($0)", Actor.server($0).address) },
      workers: (0..<workers).map { (Actor.worker($0).incarnation, "w\($0)") })
    worker = Worker(name: "", token: ClusterSettings.token, incarnation: Actor.worker(Int(number)).incarnation)
    _ = worker.handle(.started, at: moment)
    _ = fromCoordinator(.welcome(Welcome(member: Member(.worker, number), job: "toy")))
    _ = worker.handle(.prepared(settings.workerReady(Self.myself)), at: moment)
    beginning = fromCoordinator(.view(view))
  }

  private var moment: Moment { Moment(milliseconds: now) }

  /// The number of chunks.
  var chunks: Range<UInt32> { 0..<UInt32(view.rules.chunks.count) }

  mutating func handle(_ event: WorkerEvent) -> [WorkerEffect] {
    worker.handle(event, at: moment)
  }

  mutating func fromCoordinator(_ message: Message, token: JobToken = ClusterSettings.token) -> [WorkerEffect] {
    let envelope = Envelope(
      token: token, view: .none, sender: .coordinator, incarnation: Actor.coordinator.incarnation, message: message)
    return handle(.message(envelope, from: .coordinator, payload: nil))
  }

  /// A message of a server's, its envelope as it should be unless stated otherwise; the payload's handle is returned.
  mutating func send(
    _ message: Message, server: Int, bytes: Int? = nil, through connection: Int? = nil,
    token: JobToken = ClusterSettings.token, view: ViewNumber? = nil, incarnation: Incarnation? = nil
  ) -> (effects: [WorkerEffect], handle: GradientHandle) {
    let envelope = Envelope(
      token: token, view: view ?? self.view.number, sender: Member(.server, UInt32(server)),
      incarnation: incarnation ?? Actor.server(server).incarnation, message: message)
    let handle = GradientHandle(nextHandle)
    nextHandle += 1
    let source = Destination.server(Member(.server, UInt32(connection ?? server)))
    let payload = bytes.map { ReceivedPayload(handle: handle, bytes: $0) }
    return (worker.handle(.message(envelope, from: source, payload: payload), at: moment), handle)
  }

  /// A chunk from the server that holds it, or from another.
  mutating func parameters(
    _ chunk: UInt32, version: UInt64, server: Int? = nil
  ) -> (effects: [WorkerEffect], handle: GradientHandle) {
    let holder = view.serverOfChunk![Int(chunk)]
    return send(
      .parameters(Parameters(chunk: chunk, version: version)), server: server ?? holder,
      bytes: view.rules.chunks.bytes(of: Int(chunk)))
  }

  /// All chunks at a version; the effects of all.
  mutating func allParameters(version: UInt64) -> [WorkerEffect] {
    chunks.flatMap { parameters($0, version: version).effects }
  }

  /// Computes what was ordered, to the end.
  mutating func compute(_ order: ComputeOrder) -> [WorkerEffect] {
    var effects: [WorkerEffect] = []
    for node in order.nodes {
      for chunk in chunks.reversed() {
        effects += handle(.gradientReady(step: order.step, node: node, chunk: Int(chunk)))
      }
      for shard in node.shards where !order.schedule.positions(ofStep: order.step, shard: shard).isEmpty {
        effects += handle(
          .computed(ShardResult(step: order.step, shard: shard, samples: 2, lossSum: 1, correct: 1)))
      }
    }
    return effects + handle(.computeFinished(step: order.step))
  }
}

extension [WorkerEffect] {
  var released: [GradientHandle] {
    compactMap { if case .release(let handle) = $0 { handle } else { nil } }
  }

  var installed: [GradientHandle] {
    compactMap { if case .install(_, _, let handle) = $0 { handle } else { nil } }
  }

  var orders: [ComputeOrder] {
    compactMap { if case .compute(let order) = $0 { order } else { nil } }
  }

  var readAhead: [ComputeOrder] {
    compactMap { if case .readAhead(let order) = $0 { order } else { nil } }
  }

  var messages: [Message] {
    compactMap { if case .send(let envelope, _, _) = $0 { envelope.message } else { nil } }
  }

  var pushes: [Push] {
    messages.compactMap { if case .push(let push) = $0 { push } else { nil } }
  }

  var pulls: [Pull] {
    messages.compactMap { if case .pull(let pull) = $0 { pull } else { nil } }
  }

  var isFinished: Bool {
    messages.contains { if case .finished = $0 { true } else { false } }
  }

  var stops: [StopReason] {
    compactMap { if case .stop(let reason) = $0 { reason } else { nil } }
  }
}

import ParameterServer

/// One worker, with the test as everyone else.
struct WorkerBench {
  private(set) var worker: Worker
  private(set) var view: View
  private(set) var ledger = Ledger()
  let me: Member
  var now: UInt64 = 0
  /// What the first view brought about.
  private(set) var beginning: [WorkerEffect] = []

  init(_ view: View, number: UInt32 = 0) {
    self.view = view
    me = Member(.worker, number)
    worker = Worker(name: "", token: Job.token, incarnation: view.incarnation(of: me) ?? Job.life(me))
    _ = handle(.started)
    _ = fromCoordinator(.welcome(Welcome(member: me, job: "toy")))
    _ = handle(.prepared(Job.workerReady))
    beginning = adopt(view)
  }

  /// Hands an event in, and keeps the books of the payloads.
  mutating func handle(_ event: WorkerEvent) -> [WorkerEffect] {
    let effects = worker.handle(event, at: Moment(milliseconds: now))
    for effect in effects {
      switch effect {
      case .release(let handle), .install(_, let handle): ledger.letGo(handle)
      default: break
      }
    }
    return effects
  }

  mutating func after(_ milliseconds: UInt64) -> [WorkerEffect] {
    now += milliseconds
    return handle(.timer)
  }

  mutating func arrive(_ bytes: Int) -> ReceivedPayload { ledger.arrive(bytes) }

  mutating func adopt(_ view: View) -> [WorkerEffect] {
    self.view = view
    return fromCoordinator(.view(view))
  }

  mutating func fromCoordinator(_ message: Message, bytes: Int? = nil) -> [WorkerEffect] {
    let envelope = Envelope(
      token: Job.token, view: view.number, sender: .coordinator, incarnation: Incarnation(1), message: message)
    let payload = bytes.map { ledger.arrive($0) }
    return handle(.message(envelope, from: .coordinator, payload: payload))
  }

  mutating func send(_ message: Message, from member: Member, bytes: Int? = nil) -> [WorkerEffect] {
    let envelope = Envelope(
      token: Job.token, view: view.number, sender: member, incarnation: view.incarnation(of: member)!,
      message: message)
    let payload = bytes.map { ledger.arrive($0) }
    return handle(.message(envelope, from: .server(member), payload: payload))
  }

  /// The server of a chunk hands it out.
  mutating func values(
    _ chunk: UInt32, closed: Int, version: Int? = nil, answers: Contribution? = nil
  ) -> [WorkerEffect] {
    let parameters = Parameters(
      chunk: chunk, version: UInt64(version ?? closed), closed: UInt64(closed), answers: answers)
    return send(
      .parameters(parameters), from: view.servers[view.serverOfChunk![Int(chunk)]].member,
      bytes: view.rules.payloadBytes(ofChunk: Int(chunk), step: closed))
  }

  mutating func allValues(closed: Int, version: Int? = nil, answers: Contribution? = nil) -> [WorkerEffect] {
    view.rules.chunks.chunks(of: .parameters).flatMap {
      values(UInt32($0), closed: closed, version: version, answers: answers)
    }
  }

  mutating func position(_ chunk: UInt32, closed: Int, asked: Int = 0) -> [WorkerEffect] {
    let position = Parameters(chunk: chunk, version: UInt64(closed), closed: UInt64(closed), asked: UInt64(asked))
    return send(.position(position), from: view.servers[view.serverOfChunk![Int(chunk)]].member)
  }

  /// The parts of an order become final, the last chunk first.
  mutating func ready(_ order: ComputeOrder, chunks: [Int]? = nil) -> [WorkerEffect] {
    (chunks ?? view.rules.chunks.chunks(of: .parameters).reversed()).flatMap { chunk in
      order.nodes.flatMap { handle(.gradientReady(order: order.number, node: $0, chunk: chunk)) }
    }
  }

  /// An order is computed as a whole.
  mutating func compute(_ order: ComputeOrder) -> [WorkerEffect] {
    var effects = ready(order)
    for node in order.nodes {
      for shard in node.shards {
        let samples = view.rules.schedule.positions(ofStep: order.steps.lowerBound, shard: shard).count
        effects += handle(
          .computed(
            ShardResult(step: order.steps.lowerBound, shard: shard, samples: samples, lossSum: 1, correct: 0)))
      }
    }
    return effects + handle(.computeFinished(order: order.number, milliseconds: 10))
  }
}

/// Effects, taken apart.
extension [WorkerEffect] {
  var messages: [Message] { compactMap { if case .send(let envelope, _, _) = $0 { envelope.message } else { nil } } }

  var pushes: [Push] { messages.compactMap { if case .push(let push) = $0 { push } else { nil } } }

  var pulls: [Pull] { messages.compactMap { if case .pull(let pull) = $0 { pull } else { nil } } }

  var requests: [LeaseRequest] {
    messages.compactMap { if case .leaseRequest(let request) = $0 { request } else { nil } }
  }

  var markers: [UInt64] { messages.compactMap { if case .marker(let number) = $0 { number } else { nil } } }

  var orders: [ComputeOrder] { compactMap { if case .compute(let order) = $0 { order } else { nil } } }

  var installed: [Int] { compactMap { if case .install(let chunk, _) = $0 { chunk } else { nil } } }

  var discarded: [ShardNode] { compactMap { if case .discard(_, let node) = $0 { node } else { nil } } }

  var released: [GradientHandle] { compactMap { if case .release(let handle) = $0 { handle } else { nil } } }

  var stops: [StopReason] { compactMap { if case .stop(let reason) = $0 { reason } else { nil } } }
}

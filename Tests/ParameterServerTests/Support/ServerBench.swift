import ParameterServer

/// One server, with the test as everyone else.
struct ServerBench {
  private(set) var server: Server
  private(set) var view: View
  private(set) var ledger = Ledger()
  let me: Member
  var now: UInt64 = 0

  /// A server that works in a view, its first parameters made where the view says so.
  init(_ view: View, number: UInt32 = 0) {
    self.init(unstarted: view, number: number)
    join()
    _ = adopt(view)
    if view.origin == .initial, let mine = view.server(me) {
      _ = handle(.initialised(chunks: (mine.chunks + mine.replicas).map(Int.init).sorted(), era: view.era))
    }
  }

  init(unstarted view: View, number: UInt32 = 0) {
    self.view = view
    me = Member(.server, number)
    server = Server(name: "", token: Job.token, incarnation: view.incarnation(of: me) ?? Job.life(me))
  }

  mutating func join() {
    _ = handle(.started)
    _ = fromCoordinator(.welcome(Welcome(member: me, job: "toy")))
    _ = handle(.prepared(Job.serverReady))
  }

  /// Hands an event in, and keeps the books of the payloads.
  mutating func handle(_ event: ServerEvent) -> [ServerEffect] {
    let effects = server.handle(event, at: Moment(milliseconds: now))
    for effect in effects {
      switch effect {
      case .combine(let left, let right, let sum):
        ledger.letGo(left)
        ledger.letGo(right)
        ledger.make(sum)
      case .measure(_, _, let gradient, let part):
        ledger.use(gradient)
        ledger.make(part)
      case .addNorm(_, let parts): for part in parts { ledger.use(part) }
      case .release(let handle), .install(_, let handle): ledger.letGo(handle)
      case .apply(_, let handle), .send(_, _, .gradient(let handle)?): ledger.use(handle)
      default: break
      }
    }
    return effects
  }

  /// The next sign of life is due, and what had no answer is said again.
  mutating func tick() -> [ServerEffect] {
    now += 500
    return handle(.timer)
  }

  mutating func arrive(_ bytes: Int) -> ReceivedPayload { ledger.arrive(bytes) }

  mutating func adopt(_ view: View) -> [ServerEffect] {
    self.view = view
    return fromCoordinator(.view(view))
  }

  mutating func fromCoordinator(_ message: Message, bytes: Int? = nil) -> [ServerEffect] {
    let envelope = Envelope(
      token: Job.token, view: view.number, sender: .coordinator, incarnation: Incarnation(1), message: message)
    let payload = bytes.map { ledger.arrive($0) }
    return handle(.message(envelope, from: .coordinator, payload: payload))
  }

  mutating func send(_ message: Message, from member: Member, bytes: Int? = nil) -> [ServerEffect] {
    let envelope = Envelope(
      token: Job.token, view: view.number, sender: member, incarnation: view.incarnation(of: member)!,
      message: message)
    let payload = bytes.map { ledger.arrive($0) }
    return handle(.message(envelope, from: Self.connection(member), payload: payload))
  }

  static func connection(_ member: Member) -> Destination {
    .connection(Connection(UInt64(member.role.rawValue) * 100 + UInt64(member.number)))
  }

  /// A worker's gradient; it waits for the step after, as in sync, unless stated.
  mutating func push(
    _ step: Int, _ node: ShardNode, chunk: UInt32 = 0, by number: UInt32 = 0, basis: UInt64? = nil, awaits: Int? = nil
  ) -> [ServerEffect] {
    let push = Push(
      chunk: chunk, step: UInt64(step), node: node, basis: basis ?? UInt64(step), awaits: UInt64(awaits ?? step + 1))
    return send(
      .push(push), from: worker(number), bytes: view.rules.payloadBytes(ofChunk: Int(chunk), step: step))
  }

  mutating func pull(_ chunk: UInt32 = 0, closed: Int, exact: Bool = false, by number: UInt32 = 0) -> [ServerEffect] {
    send(.pull(Pull(chunk: chunk, closed: UInt64(closed), isExact: exact)), from: worker(number))
  }

  mutating func applied(_ chunk: Int = 0, _ version: UInt64) -> [ServerEffect] {
    handle(.applied(chunk: chunk, version: version))
  }

  /// Closes a step of a chunk by one push of all shards.
  mutating func close(_ step: Int, chunk: UInt32 = 0) -> [ServerEffect] {
    push(step, node(2, 0), chunk: chunk) + applied(Int(chunk), UInt64(step) + 1)
  }
}

/// A chunk on its way to somebody.
struct Answer: Hashable {
  var worker: UInt32 = 0
  let version: UInt64
  let closed: UInt64
  var isStale = false
}

/// Effects, taken apart.
extension [ServerEffect] {
  var updates: [Update] { compactMap { if case .apply(let update, _) = $0 { update } else { nil } } }

  /// The parts of norms that are ordered to be added.
  var added: [[GradientHandle]] {
    compactMap { if case .addNorm(_, let parts) = $0 { parts } else { nil } }
  }

  /// Chunks whose gradients are ordered to be measured, with what is made of them.
  var measured: [Int: GradientHandle] {
    reduce(into: [:]) { if case .measure(let chunk, _, _, let part) = $1 { $0[chunk] = part } }
  }

  /// Parts of norms that are sent: chunk and step.
  var norms: [[UInt64]] {
    compactMap { effect in
      guard case .send(let envelope, .server, .gradient?) = effect, case .norm(let chunk, let step) = envelope.message
      else { return nil }
      return [UInt64(chunk), step]
    }
  }

  /// Scales that are told: to which server, step and scale.
  var scales: [[UInt64]] {
    compactMap { effect in
      guard case .send(let envelope, .server(let member), nil) = effect,
        case .scale(let step, let bits) = envelope.message
      else { return nil }
      return [UInt64(member.number), step, bits]
    }
  }

  var released: [GradientHandle] { compactMap { if case .release(let handle) = $0 { handle } else { nil } } }

  var sums: [[GradientHandle]] {
    compactMap { if case .combine(let left, let right, let sum) = $0 { [left, right, sum] } else { nil } }
  }

  var messages: [Message] { compactMap { if case .send(let envelope, _, _) = $0 { envelope.message } else { nil } } }

  var answers: [Answer] {
    compactMap { effect in
      guard case .send(let envelope, .connection(let connection), .values?) = effect,
        case .parameters(let parameters) = envelope.message
      else { return nil }
      return Answer(
        worker: UInt32(connection.rawValue) - 300, version: parameters.version, closed: parameters.closed,
        isStale: parameters.answers?.isStale == true)
    }
  }

  var positions: [UInt64] {
    messages.compactMap { if case .position(let parameters) = $0 { parameters.closed } else { nil } }
  }

  var replicated: [Update] {
    messages.compactMap { if case .replicate(let update) = $0 { update } else { nil } }
  }

  var states: [ChunkPosition] {
    messages.compactMap { if case .replica(let position) = $0 { position } else { nil } }
  }

  var confirmed: [UInt64] {
    messages.compactMap { if case .replicated(_, let version) = $0 { version } else { nil } }
  }

  var snapshots: [ChunkPosition] {
    compactMap { if case .snapshot(let position) = $0 { position } else { nil } }
  }

  var accepted: [UInt64] {
    messages.compactMap { if case .viewAccepted(let closed) = $0 { closed } else { nil } }
  }

  var signsOfLife: Int { messages.count { if case .progress = $0 { true } else { false } } }

  var lost: [UInt32] { messages.compactMap { if case .stateLost(let chunk) = $0 { chunk } else { nil } } }

  var refusals: [RefusalReason] {
    messages.compactMap { if case .refused(let refusal) = $0 { refusal.reason } else { nil } }
  }

  var stops: [StopReason] { compactMap { if case .stop(let reason) = $0 { reason } else { nil } } }
}

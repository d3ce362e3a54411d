/// A worker: reads the parameters, orders gradients of its shards, hands them to the servers chunk by chunk.
///
/// A value without I/O, clock or floats: `handle` takes what happened and returns what to do, in order.
public struct Worker: Sendable {
  /// The parameters that are held of a chunk.
  struct Held: Sendable {
    var version: UInt64
    var closed: Int
  }

  /// What is waited for of a chunk.
  struct Want: Sendable, Equatable {
    let closed: Int
    let isExact: Bool
  }

  /// The order under way.
  struct Computation: Sendable {
    let order: ComputeOrder
    /// Whether its results are void: the era is over in which it was ordered.
    var isVoid = false
  }

  var session: MemberSession
  private var timer: Moment?

  var view: View?
  /// This worker's line of the view.
  var mine: View.Worker? { didSet { missing = nil } }
  /// The server of each chunk, by chunk.
  var servers: [Member] = []
  var held: [Held?] = []
  var wants: [Want?] = []
  /// A chunk that does not have so many closed steps yet, where each such chunk is asked for; nil where one may not be.
  var awaited: (chunk: Int, closed: Int)?
  /// Parameters that came while the engine read the chunk, to be installed when it has finished.
  var deferred: [(parameters: Parameters, payload: GradientHandle)?] = []
  var sums: [SumRecord] = []
  var computation: Computation?
  /// Nodes of the order under way whose part is not final, by chunk: the engine still reads the chunk's parameters.
  var remaining: [Int] = []
  /// The first step of the round that is worked on; nil before it is known.
  var target: Int?
  /// Whether it went back to look for a step that may wait for it, and has computed nothing since.
  var hasFallenBack = false
  /// Whether every chunk has to be read anew before the work goes on.
  var isProbing = false
  /// What was computed of the rounds that are not known to be closed.
  var computed: [(step: Int, node: ShardNode)] = [] { didSet { missing = nil } }
  /// This worker's nodes of a round that it has not computed, once they were asked for.
  var missing: (step: Int, nodes: [ShardNode])?
  var leases = LeaseQueue()
  var nextOrder: UInt64 = 1
  var begunSteps: UInt64 = 0
  var readAheadEnd = 0
  /// The cut that is to be marked, and the one that was.
  var pendingCut: UInt64 = 0
  var markedCut: UInt64 = 0
  private var actedAt = Moment(milliseconds: 0)
  private var retryDelay: UInt64 = 0
  /// How often something was said again.
  var retries: UInt64 = 0
  private var ledger = EpochLedger()
  /// How long nothing was heard of servers that something is asked of.
  var links = LinkWatch()

  /// Shards computed since the start, in number.
  public private(set) var shardCount: UInt64 = 0
  /// Computed shards by shard number: what the log shows.
  public private(set) var shardsComputed: [UInt64] = []
  /// Milliseconds spent on computing.
  public internal(set) var busyMilliseconds: UInt64 = 0
  /// What was refused since the start.
  public internal(set) var refusals = RefusalCounts()
  /// What was passed over since the start.
  public internal(set) var drops = DropCounts()

  /// Steps whose samples are read ahead of the computation.
  static let readAheadSteps = 2

  /// A worker that has not started.
  public init(name: String, token: JobToken, incarnation: Incarnation, deadlines: Deadlines = Deadlines()) {
    session = MemberSession(
      role: .worker, name: name, token: token, incarnation: incarnation, deadlines: deadlines)
  }

  /// Its place in the job; unnumbered until the coordinator gave it one.
  public var member: Member { session.member }

  /// The step that it works on; nil before it is known, and in leased modes.
  public var step: Int? { target }

  /// Takes what happened and adds what to do, in order.
  public mutating func handle(_ event: WorkerEvent, at now: Moment, into effects: inout [WorkerEffect]) {
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
    case .unreadable(let refusal, _): refuse(refusal, &effects)
    case .prepared(let ready):
      if let message = session.prepared(ready, at: now) {
        send(message, to: .coordinator, &effects)
      } else {
        drops.count(.outdated)
      }
    case .gradientReady(let order, let node, let chunk):
      act(at: now)
      ready(chunk, of: node, in: order, &effects)
    case .computed(let result):
      record(result, &effects)
    case .computeFinished(let order, let milliseconds):
      act(at: now)
      finished(order, milliseconds, &effects)
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

  var progress: Progress {
    Progress(
      steps: begunSteps, shards: shardCount, busy: busyMilliseconds, epochs: ledger.newest,
      refused: RefusedCounts(messages: refusals), waits: links.waits(session.deadlines))
  }

  mutating func send(
    _ message: Message, to destination: Destination, gradient: GradientPart? = nil, _ effects: inout [WorkerEffect]
  ) {
    effects.append(.send(session.envelope(message), to: destination, gradient: gradient))
  }

  /// Counts and tells what is refused: a worker answers nobody, for whoever speaks to it says it again.
  mutating func refuse(_ refusal: Refusal, _ effects: inout [WorkerEffect]) {
    refusals.count(refusal.reason)
    effects.append(.refused(refusal))
  }

  private mutating func leave(
    _ text: String, isOrderly: Bool, reason: StopReason, _ effects: inout [WorkerEffect]
  ) {
    send(session.leaving(text, isOrderly: isOrderly, kind: reason.kind, progress: progress), to: .coordinator, &effects)
    session.end()
    effects.append(.stop(reason))
  }

  /// Something went on: what has no answer yet is given time again.
  private mutating func act(at now: Moment) {
    actedAt = now
    retryDelay = session.deadlines.retry
  }

  private mutating func tick(at now: Moment, _ effects: inout [WorkerEffect]) {
    if view != nil { watchLinks(at: now, &effects) }
    switch session.tick(at: now) {
    case .nothing: break
    case .message(let message): send(message, to: .coordinator, &effects)
    case .progress:
      send(.progress(progress), to: .coordinator, &effects)
      requestLeases(&effects)
    case .stop(let reason): return effects.append(.stop(reason))
    }
    guard view != nil, now.milliseconds(since: actedAt) >= max(retryDelay, session.deadlines.retry) else { return }
    actedAt = now
    // Waiting for a slow worker is no loss: what is sent again comes more and more seldom.
    retryDelay = min(max(retryDelay, session.deadlines.retry) * 2, 16 * session.deadlines.retry)
    retry(&effects)
  }

  // MARK: Messages

  private mutating func receive(
    _ envelope: Envelope, from source: Destination, payload: ReceivedPayload?, at now: Moment,
    _ effects: inout [WorkerEffect]
  ) {
    guard source == .coordinator else {
      return receiveFromServer(envelope, from: source, payload: payload, at: now, &effects)
    }
    if let payload { effects.append(.release(payload.handle)) }
    switch session.receive(envelope, at: now) {
    case .none: break
    case .dropped(let reason): drops.count(reason)
    case .adoptedBefore: drops.count(.repeated)
    case .prepare(let welcome): effects.append(.prepare(welcome))
    case .adopt(let view):
      act(at: now)
      links.begin(view.servers.map(\.member), at: now)
      adopt(view, &effects)
    case .other(.leases(let granted)): take(granted, in: envelope.view, &effects)
    case .other(.cut(let number)):
      if envelope.view != session.view?.number {
        drops.count(.outdated)
      } else if number > pendingCut {
        pendingCut = number
      } else {
        drops.count(.repeated)
      }
      advance(&effects)
    case .answer(let message):
      drops.count(.outdated)
      send(message, to: .coordinator, &effects)
    case .other:
      refuse(Refusal(.misplaced, "a worker takes no such message from the coordinator"), &effects)
    case .refuse(let refusal): refuse(refusal, &effects)
    case .stop(let reason):
      let isOrderly = reason == .completed || reason == .interrupted
      send(
        session.leaving(session.farewell(reason), isOrderly: isOrderly, kind: reason.kind, progress: progress),
        to: .coordinator, &effects)
      effects.append(.stop(reason))
    }
  }

  private mutating func receiveFromServer(
    _ envelope: Envelope, from source: Destination, payload: ReceivedPayload?, at now: Moment,
    _ effects: inout [WorkerEffect]
  ) {
    // Whatever view it is of: the way is open.
    if case .server(let server) = source { links.heard(server) }
    var refusal = Fence.refusal(of: envelope, token: session.token, view: view)
    if refusal == nil, source != .server(envelope.sender) {
      refusal = Refusal(.unknownMember, "\(envelope.sender) speaks through another server's connection")
    }
    if refusal == nil {
      switch envelope.message {
      case .parameters(let parameters):
        act(at: now)
        refusal = receive(parameters, from: envelope.sender, payload: payload, &effects)
        if refusal == nil { return }
      case .position(let position):
        act(at: now)
        refusal = receive(position: position, from: envelope.sender, &effects)
      case .refused(let theirs) where theirs.reason == .malformed || theirs.reason == .outOfBounds:
        if let payload { effects.append(.release(payload.handle)) }
        let text = "\(envelope.sender) refused a message: \(theirs.explanation)"
        return leave(text, isOrderly: false, reason: .failed(text), &effects)
      case .alive: break
      case .refused: drops.count(.refusal)  // Another view comes, or it is sent again.
      default: refusal = Refusal(.misplaced, "a worker takes no such message from \(envelope.sender)")
      }
    } else if case .refused = envelope.message {
      drops.count(.refusal)
      refusal = nil
    }
    if let payload { effects.append(.release(payload.handle)) }
    if let refusal { refuse(refusal, &effects) }
  }

  // MARK: Results

  private mutating func record(_ result: ShardResult, _ effects: inout [WorkerEffect]) {
    guard let schedule = view?.rules.schedule else { return drops.count(.outdated) }
    if shardsComputed.count != schedule.tree.shards {
      shardsComputed = [UInt64](repeating: 0, count: schedule.tree.shards)
    }
    shardCount += 1
    shardsComputed[result.shard] += 1
    // Told at once: how soon a worker that joins computes is what people ask of a job that grows.
    if shardCount == 1 { send(.progress(progress), to: .coordinator, &effects) }
    if let totals = ledger.add(result, epoch: UInt32(schedule.epoch(ofStep: result.step))) {
      var progress = progress
      progress.epochs = [totals]
      send(.progress(progress), to: .coordinator, &effects)
    }
  }
}

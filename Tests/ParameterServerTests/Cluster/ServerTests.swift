import ParameterServer
import Testing

/// What one server does with single messages.
@Suite struct ServerFencingTests {
  private static let token = JobToken([UInt8](repeating: 7, count: 16))!
  private static let now = Moment(milliseconds: 5)

  /// A server that holds all chunks of a job of one worker with four shards, at step 0.
  private static func server(_ consistency: Consistency = .sync) -> Server {
    var server = Server(name: "server.0", token: token, incarnation: Incarnation(1))
    _ = server.handle(.started, at: now)
    func coordinator(_ message: Message) -> ServerEvent {
      let envelope = Envelope(
        token: token, view: .none, sender: .coordinator, incarnation: Incarnation(9), message: message)
      return .message(envelope, from: .coordinator, payload: nil)
    }
    _ = server.handle(coordinator(.welcome(Welcome(member: Member(.server, 0), job: ""))), at: now)
    let ready = Ready(digests: TestCluster.digests, samples: 0, engineFingerprint: "", address: "a")
    _ = server.handle(.prepared(ready), at: now)
    _ = server.handle(coordinator(.view(view(consistency))), at: now)
    _ = server.handle(.initialised, at: now)
    return server
  }

  private static func view(_ consistency: Consistency = .sync) -> View {
    let schedule = BatchSchedule(samples: 40, batch: 16, tree: ShardTree(shards: 4)!)!
    let rules = JobRules(
      consistency: consistency, schedule: schedule, steps: 6, chunks: ChunkTable(elements: 256, servers: 1)!)!
    return View.assigning(
      number: ViewNumber(3), rules: rules, servers: [(Incarnation(1), "server.0", "a")],
      workers: [(Incarnation(2), "worker.0"), (Incarnation(4), "worker.1")])
  }

  private static func push(
    _ node: ShardNode, step: UInt64 = 0, chunk: UInt32 = 0, basis: UInt64 = 0, handle: UInt64, bytes: Int = 256,
    incarnation: UInt64 = 2, view: UInt64 = 3, token: JobToken = token
  ) -> ServerEvent {
    let envelope = Envelope(
      token: token, view: ViewNumber(view), sender: Member(.worker, 0), incarnation: Incarnation(incarnation),
      message: .push(Push(chunk: chunk, step: step, node: node, basis: basis)))
    return .message(
      envelope, from: .connection(Connection(11)),
      payload: ReceivedPayload(handle: GradientHandle(handle), bytes: bytes))
  }

  private static func leaf(_ index: UInt32) -> ShardNode { ShardNode(level: 0, index: index) }

  private func refusal(_ effects: [ServerEffect]) -> RefusalReason? {
    for case .send(let envelope, .connection(Connection(11)), nil) in effects {
      if case .refused(let refusal) = envelope.message { return refusal.reason }
    }
    return nil
  }

  private func released(_ effects: [ServerEffect]) -> [UInt64] {
    effects.compactMap { if case .release(let handle) = $0 { handle.rawValue } else { nil } }
  }

  private func orders(_ effects: [ServerEffect]) -> [ApplyOrder] {
    effects.compactMap { if case .apply(let order) = $0 { order } else { nil } }
  }

  @Test("Siblings are added left to right in whichever order they come, and the root is applied once")
  func siblings() {
    var server = Self.server()
    var combined: [(UInt64, UInt64)] = []
    var applies: [ApplyOrder] = []
    for index in [3, 0, 2, 1] as [UInt32] {
      let effects = server.handle(Self.push(Self.leaf(index), handle: UInt64(index)), at: Self.now)
      for case .combine(let left, let right, _) in effects { combined.append((left.rawValue, right.rawValue)) }
      applies += orders(effects)
    }
    #expect(combined.map(\.0) == [2, 0, GradientHandle.firstSum + 1])
    #expect(combined.map(\.1) == [3, 1, GradientHandle.firstSum])
    #expect(applies.count == 1)
    #expect(applies.first?.samples == 16)
    #expect(applies.first?.version == 1)
  }

  @Test("A push that comes again before the apply is dropped, and after it is answered with the version it made")
  func duplicates() {
    var server = Self.server()
    _ = server.handle(Self.push(Self.leaf(0), handle: 0), at: Self.now)
    let again = server.handle(Self.push(Self.leaf(0), handle: 1), at: Self.now)
    #expect(released(again) == [1])
    #expect(orders(again).isEmpty)
    #expect(server.duplicates == 1)
    let root = server.handle(Self.push(ShardNode(level: 2, index: 0), handle: 2), at: Self.now)
    #expect(orders(root).count == 1)
    _ = server.handle(.applied(chunk: 0), at: Self.now)
    let late = server.handle(Self.push(Self.leaf(2), handle: 3), at: Self.now)
    #expect(released(late) == [3])
    #expect(late.contains { if case .send(_, _, Parameters(chunk: 0, version: 1)) = $0 { true } else { false } })
    #expect(server.version(of: 0) == 1)
  }

  @Test("A node that covers partly held ones replaces them")
  func replacement() {
    var server = Self.server()
    _ = server.handle(Self.push(Self.leaf(0), handle: 0), at: Self.now)
    _ = server.handle(Self.push(Self.leaf(2), handle: 1), at: Self.now)
    let effects = server.handle(Self.push(ShardNode(level: 1, index: 0), handle: 2), at: Self.now)
    #expect(released(effects) == [0])
    let last = server.handle(Self.push(Self.leaf(3), handle: 3), at: Self.now)
    #expect(orders(last).count == 1)
    #expect(
      last.contains(
        .combine(left: GradientHandle(1), right: GradientHandle(3), into: GradientHandle(GradientHandle.firstSum))))
  }

  @Test("What belongs to another job, an old view, a dead incarnation or a stranger is refused, answered and counted")
  func fences() {
    var server = Self.server()
    let other = JobToken([UInt8](repeating: 8, count: 16))!
    let cases: [(ServerEvent, RefusalReason)] = [
      (Self.push(Self.leaf(0), handle: 0, token: other), .wrongJob),
      (Self.push(Self.leaf(0), handle: 1, view: 2), .oldView),
      (Self.push(Self.leaf(0), handle: 2, incarnation: 77), .deadIncarnation),
      (Self.push(Self.leaf(0), handle: 3, bytes: 255), .malformed),
      (Self.push(Self.leaf(0), step: 1, handle: 4), .misplaced),
      (Self.push(Self.leaf(0), chunk: 99, handle: 5), .misplaced),
      (Self.push(Self.leaf(0), step: 99, handle: 6), .misplaced),
      (Self.push(ShardNode(level: 5, index: 0), handle: 7), .misplaced),
    ]
    for (index, (event, reason)) in cases.enumerated() {
      let effects = server.handle(event, at: Self.now)
      #expect(refusal(effects) == reason)
      #expect(released(effects) == [UInt64(index)])
      #expect(orders(effects).isEmpty)
    }
    #expect(server.refusals.total == UInt64(cases.count))
    #expect(server.refusals[.misplaced] == 4)
    // The server goes on as if nothing had been.
    let root = server.handle(Self.push(ShardNode(level: 2, index: 0), handle: 50), at: Self.now)
    #expect(orders(root).count == 1)
  }

  @Test("Async: each push is applied as it comes with its true staleness; one from the future is refused")
  func asynchronous() {
    var server = Self.server(.async)
    let first = server.handle(Self.push(Self.leaf(0), handle: 0), at: Self.now)
    #expect(orders(first).map(\.staleness) == [0])
    // A second comes while the first is being applied: it waits.
    let second = server.handle(Self.push(Self.leaf(1), handle: 1), at: Self.now)
    #expect(orders(second).isEmpty)
    let applied = server.handle(.applied(chunk: 0), at: Self.now)
    #expect(orders(applied).map(\.staleness) == [1])
    #expect(orders(applied).map(\.worker) == [0])
    let future = server.handle(Self.push(Self.leaf(2), basis: 9, handle: 2), at: Self.now)
    #expect(refusal(future) == .misplaced)
  }

  @Test("A pull waits for its version, and one past the last is refused")
  func pulls() {
    var server = Self.server()
    func pull(_ version: UInt64) -> ServerEvent {
      let envelope = Envelope(
        token: Self.token, view: ViewNumber(3), sender: Member(.worker, 1), incarnation: Incarnation(4),
        message: .pull(Pull(chunk: 0, version: version)))
      return .message(envelope, from: .connection(Connection(11)), payload: nil)
    }
    #expect(server.handle(pull(0), at: Self.now).contains { if case .send(_, _, .some) = $0 { true } else { false } })
    #expect(server.handle(pull(1), at: Self.now).isEmpty)
    #expect(refusal(server.handle(pull(7), at: Self.now)) == .misplaced)
    _ = server.handle(Self.push(ShardNode(level: 2, index: 0), handle: 0), at: Self.now)
    let answers = server.handle(.applied(chunk: 0), at: Self.now).filter {
      if case .send(_, .connection(Connection(11)), Parameters(chunk: 0, version: 1)) = $0 { true } else { false }
    }
    #expect(!answers.isEmpty)
  }
}

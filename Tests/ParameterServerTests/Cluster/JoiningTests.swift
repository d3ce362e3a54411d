import ParameterServer
import Testing

/// Who is let in, who is missed, and how a job ends.
@Suite struct JoiningTests {
  private static let token = JobToken([UInt8](repeating: 7, count: 16))!

  private final class Desk {
    var machine: Coordinator
    var now = Moment(milliseconds: 0)

    init(_ consistency: Consistency = .sync, servers: Int = 1, workers: Int = 2) {
      let plan = JobPlan(
        consistency: consistency, servers: servers, workers: workers, tree: ShardTree(shards: 2)!, batch: 8, epochs: 1,
        maximumSteps: nil, elements: 512, job: "job", digests: TestCluster.digests)
      machine = Coordinator(plan: plan, token: JoiningTests.token, incarnation: Incarnation(9))
      _ = machine.handle(.started, at: now)
    }

    func send(_ message: Message, from sender: Member, _ incarnation: UInt64) -> [CoordinatorEffect] {
      let envelope = Envelope(
        token: JoiningTests.token, view: .none, sender: sender, incarnation: Incarnation(incarnation), message: message)
      return machine.handle(.message(envelope, from: Connection(incarnation), payload: nil), at: now)
    }

    func hello(_ role: Role, _ name: String, _ incarnation: UInt64) -> Message? {
      let effects = send(.hello(Hello(role: role, name: name)), from: Member(role, Member.unassigned), incarnation)
      for case .send(let envelope, Connection(incarnation)) in effects { return envelope.message }
      return nil
    }

    func ready(
      _ member: Member, _ incarnation: UInt64, digests: Digests = TestCluster.digests, fingerprint: String = "e",
      samples: UInt64 = 20
    ) -> [CoordinatorEffect] {
      send(
        .ready(Ready(digests: digests, samples: samples, engineFingerprint: fingerprint, address: "a")), from: member,
        incarnation)
    }
  }

  private func reason(_ message: Message?) -> RefusalReason? {
    if case .refused(let refusal) = message { refusal.reason } else { nil }
  }

  private func member(_ message: Message?) -> Member? {
    if case .welcome(let welcome) = message { welcome.member } else { nil }
  }

  private func reason(_ effects: [CoordinatorEffect]) -> RefusalReason? {
    for case .send(let envelope, _) in effects {
      if let reason = reason(envelope.message) { return reason }
    }
    return nil
  }

  @Test("A name asks for its number, no name takes the first that is free, and what is taken is refused")
  func places() {
    let desk = Desk()
    #expect(member(desk.hello(.worker, "worker.1", 1)) == Member(.worker, 1))
    #expect(member(desk.hello(.worker, "", 2)) == Member(.worker, 0))
    #expect(reason(desk.hello(.worker, "worker.1", 3)) == .nameTaken)
    #expect(reason(desk.hello(.worker, "", 4)) == .jobFull)
    #expect(member(desk.hello(.server, "mine", 5)) == Member(.server, 0))
    // The same process asks again because the answer was lost.
    #expect(member(desk.hello(.worker, "worker.1", 1)) == Member(.worker, 1))
    #expect(desk.machine.refusals.total == 2)
  }

  @Test("A process that died before it was ready leaves its name to the next")
  func replacement() {
    let desk = Desk()
    #expect(member(desk.hello(.worker, "worker.0", 1)) == Member(.worker, 0))
    desk.now = Moment(milliseconds: 10_000)
    #expect(member(desk.hello(.worker, "worker.0", 2)) == Member(.worker, 0))
    #expect(reason(desk.ready(Member(.worker, 0), 1)) == .unknownMember)
  }

  @Test("Another build, network or job is refused, and so is another data set than the other workers'")
  func digests() {
    var others: [Digests] = []
    for change in 0..<3 {
      var digests = TestCluster.digests
      let other = [UInt8](repeating: 9, count: 32)
      if change == 0 { digests.build = other }
      if change == 1 { digests.network = other }
      if change == 2 { digests.job = other }
      others.append(digests)
    }
    for digests in others {
      let desk = Desk()
      _ = desk.hello(.worker, "worker.0", 1)
      #expect(reason(desk.ready(Member(.worker, 0), 1, digests: digests)) == .mismatch)
    }
    let desk = Desk()
    _ = desk.hello(.worker, "worker.0", 1)
    _ = desk.hello(.worker, "worker.1", 2)
    #expect(reason(desk.ready(Member(.worker, 0), 1)) == nil)
    var data = TestCluster.digests
    data.data = [UInt8](repeating: 5, count: 32)
    #expect(reason(desk.ready(Member(.worker, 1), 2, digests: data)) == .mismatch)
  }

  @Test("Engines that give other bits are refused in sync mode and let in otherwise")
  func fingerprints() {
    for (consistency, expected) in [(Consistency.sync, RefusalReason.mismatch), (.async, nil)] {
      let desk = Desk(consistency)
      _ = desk.hello(.worker, "worker.0", 1)
      _ = desk.hello(.worker, "worker.1", 2)
      _ = desk.ready(Member(.worker, 0), 1, fingerprint: "openblas AVX2")
      #expect(reason(desk.ready(Member(.worker, 1), 2, fingerprint: "openblas AVX512")) == expected)
    }
  }

  @Test("A coordinator that waits names those who are missing")
  func missing() {
    let desk = Desk()
    _ = desk.hello(.worker, "worker.0", 1)
    _ = desk.ready(Member(.worker, 0), 1)
    desk.now = Moment(milliseconds: 5000)
    let effects = desk.machine.handle(.timer, at: desk.now)
    #expect(effects.contains(.report(.waiting(missing: ["server.0", "worker.1"]))))
  }

  @Test("A member's silence ends the job and names it; its leaving does too, with its words")
  func deaths() {
    let desk = Desk(workers: 1)
    _ = desk.hello(.worker, "worker.0", 1)
    _ = desk.ready(Member(.worker, 0), 1)
    desk.now = Moment(milliseconds: 10_000)
    let silent = desk.machine.handle(.timer, at: desk.now)
    #expect(silent.contains { if case .stop(.failed(let text)) = $0 { text.contains("worker.0") } else { false } })

    let other = Desk(workers: 1)
    _ = other.hello(.worker, "worker.0", 1)
    _ = other.ready(Member(.worker, 0), 1)
    let left = other.send(.leaving("the loss is nan"), from: Member(.worker, 0), 1)
    #expect(left.contains(.stop(.failed("worker.0: the loss is nan"))))
  }

  @Test("An interrupted coordinator tells everyone, and leaves with the last goodbye or when the wait for it is over")
  func goodbye() {
    let desk = Desk(workers: 1)
    _ = desk.hello(.worker, "worker.0", 1)
    _ = desk.ready(Member(.worker, 0), 1)
    let told = desk.machine.handle(.interrupted, at: desk.now)
    #expect(
      told.contains { if case .send(let envelope, _) = $0 { envelope.message == .stop(.interrupted) } else { false } })
    #expect(!told.contains(.stop(.interrupted)))
    var late = desk.machine
    #expect(desk.send(.leaving("told to stop"), from: Member(.worker, 0), 1).contains(.stop(.interrupted)))
    #expect(late.handle(.timer, at: Moment(milliseconds: 2000)).contains(.stop(.interrupted)))
  }

  @Test("A member gives up on a coordinator that does not answer, and on one that falls silent")
  func silence() {
    var worker = Worker(name: "", token: Self.token, incarnation: Incarnation(1))
    _ = worker.handle(.started, at: Moment(milliseconds: 0))
    let asked = worker.handle(.timer, at: Moment(milliseconds: 1000))
    #expect(
      asked.contains {
        if case .send(let envelope, _, _) = $0 {
          envelope.message == .hello(Hello(role: .worker, name: ""))
        } else {
          false
        }
      })
    let gaveUp = worker.handle(.timer, at: Moment(milliseconds: 30_000))
    #expect(gaveUp.contains { if case .stop(.unreachable) = $0 { true } else { false } })

    var server = Server(name: "", token: Self.token, incarnation: Incarnation(1))
    _ = server.handle(.started, at: Moment(milliseconds: 0))
    let welcome = Envelope(
      token: Self.token, view: .none, sender: .coordinator, incarnation: Incarnation(9),
      message: .welcome(Welcome(member: Member(.server, 0), job: "")))
    _ = server.handle(.message(welcome, from: .coordinator, payload: nil), at: Moment(milliseconds: 10))
    let ready = Ready(digests: TestCluster.digests, samples: 0, engineFingerprint: "", address: "a")
    _ = server.handle(.prepared(ready), at: Moment(milliseconds: 20))
    let effects = server.handle(.timer, at: Moment(milliseconds: 10_020))
    #expect(effects.contains { if case .stop(.failed(let text)) = $0 { text.contains("silent") } else { false } })
  }
}

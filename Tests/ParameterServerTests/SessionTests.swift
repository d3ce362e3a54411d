import ParameterServer
import Testing

/// Joining, signs of life and the end, as servers and workers see them.
@Suite struct SessionTests {
  private let rules = Job.rules()

  private func at(_ milliseconds: UInt64) -> Moment { Moment(milliseconds: milliseconds) }

  private func message(
    _ message: Message, term: UInt64 = 1, sender: Member = .coordinator, token: JobToken = Job.token
  ) -> WorkerEvent {
    let envelope = Envelope(
      token: token, view: .none, sender: sender, incarnation: Incarnation(term), message: message)
    return .message(envelope, from: .coordinator, payload: nil)
  }

  private let welcome = Message.welcome(Welcome(member: Member(.worker, 1), job: "toy"))

  /// A worker that has asked for its place.
  private func asking() -> Worker {
    var it = Worker(name: "worker.1", token: Job.token, incarnation: Incarnation(301))
    _ = it.handle(.started, at: at(0))
    return it
  }

  /// A worker that is ready.
  private func waiting() -> Worker {
    var it = asking()
    _ = it.handle(message(welcome), at: at(0))
    _ = it.handle(.prepared(Job.workerReady), at: at(0))
    return it
  }

  @Test func aLostWelcomeIsAskedForAgain() {
    var it = asking()
    let hello = Message.hello(Hello(role: .worker, name: "worker.1"))
    #expect(it.handle(.timer, at: at(249)).isEmpty)
    #expect(it.handle(.timer, at: at(250)).messages == [hello])
    #expect(it.handle(message(welcome), at: at(251)).contains(.prepare(Welcome(member: worker(1), job: "toy"))))
    #expect(it.handle(message(welcome), at: at(252)).isEmpty, "the answer to the second hello")
    #expect(it.handle(.timer, at: at(90_000)).isEmpty, "reading the data takes as long as it takes")
    #expect(it.handle(.prepared(Job.workerReady), at: at(90_000)).messages == [.ready(Job.workerReady)])
    #expect(it.handle(.timer, at: at(90_250)).messages == [.ready(Job.workerReady)], "until the view comes")
    #expect(it.handle(.prepared(Job.workerReady), at: at(90_251)).isEmpty)
  }

  @Test func theCoordinatorMustAnswerInTime() {
    var it = asking()
    for time in stride(from: 250, to: 30_000, by: 250) as StrideTo<UInt64> {
      #expect(it.handle(.timer, at: at(time)).stops.isEmpty)
    }
    #expect(it.handle(.timer, at: at(30_000)).stops == [.unreachable("the coordinator did not answer within 30 s")])
    #expect(it.handle(message(welcome), at: at(30_001)).isEmpty)
  }

  @Test func aCoordinatorThatIsSilentForLongIsGivenUp() {
    var it = waiting()
    _ = it.handle(message(.alive), at: at(5000))
    #expect(it.handle(.timer, at: at(64_999)).stops.isEmpty)
    #expect(
      it.handle(.timer, at: at(65_000)).stops == [.unreachable("the coordinator has been silent for 60 s")])
  }

  @Test func whatAnEarlierCoordinatorSaidIsVoid() {
    var bench = WorkerBench(Job.view(rules))
    let old = Envelope(
      token: Job.token, view: .none, sender: .coordinator, incarnation: Incarnation(1), message: .stop(.interrupted))
    let new = Envelope(
      token: Job.token, view: .none, sender: .coordinator, incarnation: Incarnation(2), message: .alive)
    _ = bench.handle(.message(new, from: .coordinator, payload: nil))
    let effects = bench.handle(.message(old, from: .coordinator, payload: nil))
    #expect(effects.stops.isEmpty && effects.messages == [.outranked(term: 2)])
  }

  @Test func aRemovedMemberStops() {
    var it = waiting()
    let refusal = Refusal(.deadIncarnation, "gone")
    #expect(
      it.handle(message(.refused(refusal)), at: at(1)).stops == [
        .fenced("the coordinator no longer knows this worker.1: gone")
      ])
    var other = asking()
    #expect(other.handle(message(.refused(refusal)), at: at(1)).stops.isEmpty, "of a life before this one")
    var late = waiting()
    #expect(late.handle(message(.refused(Refusal(.oldView, ""))), at: at(1)).isEmpty)
  }

  @Test func aMemberThatIsNotTakenStopsWithTheReason() {
    var it = asking()
    #expect(
      it.handle(message(.refused(Refusal(.nameTaken, "taken"))), at: at(1)).stops == [
        .rejected("the coordinator refused a worker not yet numbered: taken")
      ])
  }

  @Test func anotherLifeInTheViewFencesThisOne() {
    var bench = WorkerBench(Job.view(rules))
    let stops = bench.adopt(Job.view(rules, 2, lives: [worker(0): 999])).stops
    #expect(stops == [.fenced("worker.0 is another process in view 2")])
  }

  @Test func viewsOnlyGoForward() {
    let rules = Job.rules()
    var bench = WorkerBench(Job.view(rules, 5))
    #expect(bench.adopt(Job.view(rules, 5)).isEmpty)
    #expect(bench.adopt(Job.view(rules, 4, lives: [worker(0): 999])).isEmpty)
    #expect(bench.adopt(Job.view(rules, 6)).contains(.adopt(Job.view(rules, 6))))
  }

  @Test func aViewThatDoesNotHoldTogetherIsAFailure() {
    var bench = WorkerBench(Job.view(rules))
    let stops = bench.adopt(Job.view(rules, 2, chunks: [[0]])).stops
    #expect(
      stops == [.failed("the coordinator's view 2 does not hold together: not every chunk has exactly one server")])
    var other = WorkerBench(Job.view(rules))
    let changed = other.adopt(Job.view(Job.rules(chunks: 3), 2, chunks: [[0, 1, 2]])).stops
    #expect(changed == [.failed("the coordinator's view 2 does not hold together: it is of another job")])
  }

  @Test func onlyTheCoordinatorSpeaksThroughItsConnection() {
    var it = asking()
    for (said, reason) in [
      (message(welcome, sender: server(0)), RefusalReason.unknownMember),
      (message(welcome, token: Job.otherToken), .wrongJob),
      (message(.welcome(Welcome(member: server(0), job: ""))), .outOfBounds),
    ] {
      let effects = it.handle(said, at: at(1))
      #expect(effects.count == 1)
      guard case .refused(let refusal)? = effects.first else {
        Issue.record("\(effects)")
        continue
      }
      #expect(refusal.reason == reason && it.refusals[reason] == 1)
    }
    #expect(!it.handle(message(welcome), at: at(1)).isEmpty)
  }

  @Test func aMemberThatIsToldToStopSaysGoodbye() {
    var bench = WorkerBench(Job.view(rules))
    let effects = bench.fromCoordinator(.stop(.completed))
    #expect(effects.stops == [.completed] && effects.messages.count == 1)
    #expect(bench.values(0, closed: 0).released.count == 1, "what still comes is let go of")
  }

  @Test func aMemberThatFailsOrIsAskedSaysWhy() {
    var bench = ServerBench(Job.view(rules))
    let failed = bench.handle(.failed("no memory"))
    let goodbye = Leaving(text: "no memory", isOrderly: false, progress: Progress(steps: 0, shards: 0))
    #expect(failed.messages == [.leaving(goodbye)] && failed.stops == [.failed("no memory")])
    var asked = WorkerBench(Job.view(rules))
    #expect(asked.handle(.asked("SIGTERM")).stops == [.interrupted])
  }
}

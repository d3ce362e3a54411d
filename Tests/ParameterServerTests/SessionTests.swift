import ParameterServer
import Testing

/// Joining, signs of life and the end, as servers and workers see them.
@Suite struct SessionTests {
  private let welcome = Message.welcome(Welcome(member: Member(.worker, 1), job: "toy"))

  private func message(_ message: Message, sender: Member = .coordinator) -> WorkerEvent {
    let envelope = Envelope(
      token: ClusterSettings.token, view: .none, sender: sender, incarnation: Incarnation(1), message: message)
    return .message(envelope, from: .coordinator, payload: nil)
  }

  private func worker() -> Worker {
    Worker(name: "worker.1", token: ClusterSettings.token, incarnation: Incarnation(44))
  }

  private func at(_ milliseconds: UInt64) -> Moment { Moment(milliseconds: milliseconds) }

  private func timers(_ effects: [WorkerEffect]) -> [UInt64] {
    effects.compactMap { if case .timer(let moment) = $0 { moment.milliseconds } else { nil } }
  }

  private var ready: Ready { ClusterSettings().workerReady(.worker(1)) }

  @Test func aLostWelcomeIsAskedForAgain() {
    var worker = worker()
    let hello = Message.hello(Hello(role: .worker, name: "worker.1"))
    let started = worker.handle(.started, at: at(0))
    #expect(started.messages == [hello] && timers(started) == [1000])
    #expect(worker.handle(.timer, at: at(400)).isEmpty, "a timer that comes too early changes nothing")
    #expect(worker.handle(.timer, at: at(1000)).messages == [hello])
    let welcomed = worker.handle(message(welcome), at: at(1001))
    #expect(welcomed.contains(.prepare(Welcome(member: Member(.worker, 1), job: "toy"))))
    #expect(worker.member == Member(.worker, 1))
    #expect(worker.handle(message(welcome), at: at(1002)).isEmpty, "the answer to the second hello")
    #expect(worker.handle(.timer, at: at(60_000)).isEmpty, "reading the data takes as long as it takes")
  }

  @Test func aLostViewIsAskedForAgain() {
    var worker = worker()
    _ = worker.handle(.started, at: at(0))
    _ = worker.handle(message(welcome), at: at(1))
    #expect(worker.handle(.prepared(ready), at: at(50_000)).messages == [.ready(ready)])
    #expect(worker.handle(.timer, at: at(51_000)).messages == [.ready(ready)])
    #expect(worker.handle(.prepared(ready), at: at(51_001)).isEmpty, "said once")
  }

  @Test func theCoordinatorMustAnswerInTime() {
    var worker = worker()
    _ = worker.handle(.started, at: at(0))
    for second in 1..<30 as Range<UInt64> { #expect(worker.handle(.timer, at: at(1000 * second)).messages.count == 1) }
    let effects = worker.handle(.timer, at: at(30_000))
    #expect(effects == [.stop(.unreachable("the coordinator did not answer within 30 s"))])
    #expect(worker.handle(message(welcome), at: at(30_001)).isEmpty)
  }

  @Test func theCoordinatorsSilenceEndsAMember() {
    var worker = worker()
    _ = worker.handle(.started, at: at(0))
    _ = worker.handle(message(welcome), at: at(1))
    _ = worker.handle(.prepared(ready), at: at(100))
    _ = worker.handle(message(.alive), at: at(5000))
    #expect(worker.handle(.timer, at: at(14_999)).stops.isEmpty)
    #expect(worker.handle(.timer, at: at(15_000)).stops == [.failed("the coordinator has been silent for 10 s")])
  }

  @Test func aRefusalOfTheCoordinatorEndsAMember() {
    var worker = worker()
    _ = worker.handle(.started, at: at(0))
    let effects = worker.handle(message(.refused(Refusal(.jobFull, "no place"))), at: at(1))
    #expect(effects.stops == [.rejected("the coordinator refused a worker not yet numbered: no place")])
  }

  @Test func aServersPlaceIsNoWorkers() {
    var worker = worker()
    _ = worker.handle(.started, at: at(0))
    #expect(worker.handle(message(.welcome(Welcome(member: Member(.server, 0), job: ""))), at: at(1)).isEmpty)
    #expect(worker.handle(message(welcome, sender: Member(.server, 0)), at: at(1)).isEmpty)
    #expect(worker.refusals[.unknownMember] == 1)
    #expect(!worker.handle(message(welcome), at: at(1)).isEmpty)
  }

  @Test func aViewThatDoesNotHoldTogetherEndsAMemberWithItsReason() {
    let view = WorkerStage().view
    let broken = View(number: view.number, rules: view.rules, servers: [], workers: view.workers)
    let foreign = View(
      number: view.number, rules: view.rules, servers: view.servers, workers: Array(view.workers.prefix(2)))
    for (view, text) in [
      (broken, "the coordinator's view 3 does not hold together: not every chunk has exactly one server"),
      (foreign, "worker.1 is not in view 3"),
    ] {
      var worker = worker()
      _ = worker.handle(.started, at: at(0))
      _ = worker.handle(message(welcome), at: at(1))
      _ = worker.handle(.prepared(ready), at: at(2))
      let effects = worker.handle(message(.view(view)), at: at(3))
      #expect(effects.stops == [.failed(text)])
      #expect(effects.messages == [.leaving(text)], "the coordinator is told why")
    }
  }

  @Test func aLaterViewEndsAMember() {
    var stage = ServerStage()
    #expect(stage.fromCoordinator(.view(stage.view)).isEmpty, "the same view again")
    _ = stage.push(2, 0)
    let later = View(
      number: ViewNumber(4), rules: stage.view.rules, servers: stage.view.servers, workers: stage.view.workers)
    #expect(stage.fromCoordinator(.view(later)).stops.count == 1)
    #expect(stage.handle(.applied(chunk: 0)).isEmpty)
    var workerStage = WorkerStage()
    #expect(workerStage.fromCoordinator(.view(workerStage.view)).isEmpty)
    #expect(workerStage.fromCoordinator(.view(later)).stops.count == 1)
  }

  @Test func aMemberThatIsStoppedSaysGoodbye() {
    for reason in [StopReason.completed, .interrupted] {
      var stage = WorkerStage()
      let effects = stage.fromCoordinator(.stop(reason))
      #expect(effects.messages == [.leaving("told to stop")] && effects.stops == [reason])
    }
  }

  @Test func aMemberThatFailsSaysWhy() {
    var workerStage = WorkerStage()
    let ofWorker = workerStage.handle(.failed("the loss is not a number"))
    #expect(ofWorker.messages == [.leaving("the loss is not a number")])
    #expect(ofWorker.stops == [.failed("the loss is not a number")])
    var serverStage = ServerStage()
    let ofServer = serverStage.handle(.failed("no memory"))
    #expect(ofServer.messages == [.leaving("no memory")] && ofServer.stops == [.failed("no memory")])
  }

  @Test func aServerWithoutChunksIsFinishedAtOnce() {
    var settings = ClusterSettings()
    settings.elements = 5
    settings.servers = 2
    var cluster = Cluster(settings)
    cluster.expectCompletion("five elements on two servers")
    #expect(cluster.servers.contains { $0.chunks.isEmpty })
  }
}

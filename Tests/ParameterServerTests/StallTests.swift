import ParameterServer
import Testing

/// Members that do not reach a server, although everybody reaches the coordinator.
@Suite struct StallTests {
  // MARK: The worker

  /// Half a second and more, in the steps in which a worker looks.
  private func pass(_ milliseconds: UInt64, _ bench: inout WorkerBench) -> [WorkerEffect] {
    var effects: [WorkerEffect] = []
    for _ in 0..<milliseconds / 250 {
      effects += bench.after(250)
      effects += bench.fromCoordinator(.alive)
    }
    return effects
  }

  private func waits(_ effects: [WorkerEffect]) -> [Wait] {
    effects.messages.compactMap { if case .progress(let progress) = $0 { progress.waits } else { nil } }.last ?? []
  }

  private var view: View { Job.view(Job.rules(), chunks: [[0], [1]], nodes: [[node(1, 0)], [node(1, 1)]]) }

  @Test func aWorkerSaysWhichServerItDoesNotHearAndWhatItAskedFor() throws {
    var bench = WorkerBench(view)
    #expect(waits(pass(1750, &bench)).isEmpty)
    _ = bench.values(1, closed: 0)
    let asked = pass(2000, &bench)
    #expect(asked.messages.contains(.alive), "it asks whether the server hears")
    let waits = waits(pass(1000, &bench))
    #expect(waits == [Wait(server: server(0), milliseconds: 4750, request: .pull(chunk: 0, step: 0))])
  }

  @Test func whoAnswersThatItHearsIsNotWaitedForHoweverLong() throws {
    var bench = WorkerBench(view)
    let order = try #require(bench.allValues(closed: 0).orders.first)
    _ = bench.compute(order)
    for _ in 0..<20 {
      // Both have the pushes, and wait for another worker's.
      for number in 0..<2 as Range<UInt32> { _ = bench.send(.alive, from: server(number)) }
      #expect(waits(pass(2000, &bench)).isEmpty)
    }
    _ = bench.send(.alive, from: server(1))
    #expect(waits(pass(3000, &bench)).map(\.request) == [0, 1].map { .push(chunk: $0, step: 0) })
  }

  @Test func aWorkerThatComputesOrWasStoppedWaitsForNobody() throws {
    var bench = WorkerBench(view)
    _ = bench.allValues(closed: 0)
    #expect(waits(pass(60_000, &bench)).isEmpty)
    var stopped = WorkerBench(view)
    _ = stopped.after(59_000)
    #expect(waits(pass(1000, &stopped)).isEmpty, "while it was stopped it heard nobody")
  }

  // MARK: The server

  @Test func aServerAnswersWhoAsksWhetherItHears() {
    var bench = ServerBench(Job.view(Job.rules()))
    #expect(bench.send(.alive, from: worker(0)).messages == [.alive])
    // A push whose answer waits for others is at least heard.
    _ = bench.push(0, node(1, 0))
    let told = (0..<5).flatMap { _ in bench.tick() }
    #expect(told.messages.count { $0 == .alive } == 1)
    #expect(!(0..<5).flatMap { _ in bench.tick() }.messages.contains(.alive), "nobody has spoken since")
  }

  @Test func anAnswerIsNotAnswered() {
    let rules = Job.rules()
    let view = Job.view(rules, chunks: [[0], [1]], replicas: [[1], [0]])
    var bench = ServerBench(view)
    let envelope = Envelope(
      token: Job.token, view: view.number, sender: server(1), incarnation: Job.life(server(1)), message: .alive)
    #expect(bench.handle(.message(envelope, from: .server(server(1)), payload: nil)).messages.isEmpty)
    // Of the one that keeps its replicas nothing is heard.
    let reports = (0..<10).flatMap { _ in bench.tick() }.messages.compactMap {
      if case .progress(let progress) = $0 { progress.waits } else { nil }
    }
    #expect(reports.last == [Wait(server: server(1), milliseconds: 5000, request: .exchange)])
  }

  // MARK: The coordinator

  /// Everyone is heard for so long, and some wait all the while.
  private func pass(
    _ milliseconds: UInt64, _ bench: inout CoordinatorBench, waiting: [(Member, Member)], since begin: UInt64,
    standingBy: [Member] = []
  ) -> [CoordinatorEffect] {
    var effects: [CoordinatorEffect] = []
    let end = bench.now + milliseconds
    while bench.now < end {
      bench.now += 250
      for member in bench.view.servers.map(\.member) + bench.view.workers.map(\.member) {
        var progress = Progress(steps: 1, shards: bench.now)
        for (waiter, server) in waiting where waiter == member && bench.now >= begin {
          progress.waits.append(
            Wait(server: server, milliseconds: bench.now - begin, request: .pull(chunk: 3, step: 41)))
        }
        effects += bench.send(.progress(progress), from: member)
      }
      for member in standingBy where bench.view.incarnation(of: member) == nil {
        effects += bench.send(.ready(Job.workerReady), from: member)
      }
      effects += bench.handle(.timer)
    }
    return effects
  }

  private func stalls(_ effects: [CoordinatorEffect]) -> [String] {
    effects.reports.compactMap { if case .stalled(let stall) = $0 { stall.text } else { nil } }
  }

  private func status(_ bench: CoordinatorBench) -> String {
    var bench = bench
    let answers = bench.send(.statusRequest, from: Member(.client, 0)).messages
    return answers.compactMap { if case .status(let text) = $0 { text } else { nil } }.first ?? ""
  }

  @Test func whoWaitsForWhomIsToldOnceAndStandsInTheStatus() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(servers: 2, workers: 3))
    let waiting = [(worker(1), server(0))]
    #expect(stalls(pass(9750, &bench, waiting: waiting, since: 0)).isEmpty)
    #expect(!status(bench).contains("waits"))
    let text = "worker.1 waits for server.0 at toy:// for 10 s (pull of chunk 3, step 41)"
    #expect(stalls(pass(5000, &bench, waiting: waiting, since: 0)) == [text])
    #expect(
      status(bench).contains(
        #""waits":[{"member":"worker.1","server":"server.0","address":"toy://","milliseconds":14750,"request":"pull of chunk 3, step 41"}]"#
      ))
    // It hears it again: what was is over.
    #expect(pass(30_000, &bench, waiting: [], since: 0).views.isEmpty && !status(bench).contains("waits"))
  }

  @Test func aWorkerAloneIsRemovedAndStandsByUntilItIsTriedAgain() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(servers: 2, workers: 3))
    var began: UInt64 = 0
    for (life, suspension) in [(900, 60_000), (901, 120_000), (902, 1_000_000)] as [(UInt64, UInt64)] {
      _ = pass(29_750, &bench, waiting: [(worker(1), server(0))], since: began)
      #expect(bench.view.worker(worker(1)) != nil)
      _ = pass(250, &bench, waiting: [(worker(1), server(0))], since: began)
      #expect(bench.view.worker(worker(1)) == nil && bench.view.workers.count == 2 && bench.view.servers.count == 2)
      _ = bench.acceptAll()
      _ = bench.join(worker(1), life: life)
      #expect(bench.view.worker(worker(1)) == nil, "it stands by")
      _ = pass(suspension - 500, &bench, waiting: [], since: 0, standingBy: [worker(1)])
      #expect(bench.view.worker(worker(1)) == nil)
      #expect(status(bench).contains(#""place":"worker.1","state":"standing by""#))
      if suspension == 1_000_000 { continue }
      _ = pass(1000, &bench, waiting: [], since: 0, standingBy: [worker(1)])
      #expect(bench.view.worker(worker(1)) != nil, "it is tried again")
      _ = bench.acceptAll()
      began = bench.now
    }
  }

  @Test(arguments: [true, false]) func aServerThatSeveralDoNotReachIsGoneOnWithout(replicas: Bool) {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(servers: 2, workers: 3, replicas: replicas))
    let waiting = [(worker(1), server(0)), (worker(2), server(0))]
    let effects = pass(30_000, &bench, waiting: waiting, since: 0)
    #expect(effects.stopped.isEmpty)
    if replicas {
      #expect(bench.view.servers.map(\.member) == [server(1)] && bench.view.era == 1)
    } else {
      // Back to the beginning, with the servers that are left.
      #expect(pass(5250, &bench, waiting: [], since: 0).contains(.load))
      _ = bench.handle(.loaded(nil))
      #expect(bench.view.servers.map(\.member) == [server(1)] && bench.view.era == 2)
    }
    #expect(bench.view.workers.count == 3)
  }

  @Test func theOnlyWorkerGoesOnWithAnotherServerOrTheJobEndsWithTheSentence() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(servers: 2, workers: 1, replicas: true))
    #expect(pass(30_000, &bench, waiting: [(worker(0), server(1))], since: 0).stopped.isEmpty)
    #expect(bench.view.servers.map(\.member) == [server(0)])
    _ = bench.acceptAll()
    let began = bench.now
    let text = "worker.0 waits for server.0 at toy:// for 30 s (pull of chunk 3, step 41)"
    #expect(pass(30_000, &bench, waiting: [(worker(0), server(0))], since: began).stopped.contains(.failed(text)))
  }

  @Test func ofTwoServersThatDoNotReachEachOtherOneServesAlone() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(servers: 2, workers: 2, replicas: true))
    let waiting = [(server(0), server(1)), (server(1), server(0))]
    _ = pass(30_000, &bench, waiting: waiting, since: 0)
    #expect(bench.view.servers.map(\.member) == [server(0)] && bench.view.era == 1)
  }
}

import ParameterServer
import Testing

/// How members come into a job.
@Suite struct CoordinatorJoiningTests {
  private func bench(servers: Int = 1, workers: Int = 2) -> CoordinatorBench {
    var bench = CoordinatorBench(CoordinatorBench.plan(servers: servers, workers: workers))
    _ = bench.handle(.started)
    return bench
  }

  @Test func placesAreGivenByNameOrInOrder() {
    var bench = bench(workers: 3)
    #expect(bench.hello(.worker, "worker.1", life: 1).welcomed == [worker(1)])
    #expect(bench.hello(.worker, "", life: 2).welcomed == [worker(0)])
    #expect(bench.hello(.worker, "box", life: 3).welcomed == [worker(2)])
    #expect(bench.hello(.server, "", life: 4).welcomed == [server(0)])
    #expect(bench.hello(.worker, "", life: 2).welcomed == [worker(0)], "asked twice")
    #expect(bench.reports.count { if case .joined = $0 { true } else { false } } == 4)
  }

  @Test func aWorkersFirstShardIsToldOnceWithTheTimeSinceItJoined() {
    func told(_ effects: [CoordinatorEffect]) -> [CoordinatorReport] {
      effects.reports.filter { if case .computes = $0 { true } else { false } }
    }
    func report(_ shards: UInt64) -> Message { .progress(Progress(steps: shards, shards: shards)) }
    var bench = CoordinatorBench.training(CoordinatorBench.plan(steps: 100))
    bench.now += 700
    #expect(told(bench.send(report(0), from: worker(0))).isEmpty)
    #expect(
      told(bench.send(report(1), from: worker(0))) == [.computes(worker(0), milliseconds: 700, isLate: false)])
    #expect(told(bench.send(report(2), from: worker(0)) + bench.send(report(1), from: server(0))).isEmpty)
    // A worker that comes later, and one that takes a place again.
    _ = bench.join(worker(2))
    _ = bench.acceptAll()
    bench.now += 40
    #expect(told(bench.send(report(1), from: worker(2))) == [.computes(worker(2), milliseconds: 40, isLate: true)])
    _ = bench.handle(.ended(name: "worker.2"))
    _ = bench.acceptAll()
    _ = bench.join(worker(2), life: 77)
    _ = bench.acceptAll()
    bench.now += 50
    #expect(told(bench.send(report(3), from: worker(2))) == [.computes(worker(2), milliseconds: 50, isLate: true)])
    // When those came whom a predecessor took, a successor does not know.
    var (next, _) = bench.restarted()
    #expect(told(next.send(report(9), from: worker(0))).isEmpty)
  }

  @Test func namesOfPlacesThatDoNotExistAreRefused() {
    for name in ["worker.4096", "worker.99999999999999999999", "worker.01", "server.0", "coordinator.0"] {
      var bench = bench()
      #expect(bench.hello(.worker, name, life: 1).refusals == [.misplaced], "\(name)")
    }
    for name in ["worker", "worker.", "worker.x", "a.1", "worker.1.2", "."] {
      var bench = bench()
      #expect(bench.hello(.worker, name, life: 1).welcomed == [worker(0)], "\(name)")
    }
    var bench = bench()
    #expect(bench.hello(.coordinator, "", life: 1).refusals == [.misplaced])
  }

  @Test func aNameIsTakenWhileItsHolderIsHeard() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    #expect(bench.hello(.worker, "worker.1", life: 999).messages.isEmpty, "its holder may be dead")
    _ = bench.pass(250)
    #expect(bench.hello(.worker, "worker.1", life: 999).refusals == [.nameTaken])
    #expect(bench.reports.contains { if case .refused(let it) = $0 { it.reason == .nameTaken } else { false } })
  }

  @Test func aNameIsFreeOnceItsHolderIsRemoved() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.pass(1500, silent: [worker(1)])
    #expect(bench.join(worker(1), life: 999).welcomed == [worker(1)])
    #expect(bench.view.incarnation(of: worker(1)) == Incarnation(999))
  }

  @Test func aChallengeThatWasGivenUpSaysNothingLater() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.hello(.worker, "worker.1", life: 998)
    _ = bench.pass(5000)
    // Another process asks now, and the holder may have died a moment ago.
    #expect(bench.hello(.worker, "worker.1", life: 999).messages.isEmpty)
  }

  @Test func aProcessThatDiedBeforeItWasReadyLeavesItsPlace() {
    var bench = bench()
    _ = bench.hello(.worker, "worker.0", life: 1)
    for _ in 0..<5 {
      bench.now += 250
      #expect(bench.hello(.worker, "worker.0", life: 2).welcomed.isEmpty)
    }
    bench.now += 250
    #expect(bench.hello(.worker, "worker.0", life: 2).welcomed == [worker(0)])
  }

  @Test func aProcessThatReadsItsDataForLongKeepsItsPlace() {
    var bench = bench()
    _ = bench.hello(.worker, "", life: 300)
    for _ in 0..<100 {
      bench.now += 250
      #expect(bench.handle(.timer).views.isEmpty)
    }
    #expect(bench.send(.ready(Job.workerReady), from: worker(0)).messages == [.alive])
  }

  @Test func whoIsMissingIsSaid() {
    var bench = bench(servers: 2)
    _ = bench.hello(.worker, "", life: 1)
    _ = bench.join(server(1))
    var missing: [[String]] = []
    for _ in 0..<20 {
      bench.now += 250
      _ = bench.send(.ready(Job.serverReady), from: server(1))
      for case .report(.waiting(let names)) in bench.handle(.timer) { missing.append(names) }
    }
    #expect(missing == [["server.0", "worker.0", "worker.1"]], "worker.0 has joined and is not ready")
  }

  @Test(arguments: ["build of convoy", "network", "job", "data set", "samples", "computes with"])
  func whatDiffersIsRefused(what: String) {
    var bench = bench()
    _ = bench.join(worker(0))
    _ = bench.hello(.worker, "worker.1", life: 301)
    var digests = Job.workerReady.digests
    var (samples, fingerprint) = (UInt64(32), "toy")
    switch what {
    case "build of convoy": digests.build = Job.digest(9)
    case "network": digests.network = Job.digest(9)
    case "job": digests.job = Job.digest(9)
    case "data set": digests.data = Job.digest(9)
    case "samples": samples = 33
    default: fingerprint = "other"
    }
    let ready = Ready(digests: digests, samples: samples, engineFingerprint: fingerprint, address: "")
    let answer = bench.send(.ready(ready), from: worker(1))
    #expect(answer.refusals == [.mismatch])
    guard case .refused(let refusal)? = answer.messages.first else { return }
    #expect(refusal.explanation.contains(what), "\(refusal.explanation)")
    #expect(bench.hello(.worker, "worker.1", life: 999).welcomed == [worker(1)], "the place is free again")
  }

  @Test func theFirstViewGoesToServersAndThenToWorkers() {
    var bench = bench(servers: 2)
    for member in [server(0), server(1), worker(0)] { #expect(bench.join(member).views.isEmpty) }
    let begun = bench.join(worker(1))
    #expect(begun.views.count == 2 && begun.messages(to: bench.connection(worker(1))).last == .alive)
    #expect(bench.view.problem == nil && bench.view.workers.map(\.nodes) == [[node(1, 0)], [node(1, 1)]])
    #expect(bench.send(.viewAccepted(closed: 0), from: server(0)).views.isEmpty)
    #expect(bench.send(.viewAccepted(closed: 0), from: server(0)).views.isEmpty, "said twice")
    #expect(bench.send(.progress(Progress(steps: 0, shards: 0)), from: worker(0), view: ViewNumber.none).views.isEmpty)
    let placed = bench.send(.viewAccepted(closed: 0), from: server(1))
    #expect(placed.views.count == 2 && placed.reports.contains(.begun(bench.view)))
  }

  @Test func aLostViewIsToldAgain() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    #expect(
      bench.send(.ready(Job.workerReady), from: worker(0), view: ViewNumber.none).views.isEmpty, "it is on its way")
    bench.now += Deadlines().retry
    #expect(bench.send(.ready(Job.workerReady), from: worker(0), view: ViewNumber.none).views.count == 1)
    #expect(bench.send(.progress(Progress(steps: 0, shards: 0)), from: worker(0)).views.isEmpty)
  }

  @Test func theJournalComesBeforeTheView() {
    var bench = bench(servers: 1, workers: 1)
    _ = bench.join(server(0))
    let begun = bench.join(worker(0))
    let written = begun.firstIndex { if case .journal(.view) = $0 { true } else { false } }
    let told = begun.firstIndex { if case .send(let it, _, _) = $0, case .view = it.message { true } else { false } }
    #expect(written! < told!)
    #expect(bench.journal.first == .term(1))
    #expect(bench.journal.contains(.agreed(fingerprint: "toy", data: Job.digest(4))))
  }
}

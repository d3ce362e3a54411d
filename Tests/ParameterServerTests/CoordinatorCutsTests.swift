import ParameterServer
import Testing

/// Checkpoints, the end, and the coordinator's own restart.
@Suite struct CoordinatorCutsTests {
  @Test func aCutIsStoredOnceEveryChunkIsThere() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(every: 2))
    for chunk in [3, 1, 0] as [UInt32] { #expect(bench.snapshot(chunk, closed: 2).stored.isEmpty) }
    #expect(bench.snapshot(1, closed: 2).contains { if case .release = $0 { true } else { false } }, "it came twice")
    let complete = bench.snapshot(2, closed: 2)
    #expect(complete.stored.map(\.step) == [2] && complete.messages == [.snapshotTaken(chunk: 2, version: 2)])
    let stored = bench.handle(.stored(step: 2))
    #expect(stored.records.contains(.checkpoint(complete.stored[0])) && stored.reports.contains(.stored(step: 2)))
    #expect(bench.ledger.held.isEmpty && stored.stops.isEmpty)
  }

  @Test func stepsOfAnotherViewAreNotCounted() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    func steps() -> Int? {
      bench.handle(.timer).reports.compactMap { if case .progress(let it) = $0 { it.steps } else { nil } }.last
    }
    _ = bench.send(.progress(Progress(steps: 2, shards: 3)), from: worker(0))
    _ = bench.send(.progress(Progress(steps: 5, shards: 4)), from: worker(0), view: ViewNumber(7))
    #expect(steps() == 2)
    _ = bench.send(.progress(Progress(steps: 3, shards: 5)), from: worker(0))
    #expect(steps() == 3)
  }

  @Test func cutsMayComeAcross() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(every: 1))
    for chunk in [0, 1, 2] as [UInt32] { _ = bench.snapshot(chunk, closed: 1) }
    for chunk in [0, 1, 2] as [UInt32] { _ = bench.snapshot(chunk, closed: 2) }
    let newer = bench.snapshot(3, closed: 2)
    #expect(newer.stored.map(\.step) == [2] && newer.abandoned == [1], "what is older is no use any more")
    #expect(bench.snapshot(3, closed: 1).stored.isEmpty && bench.ledger.held.isEmpty)
  }

  @Test func aCutIsGivenUpWhileAnotherIsWritten() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(every: 1))
    #expect(bench.snapshots(closed: 1).stored.map(\.step) == [1])
    let second = bench.snapshots(closed: 2)
    #expect(second.stored.isEmpty && second.abandoned == [2])
    _ = bench.handle(.notStored(step: 1, "the disk is full"))
    #expect(bench.reports.contains(.notStored(step: 1, "the disk is full")))
    #expect(bench.snapshots(closed: 3).stored.map(\.step) == [3], "the job goes on")
  }

  @Test func anotherVersionOfACutIsAnother() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(every: 2))
    for chunk in [0, 1, 2] as [UInt32] { _ = bench.snapshot(chunk, closed: 2, version: 7) }
    #expect(bench.snapshot(3, closed: 2, version: 8).abandoned == [2])
    for chunk in [0, 1] as [UInt32] { #expect(bench.snapshot(chunk, closed: 2, version: 8).stored.isEmpty) }
    #expect(bench.snapshot(2, closed: 2, version: 8).stored.map(\.version) == [8])
  }

  @Test func theLastCutEndsTheJob() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    #expect(bench.snapshots(closed: 8).stored.map(\.step) == [8])
    #expect(bench.snapshots(closed: 8).stored.isEmpty, "it is being written")
    let stored = bench.handle(.stored(step: 8))
    #expect(stored.stopped.count == 4 && stored.records.last == .completed && stored.stops.isEmpty)
    let goodbye = Message.leaving(Leaving(text: "", isOrderly: true, progress: Progress(steps: 8, shards: 1)))
    for member in [server(0), server(1), worker(0)] { #expect(bench.send(goodbye, from: member).stops.isEmpty) }
    let totals = EpochTotals(epoch: 0, samples: 9, lossSum: 2, correct: 4)
    let last = Leaving(text: "", isOrderly: true, progress: Progress(steps: 8, shards: 2, epochs: [totals]))
    let ended = bench.send(.leaving(last), from: worker(1))
    #expect(ended.stops == [.completed] && ended.records.last == .totals([totals]))
    #expect(bench.reports.contains { if case .trained = $0 { true } else { false } })
  }

  @Test func theLastCutIsStoredOnceThereIsRoom() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.snapshots(closed: 8)
    let refused = bench.handle(.notStored(step: 8, "the disk is full"))
    #expect(refused.stopped.isEmpty && refused.stored.isEmpty, "the workers stay, and the cut with them")
    bench.now += 249
    #expect(bench.handle(.timer).stored.isEmpty)
    bench.now += 1
    #expect(bench.handle(.timer).stored.map(\.step) == [8])
    #expect(bench.handle(.timer).stored.isEmpty, "it is being written")
    _ = bench.handle(.notStored(step: 8, "the disk is full"))
    bench.now += 499
    #expect(bench.handle(.timer).stored.isEmpty, "each pause is longer")
    bench.now += 1
    #expect(bench.handle(.timer).stored.map(\.step) == [8])
    #expect(bench.handle(.stored(step: 8)).stopped.count == 4)
  }

  @Test func withoutItsLastCutAJobHasFailed() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.snapshots(closed: 8)
    _ = bench.handle(.notStored(step: 8, "the disk is full"))
    bench.now += 250
    #expect(bench.handle(.timer).stored.map(\.step) == [8])
    bench.now += 600_000
    let failed = bench.handle(.notStored(step: 8, "the disk is full"))
    #expect(Set(failed.stopped) == [.failed("the model could not be stored: the disk is full")])
  }

  @Test func goodbyesAreNotWaitedForLonger() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    #expect(bench.handle(.interrupted).stopped.count == 4)
    bench.now += 1999
    #expect(bench.handle(.timer).stopped.count == 4, "said again")
    bench.now += 1
    #expect(bench.handle(.timer).stops == [.interrupted])
    let late = bench.arrive(8)
    let envelope = Envelope(
      token: Job.token, view: .none, sender: worker(0), incarnation: Incarnation(1), message: .alive)
    #expect(bench.handle(.message(envelope, from: Connection(1), payload: late)) == [.release(late.handle)])
  }

  @Test func whoeverSpeaksAfterTheEndIsAnswered() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.snapshots(closed: 8)
    _ = bench.handle(.stored(step: 8))
    let goodbye = Message.leaving(Leaving(text: "", isOrderly: true, progress: Progress(steps: 8, shards: 16)))
    var ended: [CoordinatorEffect] = []
    for member in bench.view.servers.map(\.member) + bench.view.workers.map(\.member) {
      ended += bench.send(goodbye, from: member)
    }
    #expect(ended.stops == [.completed])
    func answer(_ message: Message, token: JobToken = Job.token) -> Message? {
      let envelope = Envelope(
        token: token, view: .none, sender: worker(1), incarnation: Incarnation(9), message: message)
      return bench.coordinator.answerAfterEnd(to: envelope, at: Moment(milliseconds: bench.now))?.message
    }
    guard case .status(let text) = answer(.statusRequest) else {
      Issue.record("\(String(describing: answer(.statusRequest)))")
      return
    }
    #expect(text.hasPrefix("{\"state\":\"evaluating\",\"mode\":\"sync\",\"step\":8,\"steps\":8,"), "\(text)")
    #expect(text.hasSuffix("\"missing\":[],\"members\":[]}"), "\(text)")
    #expect(answer(.hello(Hello(role: .worker, name: ""))) == .stop(.completed))
    #expect(answer(.progress(Progress(steps: 8, shards: 1))) == .stop(.completed))
    #expect(answer(goodbye) == nil && answer(.refused(Refusal(.oldView, ""))) == nil)
    #expect(answer(.setMode(.async)) == .refused(Refusal(.misplaced, "too late: the job has made its last step")))
    let stranger = JobToken([UInt8](repeating: 8, count: JobToken.byteCount))!
    #expect(answer(.statusRequest, token: stranger) == nil)
  }

  // MARK: Restart

  @Test func aSuccessorGoesOnFromTheJournal() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(replicas: true))
    _ = bench.handle(.ended(name: "worker.1"))
    let before = bench.view
    var (next, effects) = bench.restarted()
    #expect(next.journal.contains(.term(2)) && next.view.number == ViewNumber(3) && next.view.era == before.era)
    #expect(next.view.servers.map(\.chunks) == before.servers.map(\.chunks) && !next.view.isBeginning)
    #expect(next.view.servers.map(\.replicas) == before.servers.map(\.replicas))
    #expect(effects.messages.isEmpty, "nobody is known to be anywhere")
    // Members are told as they are heard.
    for member in [server(0), server(1)] {
      let answer = next.send(.progress(Progress(steps: 3, shards: 0)), from: member, view: before.number)
      #expect(answer.views == [next.view])
    }
    #expect(next.acceptAll(closed: 3).views.count == 0)
    #expect(next.send(.progress(Progress(steps: 3, shards: 3)), from: worker(0), view: before.number).views.count == 1)
  }

  @Test func aSuccessorRemovesWhoHasDiedMeanwhile() {
    let bench = CoordinatorBench.training(CoordinatorBench.plan())
    var (next, _) = bench.restarted()
    _ = next.pass(1500, silent: [worker(0)])
    #expect(next.view.workers.map(\.member) == [worker(1)])
  }

  @Test func aSuccessorOfAJobThatIsDoneTellsEveryone() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.snapshots(closed: 8)
    _ = bench.handle(.stored(step: 8))
    var (next, effects) = bench.restarted()
    #expect(effects.views.isEmpty)
    #expect(next.send(.progress(Progress(steps: 8, shards: 8)), from: worker(0)).stopped == [.completed])
    next.now += 2000
    #expect(next.handle(.timer).stops == [.completed])
  }

  @Test func whatWorkersReportIsCountedOnceOverARestart() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(every: 1))
    let report = Progress(steps: 2, shards: 4, epochs: [EpochTotals(epoch: 0, samples: 16, lossSum: 3, correct: 1)])
    _ = bench.send(.progress(report), from: worker(0))
    _ = bench.send(.progress(report), from: worker(1))
    _ = bench.handle(.ended(name: "worker.1"))
    _ = bench.snapshots(closed: 1)
    _ = bench.handle(.stored(step: 1))
    var (next, _) = bench.restarted()
    _ = next.send(.progress(report), from: worker(0))
    let progress = next.handle(.timer).reports.compactMap { if case .progress(let it) = $0 { it } else { nil } }
    #expect(progress.map(\.samples) == [32])
  }

  @Test func stalenessIsSummedOverServersAndCountedOnceOverRestarts() {
    func report(_ bins: [UInt64], _ sum: UInt64, _ largest: UInt64) -> Message {
      .progress(Progress(steps: 1, shards: 0, staleness: StalenessCounts(bins: bins, sum: sum, largest: largest)))
    }
    func counted(_ effects: [CoordinatorEffect]) -> StalenessCounts? {
      effects.reports.compactMap { if case .progress(let it) = $0 { it.staleness } else { nil } }.last
    }
    var bench = CoordinatorBench.training(CoordinatorBench.plan(.async, replicas: true, steps: 100))
    _ = bench.send(report([1], 0, 0), from: server(0))
    _ = bench.send(report([3, 2], 2, 1), from: server(0))
    _ = bench.send(report([1], 0, 0), from: server(0))
    _ = bench.send(report([0, 0, 0, 0, 5], 20, 4), from: server(1))
    // Only servers apply.
    _ = bench.send(report([9], 9, 9), from: worker(0))
    let whole = StalenessCounts(bins: [3, 2, 0, 0, 5], sum: 22, largest: 4)
    #expect(counted(bench.handle(.timer)) == whole)
    // What a server that died had reported stays; its next life counts from nothing.
    _ = bench.handle(.ended(name: "server.1"))
    #expect(counted(bench.handle(.timer)) == whole)
    _ = bench.join(server(1), life: 77)
    _ = bench.send(report([1], 0, 0), from: server(1))
    let more = StalenessCounts(bins: [4, 2, 0, 0, 5], sum: 22, largest: 4)
    #expect(counted(bench.handle(.timer)) == more)
    #expect(more.count == 11 && more.mean == 2)
    // A successor has it from the journal and from those who live.
    var (next, _) = bench.restarted()
    _ = next.send(report([3, 2], 2, 1), from: server(0))
    #expect(counted(next.handle(.timer)) == whole)
    let goodbye = Leaving(
      text: "", isOrderly: true,
      progress: Progress(steps: 1, shards: 0, staleness: StalenessCounts(bins: [3, 3], sum: 3, largest: 1)))
    _ = next.send(.leaving(goodbye), from: server(0))
    #expect(counted(next.handle(.timer)) == StalenessCounts(bins: [3, 3, 0, 0, 5], sum: 23, largest: 4))
    let status = next.send(.statusRequest, from: Member(.client, 0)).messages.compactMap { message in
      if case .status(let text) = message { text } else { nil }
    }
    #expect(
      status.first?.contains(
        "\"staleness\":{\"pushes\":11,\"mean\":\(23.0 / 11),\"max\":4,\"histogram\":[3, 3, 0, 0, 5]}") == true)
  }

  @Test func leasesOutliveTheCoordinator() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(.async, workers: 2, steps: 100))
    let ask = { (grant: UInt64, held: UnitSet) in
      Message.leaseRequest(LeaseRequest(grant: grant, held: held, wantsMore: true))
    }
    let first = bench.send(ask(0, UnitSet()), from: worker(0)).leased[0].units
    let lost = bench.send(ask(0, UnitSet()), from: worker(1)).leased[0].units
    _ = bench.handle(.ended(name: "worker.1"))
    _ = bench.acceptAll()
    let again = bench.send(ask(1, first), from: worker(0)).leased[0].units
    #expect(again == lost, "what came back is given first")
    var (next, _) = bench.restarted()
    _ = next.acceptAll()
    _ = next.send(ask(2, first), from: worker(0))
    _ = next.join(worker(1), life: 999)
    _ = next.acceptAll()
    let fresh = next.send(ask(0, UnitSet()), from: worker(1)).leased[0].units
    for unit in fresh.ranges.joined() { #expect(!first.contains(unit) && !again.contains(unit), "\(unit)") }
  }

  @Test func whatADeadWorkerHeldIsGivenOutAfterARestart() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(.async, steps: 100))
    let ask = Message.leaseRequest(LeaseRequest(grant: 0, held: UnitSet(), wantsMore: true))
    let lost = bench.send(ask, from: worker(1)).leased[0].units
    _ = bench.handle(.ended(name: "worker.1"))
    var (next, _) = bench.restarted()
    _ = next.acceptAll()
    #expect(next.send(ask, from: worker(0)).leased.map(\.units) == [lost])
  }

  @Test func aLateSegmentsReturnedUnitsDoNotStopTheLeases() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(.async, steps: 6))
    let ask = { (grant: UInt64, held: UnitSet) in
      Message.leaseRequest(LeaseRequest(grant: grant, held: held, wantsMore: true))
    }
    _ = bench.send(.setMode(.sync), from: Member(.client, 0))
    _ = bench.acceptAll()
    _ = bench.acceptAll()
    _ = bench.send(.setMode(.async), from: Member(.client, 0))
    _ = bench.acceptAll(closed: 1)
    _ = bench.acceptAll(closed: 1)
    let segments = bench.view.rules.segments
    #expect(segments.map(\.consistency) == [.async, .sync, .async])
    var grant: UInt64 = 0
    var newest: UnitSet?
    while let leases = bench.send(ask(grant, UnitSet()), from: worker(0)).leased.first, grant < 50 {
      grant = leases.grant
      newest = leases.units
      if leases.units.ranges[0].lowerBound >= 4 * segments[2].firstStep { break }
    }
    // The worker who holds units of the last segment is gone.
    _ = bench.handle(.ended(name: "worker.0"))
    _ = bench.acceptAll(closed: 2)
    let given = bench.send(ask(0, UnitSet()), from: worker(1)).leased.first
    #expect(given?.units.contains(newest!.ranges[0].lowerBound) == true)
  }
}

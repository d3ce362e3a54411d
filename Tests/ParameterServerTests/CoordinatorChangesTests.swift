import ParameterServer
import Testing

/// Members that go and come while a job trains.
@Suite struct CoordinatorChangesTests {
  private func nodes(_ bench: CoordinatorBench) -> [[ShardNode]] { bench.view.workers.map(\.nodes) }

  @Test func aSilentWorkerIsRemovedAndItsShardsGoToTheOthers() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    #expect(bench.pass(1250, silent: [worker(1)]).views.isEmpty)
    let removed = bench.pass(250, silent: [worker(1)])
    #expect(removed.views.count == 2 && bench.view.number == ViewNumber(2), "both servers are told")
    #expect(bench.view.workers.map(\.member) == [worker(0)])
    // At once as they are; as one node from a step that nobody has begun.
    #expect(bench.view.workers[0].earlierNodes == [node(1, 0), node(1, 1)])
    #expect(bench.view.workers[0].nodes == [node(2, 0)] && bench.view.since == 2)
    #expect(bench.acceptAll().views.count == 1)
    // What comes back is fenced.
    #expect(bench.send(.progress(Progress(steps: 0, shards: 0)), from: worker(1)).refusals == [.deadIncarnation])
  }

  @Test func aWorkerWhoseProcessEndedIsRemovedAtOnce() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    #expect(bench.handle(.ended(name: "worker.1")).views.count == 2)
    #expect(bench.handle(.ended(name: "worker.1")).views.isEmpty)
    #expect(bench.view.workers.map(\.member) == [worker(0)])
  }

  @Test func aWorkerThatLeavesInOrderIsNoFailure() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    let leaving = Leaving(text: "SIGTERM", isOrderly: true, progress: Progress(steps: 1, shards: 2))
    #expect(bench.send(.leaving(leaving), from: worker(0)).views.count == 2)
    #expect(bench.send(.leaving(leaving), from: worker(0)).messages.isEmpty, "a goodbye that comes twice")
    let failing = Leaving(text: "no memory", isOrderly: false, progress: Progress(steps: 1, shards: 2))
    let reason = StopReason.failed("worker.1: no memory")
    #expect(bench.send(.leaving(failing), from: worker(1)).stopped == [reason, reason])
  }

  @Test(arguments: FailureKind.allCases) func theKindOfAFailureReachesEveryMember(kind: FailureKind) {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    let failing = Leaving(text: "a file", isOrderly: false, kind: kind, progress: Progress(steps: 1, shards: 2))
    let stopped = bench.send(.leaving(failing), from: worker(1)).stopped
    #expect(!stopped.isEmpty && stopped.allSatisfy { $0 == .failed("worker.1: a file", kind) && $0.kind == kind })
  }

  /// A member whose launcher is gone says goodbye, and the launcher says that it has lost it: whichever comes first.
  @Test(arguments: [false, true], [worker(1), server(1)])
  func anOrphanIsLostWhicheverWordComesFirst(launcherIsFirst: Bool, member: Member) {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(replicas: true))
    let leaving = Leaving(text: "stopped by …", isOrderly: true, progress: Progress(steps: 1, shards: 2))
    let orphan = bench.connection(member)
    var effects: [CoordinatorEffect] = []
    if launcherIsFirst { effects += bench.handle(.ended(name: "\(member)")) }
    effects += bench.send(.leaving(leaving), from: member)
    if !launcherIsFirst { effects += bench.handle(.ended(name: "\(member)")) }
    #expect(effects.stopped.isEmpty && effects.refusals.isEmpty)
    #expect(Set(effects.views.map(\.number)) == [ViewNumber(2)], "one change of views")
    #expect(bench.view.incarnation(of: member) == nil)
    // Another process has its name, and what the one before may still say does it no harm.
    #expect(bench.join(member, life: 999).welcomed == [member])
    #expect(bench.hello(member.role, "\(member)", life: orphan.rawValue).welcomed.isEmpty)
    #expect(bench.view.incarnation(of: member) == Incarnation(999))
  }

  @Test func aProcessThatItsLauncherHasLostIsSentAwayAndDoesNotComeBackAsAnotherLife() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.handle(.ended(name: "worker.1"))
    // It has heard of nothing, and speaks: fenced, it would take the name before the process that is started next.
    let spoken = bench.send(.progress(Progress(steps: 0, shards: 0)), from: worker(1))
    #expect(spoken.refusals.isEmpty)
    guard case .failed? = spoken.stopped.first else {
      Issue.record("it is told to stop: \(spoken)")
      return
    }
    #expect(bench.join(worker(1), life: 999).welcomed == [worker(1)])
  }

  @Test func aWorkerThatJoinsIsGivenShardsAtAStepThatNobodyHasBegun() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(workers: 1))
    _ = bench.pass(250, steps: 3)
    #expect(bench.join(worker(1)).views.count == 2)
    #expect(nodes(bench) == [[node(1, 0)], [node(1, 1)]] && bench.view.since == 5)
    #expect(bench.view.workers.map(\.earlierNodes) == [[node(2, 0)], []])
  }

  @Test func workersThatComeTogetherAllGetShards() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(workers: 1))
    _ = bench.pass(250, steps: 1)
    _ = bench.join(worker(1))
    _ = bench.join(worker(2))
    _ = bench.acceptAll()
    // Shards are on the move: the third has none yet, and is not forgotten.
    _ = bench.pass(250, steps: 4)
    #expect(nodes(bench).allSatisfy { !$0.isEmpty }, "\(nodes(bench))")
  }

  @Test func aJobWithoutWorkersWaitsForOne() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(workers: 1))
    _ = bench.handle(.ended(name: "worker.0"))
    #expect(bench.view.workers.isEmpty)
    _ = bench.acceptAll()
    let joined = bench.join(worker(0), life: 999)
    #expect(joined.views.count == 2 && nodes(bench) == [[node(2, 0)]])
    #expect(bench.acceptAll(closed: 3).views.count == 1)
  }

  @Test func membersAreNotToldOfAViewBeforeTheServersHaveIt() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.handle(.ended(name: "worker.1"))
    let old = ViewNumber(1)
    #expect(bench.send(.viewAccepted(closed: 0), from: server(0), view: old).views.isEmpty)
    _ = bench.send(.viewAccepted(closed: 0), from: server(0))
    #expect(bench.send(.progress(Progress(steps: 0, shards: 0)), from: worker(0), view: old).views.isEmpty)
    let placed = bench.send(.viewAccepted(closed: 0), from: server(1))
    #expect(placed.views.count == 1)
    #expect(placed.reports == [.resumed(bench.view, milliseconds: 0)])
  }

  @Test func aCoordinatorThatWasStoppedListensBeforeItJudges() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.pass(250)
    bench.now += 60_000
    #expect(bench.handle(.timer).views.isEmpty)
    #expect(bench.pass(1000, silent: [worker(1)]).views.isEmpty)
    #expect(bench.pass(500, silent: [worker(1)]).views.count == 2)
  }

  // MARK: Servers

  @Test func aLostServersChunksAreServedByItsReplicas() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(servers: 3, replicas: true))
    let before = bench.view
    #expect(before.problem == nil && before.replicaOfChunk?.contains(-1) == false)
    _ = bench.handle(.ended(name: "server.1"))
    let after = bench.view
    #expect(after.problem == nil && after.era == 1 && !after.isBeginning && after.replicaOfChunk?.contains(-1) == false)
    for chunk in 0..<before.rules.chunks.count {
      let holder = before.servers[before.serverOfChunk![chunk]].member
      let keeper = before.servers[before.replicaOfChunk![chunk]].member
      let now = after.servers[after.serverOfChunk![chunk]].member
      #expect(now == (holder == server(1) ? keeper : holder))
      if holder != server(1), keeper != server(1) {
        #expect(after.servers[after.replicaOfChunk![chunk]].member == keeper, "nothing moves without need")
      }
    }
  }

  @Test func aNewServerIsGivenReplicas() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(replicas: true))
    _ = bench.handle(.ended(name: "server.1"))
    #expect(bench.view.servers.count == 1 && bench.view.replicaOfChunk?.contains(-1) == true)
    _ = bench.acceptAll()
    #expect(bench.join(server(1), life: 999).views.count == 2)
    #expect(bench.view.servers[1].chunks.isEmpty && bench.view.servers[1].replicas.count == 4)
  }

  @Test func aServerThatIsNotNeededWaits() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    #expect(bench.join(server(2)).views.isEmpty)
    #expect(bench.view.number == ViewNumber(1))
  }

  // MARK: The way back

  private let mark = CheckpointMark(step: 4, version: 4, rules: Job.rules(), covered: UnitSet())

  @Test func lostChunksTakeTheJobBackOnceAReplacementIsThere() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(every: 2))
    let lost = bench.handle(.ended(name: "server.1"))
    #expect(lost.views.isEmpty && !lost.contains(.load))
    #expect(bench.pass(4750, silent: [server(1)]).views.isEmpty, "it is waited for")
    #expect(bench.join(server(1), life: 999).contains(.load))
    let begun = bench.handle(.loaded(mark))
    #expect(begun.views.count == 2 && bench.view.era == 2 && bench.view.origin == .checkpoint(step: 4))
    #expect(begun.restored.sorted() == [0, 1, 2, 3])
    #expect(bench.acceptAll(closed: 4).views.count == 2)
  }

  @Test func withoutAReplacementTheServersLeftGoOn() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.handle(.ended(name: "server.1"))
    #expect(bench.pass(5000, silent: [server(1)]).contains(.load))
    #expect(bench.handle(.loaded(nil)).views.count == 1)
    #expect(bench.view.origin == .initial && bench.view.servers.map(\.member) == [server(0)] && bench.view.era == 2)
  }

  @Test func withoutAnyServerTheJobWaits() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(servers: 1))
    _ = bench.handle(.ended(name: "server.0"))
    #expect(!bench.pass(20_000, silent: [server(0)]).contains(.load))
    #expect(bench.reports.contains(.waiting(missing: ["server.0"])))
    #expect(bench.join(server(0), life: 999).contains(.load))
  }

  @Test func aStateThatIsLostTakesTheJobBack() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.handle(.ended(name: "worker.1"))
    #expect(bench.send(.stateLost(chunk: 1), from: server(0)).contains(.load) == false, "chunk 1 is server.1's")
    #expect(bench.send(.stateLost(chunk: 1), from: server(1)).contains(.load))
  }

  @Test func aRestoreThatWasLostIsSentAgain() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.handle(.ended(name: "server.1"))
    _ = bench.join(server(1), life: 999)
    _ = bench.handle(.loaded(mark))
    let mine = bench.view.servers[1].chunks[0]
    #expect(bench.send(.stateLost(chunk: mine), from: server(1)).restored == [Int(mine)])
    _ = bench.acceptAll(closed: 4)
    #expect(bench.send(.stateLost(chunk: mine), from: server(1)).messages.isEmpty, "it came late")
  }

  @Test func stepsOfAnEarlierEraSayNothing() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(.ssp(2), steps: 100, every: 10))
    _ = bench.pass(250, steps: 60)
    let old = bench.view.number
    // Both servers stay, and one says that it has no state.
    _ = bench.handle(.ended(name: "worker.1"))
    #expect(bench.send(.stateLost(chunk: bench.view.servers[1].chunks[0]), from: server(1)).contains(.load))
    _ = bench.handle(.loaded(CheckpointMark(step: 10, version: 40, rules: bench.view.rules, covered: UnitSet())))
    _ = bench.acceptAll(closed: 10)
    _ = bench.send(.progress(Progress(steps: 61, shards: bench.now)), from: server(0), view: old)
    // Nothing is due before twenty steps are closed again.
    #expect(bench.pass(500, steps: 19).cuts.isEmpty)
    #expect(!bench.pass(250, steps: 20).cuts.isEmpty)
  }

  // MARK: Speeds

  /// Both workers report what they have computed in so many milliseconds.
  private func compute(_ bench: inout CoordinatorBench, _ shards: [UInt64], steps: UInt64) -> [CoordinatorEffect] {
    bench.now += 250
    var effects = bench.send(.progress(Progress(steps: steps, shards: 0)), from: server(0))
    effects += bench.send(.progress(Progress(steps: steps, shards: 0)), from: server(1))
    for (number, count) in shards.enumerated() {
      effects += bench.send(
        .progress(Progress(steps: steps, shards: count, busy: 1000 * steps)), from: worker(UInt32(number)))
    }
    return effects + bench.handle(.timer)
  }

  private func measured(rebalances: Bool) -> CoordinatorBench {
    var plan = CoordinatorBench.plan(steps: 100, shards: 8)
    plan.rebalances = rebalances
    var bench = CoordinatorBench.training(plan)
    for step in 1...12 as ClosedRange<UInt64> { _ = compute(&bench, [30 * step, 10 * step], steps: step) }
    return bench
  }

  @Test func shardsMoveToTheFasterWorker() {
    let bench = measured(rebalances: true)
    #expect(nodes(bench).map { $0.reduce(0) { $0 + $1.shards.count } } == [6, 2])
    #expect(bench.view.since > 0 && bench.view.workers.map(\.earlierNodes) == [[node(2, 0)], [node(2, 1)]])
    #expect(measured(rebalances: false).view.number == ViewNumber(1))
  }

  // MARK: Modes

  @Test func theModeChangesAtAStepThatNobodyHasBegun() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.send(.setMode(.async), from: Member(.client, 0))
    #expect(bench.view.rules.segments.count == 1, "first the servers say how far they are")
    _ = bench.send(.viewAccepted(closed: 3), from: server(0))
    let switched = bench.send(.viewAccepted(closed: 2), from: server(1))
    #expect(switched.views.count == 2)
    #expect(bench.view.rules.segments.last == JobRules.Segment(firstStep: 4, consistency: .async))
    #expect(bench.acceptAll(closed: 3).views.count == 2, "then the workers are told")
    #expect(bench.send(.setMode(.backup(4)), from: Member(.client, 0)).refusals == [.misplaced])
  }

  @Test func aModeEndsAfterTheNewestLease() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(.async, workers: 1))
    let request = LeaseRequest(grant: 0, held: UnitSet(), wantsMore: true)
    let granted = bench.send(.leaseRequest(request), from: worker(0)).leased
    let newest = granted[0].units.ranges.last!.upperBound
    _ = bench.send(.setMode(.sync), from: Member(.client, 0))
    _ = bench.acceptAll()
    #expect(bench.view.rules.segments.last?.firstStep == (newest + 3) / 4)
    #expect(bench.view.rules.segments.last?.consistency == .sync)
  }

  @Test func aModeEndsAfterWhatACheckpointHoldsOfLaterSteps() throws {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(.async))
    _ = bench.handle(.ended(name: "server.1"))
    _ = bench.join(server(1), life: 999)
    // Shards 2 and 3 of step 5 are in it; step 4 is not closed.
    let covered = try #require(UnitSet(ranges: [22..<24]))
    _ = bench.handle(.loaded(CheckpointMark(step: 4, version: 18, rules: bench.view.rules, covered: covered)))
    _ = bench.acceptAll(closed: 4)
    _ = bench.send(.setMode(.sync), from: Member(.client, 0))
    _ = bench.acceptAll(closed: 4)
    #expect(bench.view.rules.segments.last == JobRules.Segment(firstStep: 6, consistency: .sync))
  }

  @Test func aModeIsAcknowledgedWhenItIsWrittenDown() throws {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    let client = Member(.client, 0)
    #expect(bench.send(.setMode(.async), from: client).messages(to: bench.connection(client)).isEmpty)
    // Asked once more while it is under way: no further view. Another mode has to wait.
    #expect(bench.send(.setMode(.async), from: client).records.isEmpty)
    #expect(bench.send(.setMode(.local(2)), from: client).refusals == [.misplaced])
    let effects = bench.acceptAll(closed: 3)
    let written = try #require(
      effects.firstIndex { if case .journal(.view(let view)) = $0 { view.rules.segments.count == 2 } else { false } })
    let told = try #require(
      effects.firstIndex {
        if case .send(let envelope, bench.connection(client), _) = $0, case .status = envelope.message {
          true
        } else {
          false
        }
      })
    #expect(written < told)
    #expect(effects.messages(to: bench.connection(client)).count == 1)
    _ = bench.acceptAll(closed: 3)
    // The answer was lost.
    let again = bench.send(.setMode(.async), from: client)
    #expect(again.messages(to: bench.connection(client)).count == 1 && again.records.isEmpty && again.refusals.isEmpty)
  }

  @Test func aModeThatComesTooLateIsRefused() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.send(.setMode(.async), from: Member(.client, 0))
    // The last step is begun.
    let texts = refusals(bench.acceptAll(closed: 8))
    #expect(texts == ["too late: the last of the 8 steps is begun or given out in the mode that holds"])
    _ = bench.acceptAll(closed: 8)
    #expect(bench.view.rules.segments.count == 1 && bench.send(.alive, from: worker(0)).views.isEmpty)
    _ = bench.send(.setMode(.async), from: Member(.client, 0))
    #expect(refusals(bench.handle(.interrupted)) == ["too late: the job is over"])
    #expect(refusals(bench.send(.setMode(.async), from: Member(.client, 0))) == ["too late: the job is over"])
  }

  private func refusals(_ effects: [CoordinatorEffect]) -> [String] {
    effects.messages.compactMap { if case .refused(let refusal) = $0 { refusal.explanation } else { nil } }
  }

  // MARK: Terms

  @Test func aCoordinatorWithoutItsJournalComesAfterTheOneThatMembersKnow() {
    // The worker has heard the second coordinator; the third begins as the first.
    var member = WorkerBench(Job.view(Job.rules()))
    let second = Envelope(
      token: Job.token, view: .none, sender: .coordinator, incarnation: Incarnation(2), message: .alive)
    _ = member.handle(.message(second, from: .coordinator, payload: nil))
    var bench = CoordinatorBench(CoordinatorBench.plan())
    _ = bench.handle(.started)
    let refused = bench.send(.progress(Progress(steps: 0, shards: 0)), from: worker(0), view: ViewNumber(1))
    #expect(refused.refusals == [.deadIncarnation])
    let answer = member.handle(.message(envelope(refused), from: .coordinator, payload: nil)).messages
    #expect(answer == [.outranked(term: 2)])
    #expect(bench.send(answer[0], from: worker(0)).records == [.term(3)])
    #expect(bench.send(answer[0], from: worker(0)).records.isEmpty)
    #expect(bench.send(.outranked(term: .max), from: worker(0)).records.isEmpty, "no job has so many")
    let again = bench.send(.progress(Progress(steps: 0, shards: 0)), from: worker(0), view: ViewNumber(1))
    let stops = member.handle(.message(envelope(again), from: .coordinator, payload: nil)).stops
    #expect(
      stops.count == 1 && stops.allSatisfy { if case .fenced = $0 { true } else { false } }, "it comes back as another")
  }

  private func envelope(_ effects: [CoordinatorEffect]) -> Envelope {
    effects.compactMap { if case .send(let envelope, _, _) = $0 { envelope } else { nil } }[0]
  }
}

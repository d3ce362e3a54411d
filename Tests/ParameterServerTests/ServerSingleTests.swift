import ParameterServer
import Testing

/// One chunk of a server whose pushes are applied one by one.
@Suite struct ServerSingleTests {
  private func bench(_ rules: JobRules = Job.rules(.ssp(2)), workers: Int = 2) -> ServerBench {
    ServerBench(
      Job.view(
        rules, chunks: [[0, 1]], nodes: workers == 1 ? [[rules.schedule.tree.root]] : [[node(1, 0)], [node(1, 1)]]))
  }

  private func shard(_ number: UInt32) -> ShardNode { node(0, number) }

  @Test func everyPushIsOneUpdateAndIsAnswered() {
    var bench = bench()
    let update = bench.push(0, shard(2), awaits: 0).updates[0]
    #expect(update.kind == .single && update.unit == 2 && update.version == 1 && update.closed == 0)
    #expect(update.worker == 0 && update.staleness == 0 && update.samples == 8 && update.shards == 4)
    #expect(bench.applied(0, 1).answers == [Answer(version: 1, closed: 0)])
    #expect(bench.server.position(of: 0)?.covered.ranges == [2..<3] && bench.ledger.held.isEmpty)
  }

  @Test func aChunkWithoutAStateOrForAReplicaTakesNoPush() {
    let rules = Job.rules(.async)
    var empty = ServerBench(Job.view(rules, isBeginning: false, chunks: [[0, 1]]))
    #expect(empty.push(0, shard(0), awaits: 0).refusals == [.misplaced] && empty.ledger.held.isEmpty)
    var replica = ServerBench(Job.view(rules, chunks: [[0], [1]], replicas: [[1], [0]]))
    #expect(replica.push(0, shard(0), chunk: 1, awaits: 0).refusals == [.misplaced] && replica.ledger.held.isEmpty)
  }

  @Test func pushesWaitForTheUpdateUnderWayAndStalenessCountsThem() {
    var bench = bench()
    _ = bench.push(0, shard(0), awaits: 0)
    #expect(bench.push(0, shard(1), awaits: 0).updates.isEmpty)
    #expect(bench.push(0, shard(2), by: 1, awaits: 0).updates.isEmpty)
    #expect(bench.applied(0, 1).updates.map(\.staleness) == [1])
    let second = bench.applied(0, 2)
    #expect(second.updates.map(\.staleness) == [2] && second.answers.count == 1)
    #expect(bench.applied(0, 3).answers == [Answer(worker: 1, version: 3, closed: 0)])
    // Signs of life tell the coordinator.
    let told = bench.tick().messages.compactMap { if case .progress(let it) = $0 { it.staleness } else { nil } }
    #expect(told == [bench.server.counts.staleness])
    #expect(bench.server.counts.staleness == StalenessCounts(bins: [1, 1, 1], sum: 3, largest: 2))
  }

  @Test func aStepClosesWithItsLastUnitWhicheverThatIs() {
    var bench = bench()
    for (index, unit) in [(0, 1), (0, 3), (1, 0), (0, 0), (0, 2)].enumerated() {
      let update = bench.push(unit.0, shard(UInt32(unit.1)), basis: UInt64(index), awaits: 0).updates[0]
      // A step is counted where a step's worth of units is applied.
      #expect(update.step == (index < 4 ? 0 : 1) && update.closed == (index == 4 ? 1 : 0))
      _ = bench.applied(0, UInt64(index) + 1)
    }
    #expect(bench.server.position(of: 0)?.covered.ranges == [4..<5])
  }

  @Test func emptyUnitsAreNotWaitedFor() {
    var bench = bench(Job.rules(.async, samples: 2, batch: 2))
    #expect(bench.push(0, shard(1), awaits: 0).updates.map(\.closed) == [0])
    _ = bench.applied(0, 1)
    #expect(bench.push(0, shard(3), basis: 1, awaits: 0).updates.map(\.closed) == [1])
    #expect(bench.push(0, shard(0), awaits: 0).refusals == [.misplaced])
  }

  @Test func theAnswerWaitsForTheStepsThatItsWorkerNeeds() {
    var bench = bench(Job.rules(.ssp(1), shards: 2), workers: 1)
    _ = bench.push(0, shard(0), awaits: 0)
    _ = bench.applied(0, 1)
    // Step 1 is as far ahead as slack 1 goes: before step 2, step 0 has to be closed.
    _ = bench.push(1, shard(0), basis: 1, awaits: 1)
    #expect(bench.applied(0, 2).answers.isEmpty)
    _ = bench.push(0, shard(1), basis: 0, awaits: 0)
    #expect(Set(bench.applied(0, 3).answers) == [Answer(version: 3, closed: 1)])
  }

  @Test func aDuplicateIsAnsweredWithItsEffectIncluded() {
    var bench = bench()
    _ = bench.push(0, shard(0), awaits: 0)
    _ = bench.push(0, shard(1), by: 1, awaits: 0)
    #expect(bench.push(0, shard(1), by: 1, awaits: 0).updates.isEmpty, "it is queued already")
    _ = bench.applied(0, 1)
    #expect(bench.applied(0, 2).answers.filter { $0.worker == 1 } == [Answer(worker: 1, version: 2, closed: 0)])
    #expect(bench.push(0, shard(0), awaits: 0).answers == [Answer(version: 2, closed: 0)])
    #expect(bench.server.counts.duplicates == 2 && bench.ledger.held.isEmpty)
    #expect(bench.server.position(of: 0)?.version == 2)
  }

  @Test func whatIsTooStaleIsSentBackAndDoesNotCount() {
    var bench = bench(Job.rules(.async, staleness: 1))
    _ = bench.push(0, shard(0), awaits: 0)
    _ = bench.push(0, shard(1), awaits: 0)
    // Two updates come before it, queued as well as applied.
    let stale = bench.push(0, shard(2), awaits: 0)
    #expect(stale.answers == [Answer(version: 0, closed: 0, isStale: true)] && stale.updates.isEmpty)
    _ = bench.applied(0, 1)
    _ = bench.applied(0, 2)
    #expect(bench.push(0, shard(2), basis: 1, awaits: 0).updates.map(\.staleness) == [1])
    #expect(bench.server.counts.stale == 1)
  }

  @Test func aPushFromTheFutureOrOfANodeIsRefused() {
    var bench = bench()
    #expect(bench.push(0, shard(0), basis: 1).refusals == [.misplaced])
    #expect(bench.push(0, node(1, 0)).refusals == [.misplaced])
    var later = self.bench(Job.rules(.sync, then: [(2, .async)]))
    #expect(later.push(2, shard(0), basis: 0).refusals == [.misplaced], "its segment has not begun")
    #expect(bench.ledger.held.isEmpty && later.ledger.held.isEmpty)
  }

  // MARK: Cuts

  @Test func aCutHoldsBackWhatComesAfterAMark() {
    var bench = bench()
    _ = bench.push(0, shard(0), awaits: 0)
    #expect(bench.send(.marker(1), from: worker(0)).snapshots.isEmpty)
    #expect(bench.push(1, shard(0), basis: 0, awaits: 0).isEmpty, "after its worker's mark")
    _ = bench.applied(0, 1)
    _ = bench.push(0, shard(2), by: 1, basis: 0, awaits: 0)
    #expect(bench.send(.marker(1), from: worker(1)).snapshots.map(\.chunk) == [1], "an update of chunk 0 is under way")
    #expect(bench.push(1, shard(2), by: 1, basis: 0, awaits: 0).isEmpty, "until the snapshot is taken")
    let cut = bench.applied(0, 2)
    #expect(cut.snapshots.map(\.version) == [2] && cut.snapshots.map(\.covered.ranges) == [[0..<1, 2..<3]])
    #expect(cut.updates.map(\.unit) == [4], "what was held back goes on in its order")
    #expect(bench.applied(0, 3).updates.map(\.unit) == [6])
  }

  @Test func aMarkThatComesTwiceCountsOnce() {
    var bench = bench()
    _ = bench.send(.marker(1), from: worker(0))
    #expect(bench.send(.marker(1), from: worker(0)).snapshots.isEmpty)
    #expect(bench.send(.marker(1), from: worker(1)).snapshots.count == 2)
    #expect(bench.send(.marker(1), from: worker(1)).snapshots.isEmpty, "the cut is over")
  }

  @Test func aViewGivesACutUpAndTheNextCanBeMade() {
    let rules = Job.rules(.ssp(2))
    var bench = bench(rules)
    _ = bench.send(.marker(3), from: worker(0))
    _ = bench.push(0, shard(0), awaits: 0)
    #expect(bench.adopt(Job.view(rules, 2, isBeginning: false)).released == [GradientHandle(0)])
    #expect(bench.push(0, shard(0), awaits: 0).updates.count == 1)
    // A coordinator that was restarted counts anew.
    _ = bench.applied(0, 1)
    #expect(bench.send(.marker(1), from: worker(0)).snapshots.count == 2)
  }

  @Test func theLastStepIsSnapshottedWithoutMarks() {
    var bench = bench(Job.rules(.async, shards: 1, steps: 1, every: 1), workers: 1)
    _ = bench.push(0, node(0, 0), awaits: 0)
    #expect(bench.applied(0, 1).snapshots.map(\.closed) == [1])
  }
}

import ParameterServer
import Testing

/// One chunk of a server whose steps are summed: shards 0, 1 and 2-3 are workers' 0, 1 and 2.
@Suite struct ServerSummedTests {
  private func bench(_ consistency: Consistency = .sync, samples: Int = 32, batch: Int = 8) -> ServerBench {
    ServerBench(
      Job.view(
        Job.rules(consistency, samples: samples, batch: batch), nodes: [[node(0, 0)], [node(0, 1)], [node(1, 1)]]))
  }

  private func permutations(_ items: [Int]) -> [[Int]] {
    items.isEmpty
      ? [[]] : items.flatMap { item in permutations(items.filter { $0 != item }).map { [item] + $0 } }
  }

  @Test func siblingsAreAddedLeftToRightHoweverTheyCome() {
    for order in permutations([0, 1, 2, 3]) {
      var bench = bench()
      var shards: [GradientHandle: Range<Int>] = [:]
      var effects: [ServerEffect] = []
      for (handle, shard) in order.enumerated() {
        shards[GradientHandle(UInt64(handle))] = shard..<shard + 1
        effects += bench.push(0, node(0, UInt32(shard)), by: UInt32(min(shard, 2)))
      }
      for sum in effects.sums {
        let (left, right) = (shards[sum[0]]!, shards[sum[1]]!)
        #expect(left.upperBound == right.lowerBound && left.count == right.count)
        shards[sum[2]] = left.lowerBound..<right.upperBound
      }
      #expect(effects.sums.count == 3 && effects.updates.map(\.version) == [1])
      #expect(effects.updates.map(\.samples) == [8] && effects.updates.map(\.closed) == [1])
      let answers = bench.applied(0, 1).answers
      #expect(Set(answers.map(\.worker)) == [0, 1, 2] && answers.allSatisfy { $0.version == 1 })
      #expect(bench.ledger.held.isEmpty)
    }
  }

  @Test func aDuplicateIsDroppedAndItsSenderAnsweredOnce() {
    var bench = bench()
    _ = bench.push(0, node(0, 0))
    #expect(bench.push(0, node(0, 0)).released == [GradientHandle(1)])
    _ = bench.push(0, node(0, 1), by: 1)
    _ = bench.push(0, node(1, 1), by: 2)
    // The update is ordered and not made: nothing more can belong to it.
    #expect(bench.push(0, node(1, 1), by: 2).updates.isEmpty)
    #expect(bench.applied(0, 1).answers.count == 3)
    let again = bench.push(0, node(0, 0))
    #expect(again.answers == [Answer(version: 1, closed: 1)] && again.updates.isEmpty)
    #expect(bench.server.counts.duplicates == 3 && bench.ledger.held.isEmpty)
  }

  @Test func aNodeReplacesWhatItPartlyCoversAndDropsWhatItCovers() {
    var bench = bench()
    _ = bench.push(0, node(0, 1), by: 1)
    #expect(bench.push(0, node(1, 0)).released == [GradientHandle(0)])
    #expect(bench.push(0, node(0, 1), by: 1).released == [GradientHandle(2)], "it is covered")
    let last = bench.push(0, node(1, 1), by: 2)
    #expect(last.sums.map { Array($0.prefix(2)) } == [[GradientHandle(1), GradientHandle(3)]])
  }

  @Test func emptyShardsAreSkipped() {
    // Steps of two samples over four shards: shards 1 and 3 have one each.
    var bench = bench(samples: 2, batch: 2)
    #expect(bench.push(0, node(0, 0)).refusals == [.misplaced])
    #expect(bench.push(0, node(0, 1), by: 1).updates.isEmpty)
    let update = bench.push(0, node(0, 3), by: 2).updates
    #expect(update.map(\.samples) == [2] && update.map(\.shards) == [2])
  }

  @Test func whatHasNoPlaceIsRefusedAndLetGoOf() {
    var bench = bench()
    #expect(bench.push(1, node(0, 0)).refusals == [.misplaced], "step 1 has not begun")
    #expect(bench.send(.push(push(step: .max)), from: worker(0), bytes: 64).refusals == [.outOfBounds])
    for node in [node(0, 4), node(3, 0), node(62, 1), node(255, .max)] {
      #expect(bench.send(.push(push(node: node)), from: worker(0), bytes: 64).refusals == [.outOfBounds])
    }
    #expect(bench.send(.push(push(awaits: .max)), from: worker(0), bytes: 64).refusals == [.outOfBounds])
    #expect(bench.send(.push(push(chunk: 2)), from: worker(0), bytes: 64).refusals == [.misplaced])
    for bytes in [nil, 0, 63, 1 << 40] {
      #expect(bench.send(.push(push()), from: worker(0), bytes: bytes).refusals == [.malformed])
    }
    #expect(bench.ledger.held.isEmpty && bench.server.refusals.total == 12)
  }

  private func push(
    chunk: UInt32 = 0, step: UInt64 = 0, node: ShardNode = node(0, 0), awaits: UInt64 = 1
  ) -> Push {
    Push(chunk: chunk, step: step, node: node, basis: 0, awaits: awaits)
  }

  // MARK: Pulls

  @Test func anExactPullGetsThisAndThePreviousVersion() {
    var bench = bench()
    #expect(bench.pull(closed: 0, exact: true).answers == [Answer(version: 0, closed: 0)])
    _ = bench.close(0)
    #expect(bench.pull(closed: 0, exact: true).answers == [Answer(version: 0, closed: 0)])
    #expect(bench.pull(closed: 1, exact: true).answers == [Answer(version: 1, closed: 1)])
    _ = bench.close(1)
    let gone = bench.pull(closed: 0, exact: true)
    #expect(gone.answers.isEmpty && gone.positions == [2])
    #expect(bench.pull(closed: 0).answers == [Answer(version: 2, closed: 2)], "not exact: the newest will do")
  }

  @Test func aPullWaitsForItsStep() {
    var bench = bench()
    #expect(bench.pull(closed: 2, exact: true, by: 1).isEmpty)
    #expect(bench.pull(closed: 2, exact: true, by: 1).isEmpty, "asked twice, answered once")
    #expect(bench.close(0).answers.map(\.worker) == [0])
    #expect(bench.close(1).answers.filter { $0.worker == 1 } == [Answer(worker: 1, version: 2, closed: 2)])
    #expect(bench.pull(closed: 9).refusals == [.outOfBounds], "the job has eight steps")
  }

  // MARK: Backup

  @Test func aStepClosesWithoutTheSparedShards() {
    var bench = bench(.backup(1))
    #expect(bench.push(0, node(0, 3), by: 2).updates.isEmpty)
    #expect(bench.push(0, node(0, 0)).updates.isEmpty)
    let closing = bench.push(0, node(0, 1), by: 1)
    #expect(closing.updates.map(\.samples) == [6] && closing.updates.map(\.shards) == [3])
    // 0 + 1 first, as in the tree; then shard 3.
    #expect(closing.sums.map { Array($0.prefix(2)) }.last?.last == GradientHandle(0))
    let late = bench.push(0, node(0, 2), by: 2)
    #expect(late.updates.isEmpty && bench.server.counts.late == 1)
    #expect(bench.applied(0, 1).answers.count == 4)
    #expect(bench.push(0, node(0, 2), by: 2).answers == [Answer(worker: 2, version: 1, closed: 1)])
    #expect(bench.server.counts.late == 2 && bench.ledger.held.isEmpty)
  }

  @Test func aStepThatIsCompleteIsNotCutShort() {
    var bench = bench(.backup(1))
    let whole = bench.push(0, node(2, 0))
    #expect(whole.updates.map(\.samples) == [8] && whole.sums.isEmpty)
  }

  @Test func oneShardAtLeastCloses() {
    // Two samples in four shards, and three shards spared.
    var bench = bench(.backup(3), samples: 2, batch: 2)
    #expect(bench.push(0, node(0, 1), by: 1).updates.map(\.samples) == [1])
  }

  // MARK: Local

  @Test func roundsAreAveragedAndCloseAllTheirSteps() {
    var bench = ServerBench(Job.view(Job.rules(.local(3), slots: 1)))
    #expect(bench.push(1, node(2, 0)).refusals == [.misplaced], "step 1 begins no round")
    let first = bench.push(0, node(2, 0), awaits: 3)
    #expect(first.updates.map(\.kind) == [.averaged] && first.updates.map(\.closed) == [3])
    #expect(first.updates.map(\.shards) == [4])
    #expect(bench.applied(0, 1).answers == [Answer(version: 1, closed: 3)])
    #expect(bench.pull(closed: 0, exact: true).answers == [Answer(version: 0, closed: 0)])
    _ = bench.push(3, node(2, 0), basis: 1, awaits: 6)
    _ = bench.applied(0, 2)
    #expect(bench.push(6, node(2, 0), basis: 2, awaits: 8).updates.map(\.closed) == [8], "the last round is shorter")
  }
}

import ParameterServer
import Testing

/// A worker whose steps are summed: two chunks on two servers, shards 0-1 its own.
@Suite struct WorkerSummedTests {
  private func view(
    _ number: UInt64 = 1, era: UInt32 = 1, _ rules: JobRules = Job.rules(),
    nodes: [[ShardNode]] = [[node(1, 0)], [node(1, 1)]], earlier: [[ShardNode]] = [], since: Int = 0
  ) -> View {
    Job.view(rules, number, era: era, chunks: [[0], [1]], nodes: nodes, earlier: earlier, since: since)
  }

  /// A worker that computes its first step.
  private func computing(_ view: View? = nil, closed: Int = 0) throws -> (bench: WorkerBench, order: ComputeOrder) {
    var bench = WorkerBench(view ?? self.view())
    let order = try #require(bench.allValues(closed: closed).orders.first)
    return (bench, order)
  }

  @Test func aStepIsComputedWhenEveryChunkIsThere() throws {
    var bench = WorkerBench(view())
    #expect(bench.beginning.pulls == [0, 1].map { Pull(chunk: $0, closed: 0, isExact: false) })
    #expect(bench.values(0, closed: 0).orders.isEmpty)
    let order = try #require(bench.values(1, closed: 0).orders.first)
    #expect(order.steps == 0..<1 && order.nodes == [node(1, 0)])
    let pushes = bench.compute(order).pushes
    #expect(pushes.map(\.chunk) == [1, 0])
    #expect(pushes.allSatisfy { $0.step == 0 && $0.awaits == 1 && $0.basis == 0 && $0.node == node(1, 0) })
    let next = bench.allValues(closed: 1)
    #expect(next.orders.map(\.steps) == [1..<2] && next.discarded == [node(1, 0)])
    #expect(bench.ledger.held.isEmpty)
  }

  @Test func aPartIsPushedAsSoonAsItIsFinal() throws {
    var (bench, order) = try computing()
    #expect(bench.ready(order, chunks: [1]).pushes.map(\.chunk) == [1])
    #expect(bench.ready(order, chunks: [0]).pushes.map(\.chunk) == [0])
    #expect(bench.handle(.computeFinished(order: order.number, milliseconds: 1)).pushes.isEmpty)
  }

  @Test func whatComesWhileTheEngineReadsIsInstalledWhenItHasRead() throws {
    var (bench, order) = try computing(view(nodes: [[node(0, 0), node(0, 1)], [node(1, 1)]]))
    // The other worker took shards 0-1 over from an earlier life, and its pushes came through.
    _ = bench.handle(.gradientReady(order: order.number, node: node(0, 0), chunk: 0))
    #expect(bench.values(0, closed: 1).installed.isEmpty, "the second node's gradient is still computed from it")
    #expect(bench.ledger.held.count == 1)
    #expect(bench.handle(.gradientReady(order: order.number, node: node(0, 1), chunk: 0)).installed == [0])
    let answers = Contribution(step: 0, node: node(0, 0))
    #expect(bench.values(1, closed: 1, answers: answers).installed.isEmpty)
    #expect(bench.handle(.computeFinished(order: order.number, milliseconds: 1)).installed == [1])
    #expect(bench.ledger.held.isEmpty)
  }

  @Test func anAnswerThatComesTwiceOrTooLateIsLetGoOf() throws {
    var (bench, order) = try computing()
    #expect(bench.values(0, closed: 0).released.count == 1)
    _ = bench.compute(order)
    #expect(bench.values(0, closed: 0).installed.isEmpty)
    #expect(bench.values(0, closed: 1).installed == [0])
    #expect(bench.values(0, closed: 1).installed.isEmpty)
    #expect(bench.ledger.held.isEmpty && bench.worker.refusals.total == 0)
  }

  @Test func aWorkerThatJoinsBeginsWhereTheChunksAre() throws {
    var bench = WorkerBench(view())
    #expect(bench.values(0, closed: 6).orders.isEmpty)
    // Chunk 1 still is at 5: so is the step that is open, and chunk 0 is asked for as it was.
    let exact = bench.values(1, closed: 5)
    #expect(exact.pulls == [Pull(chunk: 0, closed: 5, isExact: true)])
    #expect(bench.values(0, closed: 5).orders.map(\.steps) == [5..<6])
  }

  @Test func aChunkThatHasGoneOnTakesTheWorkerAlong() {
    var bench = WorkerBench(view(nodes: [[node(1, 0)], [node(1, 1)]], earlier: [[], [node(2, 0)]], since: 7))
    _ = bench.values(0, closed: 2)
    // It has nothing to do in step 2, and follows.
    #expect(bench.values(1, closed: 2).pulls.map(\.closed) == [3, 3])
    #expect(bench.position(0, closed: 6).pulls.map(\.closed) == [6, 6])
    _ = bench.values(0, closed: 6)
    _ = bench.values(1, closed: 6)
    #expect(bench.worker.step == 6)
    _ = bench.values(0, closed: 7)
    #expect(bench.values(1, closed: 7).orders.map(\.steps) == [7..<8], "from here on it has shards")
  }

  @Test func plannedMovesHappenAtTheirStep() throws {
    var (bench, order) = try computing(
      view(nodes: [[node(2, 0)], []], earlier: [[node(1, 0)], [node(1, 1)]], since: 1))
    #expect(order.nodes == [node(1, 0)])
    _ = bench.compute(order)
    #expect(bench.allValues(closed: 1).orders.map(\.nodes) == [[node(2, 0)]])
  }

  @Test func shardsThatAreTakenOverInAStepAreComputedFromItsVersion() throws {
    var (bench, order) = try computing()
    _ = bench.compute(order)
    _ = bench.values(0, closed: 1)
    // Worker 1 is gone: chunk 0 has its gradient, chunk 1 has not.
    let adopted = bench.adopt(view(2, nodes: [[node(1, 0), node(1, 1)]]))
    #expect(adopted.pushes.map(\.chunk) == [1], "what has no answer is pushed again")
    #expect(adopted.pulls == [Pull(chunk: 0, closed: 0, isExact: true)])
    let redo = bench.values(0, closed: 0)
    #expect(redo.installed == [0] && redo.orders.map(\.nodes) == [[node(1, 1)]])
    #expect(bench.compute(redo.orders[0]).pushes.map(\.step) == [0, 0])
    #expect(bench.allValues(closed: 1).orders.map(\.nodes) == [[node(1, 0), node(1, 1)]])
    #expect(bench.ledger.held.isEmpty)
  }

  @Test func whatWasComputedIsNotComputedAgainInANewView() throws {
    var (bench, order) = try computing()
    _ = bench.adopt(view(2, nodes: [[node(0, 0)], [node(0, 1), node(1, 1)]]))
    // A part of what is under way: its sum is pushed in the new view.
    #expect(bench.compute(order).pushes.map(\.node) == [node(1, 0), node(1, 0)])
    #expect(bench.allValues(closed: 1).orders.map(\.nodes) == [[node(0, 0)]])
  }

  @Test func aWorkerWithoutShardsStandsBy() {
    var bench = WorkerBench(view(nodes: [[], [node(2, 0)]]))
    #expect(bench.beginning.pulls.isEmpty && bench.after(500).pulls.isEmpty)
    #expect(bench.adopt(view(2)).pulls.count == 2)
    #expect(bench.allValues(closed: 3).orders.map(\.steps) == [3..<4])
  }

  @Test func aWorkerWhoseShardsHoldNoSamplesFollows() {
    // Steps of two samples: shards 0 and 2 have none.
    let rules = Job.rules(samples: 2, batch: 2, steps: 2)
    var bench = WorkerBench(view(1, rules, nodes: [[node(0, 0)], [node(0, 1), node(1, 1)]]))
    #expect(bench.allValues(closed: 0).pulls.map(\.closed) == [1, 1])
    #expect(bench.allValues(closed: 1).pulls.map(\.closed) == [2, 2])
    #expect(bench.allValues(closed: 2).pulls.isEmpty && bench.worker.step == 2)
  }

  // MARK: Eras

  @Test func anEraMakesAComputationVoid() throws {
    var (bench, order) = try computing()
    _ = bench.ready(order, chunks: [1])
    let adopted = bench.adopt(view(2, era: 2))
    #expect(adopted.pushes.isEmpty && adopted.pulls.isEmpty, "the engine still reads the parameters")
    #expect(bench.ready(order, chunks: [0]).pushes.isEmpty)
    let finished = bench.handle(.computeFinished(order: order.number, milliseconds: 1))
    #expect(finished.discarded == [node(1, 0)] && finished.pulls.map(\.closed) == [0, 0])
    let again = bench.allValues(closed: 0)
    #expect(again.orders.map(\.number) == [order.number + 1])
    #expect(bench.ledger.held.isEmpty)
  }

  @Test func whatWasDeferredIsLetGoOfWithItsEra() throws {
    var (bench, _) = try computing()
    _ = bench.values(0, closed: 1)
    _ = bench.values(0, closed: 0, version: 5, answers: Contribution(step: 0, node: node(1, 0)))
    _ = bench.adopt(view(2, era: 2))
    #expect(bench.ledger.held.isEmpty)
  }

  // MARK: Again

  @Test func whatHasNoAnswerIsSaidAgainMoreAndMoreSeldom() throws {
    var bench = WorkerBench(view())
    var moments: [UInt64] = []
    for _ in 0..<60 where !bench.after(250).pulls.isEmpty { moments.append(bench.now) }
    #expect(moments == [500, 1500, 3500, 7500, 15500].filter { $0 <= 15000 })
    _ = bench.values(0, closed: 0)
    let order = try #require(bench.values(1, closed: 0).orders.first)
    _ = bench.compute(order)
    _ = bench.values(1, closed: 1)
    #expect(bench.after(500).pushes.map(\.chunk) == [0], "an answer gives the rest its time again")
  }

  @Test func whatAServerHasNoMoreIsClosedEverywhere() throws {
    var (bench, order) = try computing(view(1, Job.rules()))
    _ = bench.compute(order)
    // An answer to an earlier question says only that a later round has begun somewhere.
    #expect(bench.position(0, closed: 2, asked: 0).pulls.map(\.closed) == [1, 1] && bench.worker.step == 1)
    #expect(bench.position(0, closed: 2, asked: 1).pulls.map(\.closed) == [2, 2] && bench.worker.step == 2)
  }

  @Test func whatIsNotWaitedForAnyMoreIsAskedForAgain() {
    var bench = WorkerBench(view(1, Job.rules()))
    _ = bench.values(0, closed: 2)
    #expect(bench.values(1, closed: 1).pulls == [Pull(chunk: 0, closed: 1, isExact: true)])
    // An answer to an earlier question ends the wait, and chunk 0 still has what is wanted.
    #expect(bench.position(0, closed: 2, asked: 0).pulls == [Pull(chunk: 0, closed: 1, isExact: true)])
  }

  @Test func aChunkThatIsReplacedWhileAnotherIsAwaitedIsAskedFor() {
    var bench = WorkerBench(view(1, Job.rules()))
    _ = bench.values(0, closed: 1)
    #expect(bench.values(1, closed: 2).pulls == [Pull(chunk: 1, closed: 1, isExact: true)])
    // The answer to a push of long ago brings chunk 0 beyond step 1, too.
    let late = bench.values(0, closed: 2, answers: Contribution(step: 1, node: node(0, 0)))
    #expect(late.installed == [0] && late.pulls == [Pull(chunk: 0, closed: 1, isExact: true)])
  }

  @Test func whatIsSaidAgainBeginsElsewhereEachTime() throws {
    var (bench, order) = try computing(view(1, Job.rules()))
    _ = bench.compute(order)
    var first: Set<UInt32> = []
    for _ in 0..<8 { first.formUnion(bench.after(10_000).pushes.prefix(1).map(\.chunk)) }
    #expect(first == [0, 1], "a queue that takes one message takes each of them some time")
  }

  // MARK: Backup

  @Test func aWorkerThatIsLateCatchesUp() throws {
    let rules = Job.rules(.backup(2))
    var (bench, order) = try computing(view(1, rules))
    _ = bench.compute(order)
    let moved = bench.position(0, closed: 5)
    #expect(moved.pulls.map(\.closed) == [5, 5] && bench.worker.step == 5)
    #expect(bench.values(0, closed: 5).orders.isEmpty)
    let caught = bench.values(1, closed: 5)
    #expect(caught.orders.map(\.steps) == [5..<6] && caught.discarded == [node(1, 0)])
  }

  @Test func whereTheNewestDoesNotComeTheOldestOpenStepIsWorkedOn() throws {
    let rules = Job.rules(.backup(2))
    var (bench, order) = try computing(view(1, rules))
    _ = bench.compute(order)
    _ = bench.values(1, closed: 1)
    _ = bench.position(0, closed: 3)
    _ = bench.values(0, closed: 3)
    #expect(bench.worker.step == 3)
    // Chunk 1 stays at 1: it may wait for this very worker.
    _ = bench.after(500)
    #expect(bench.worker.step == 1)
    // That chunk 0 is at 3 says that step 2 may be open, and not that it is not.
    _ = bench.position(0, closed: 3, asked: 1)
    #expect(bench.worker.step == 2)
  }

  // MARK: Local

  @Test func aRoundIsOneOrder() throws {
    let rules = Job.rules(.local(3), slots: 1)
    var (bench, order) = try computing(view(1, rules))
    #expect(order.steps == 0..<3 && order.consistency == .local(3))
    #expect(bench.compute(order).pushes.allSatisfy { $0.step == 0 && $0.awaits == 3 })
    #expect(bench.allValues(closed: 3, version: 1).orders.map(\.steps) == [3..<6])
  }
}

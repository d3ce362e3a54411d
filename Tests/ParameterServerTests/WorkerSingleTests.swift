import ParameterServer
import Testing

/// A worker whose pushes are applied one by one: with slack, or by leases.
@Suite struct WorkerSingleTests {
  private func view(
    _ rules: JobRules, _ number: UInt64 = 1, era: UInt32 = 1, nodes: [[ShardNode]] = [[node(1, 0)], [node(1, 1)]]
  ) -> View {
    Job.view(rules, number, era: era, chunks: [[0], [1]], nodes: nodes)
  }

  private func units(_ ranges: Range<Int>...) -> UnitSet { UnitSet(ranges: ranges)! }

  /// All chunks answer every push of an order.
  private func answer(
    _ bench: inout WorkerBench, _ order: ComputeOrder, closed: Int, version: Int, isStale: Bool = false
  ) -> [WorkerEffect] {
    order.nodes.flatMap { node in
      bench.allValues(
        closed: closed, version: version,
        answers: Contribution(step: UInt64(order.steps.lowerBound), node: node, isStale: isStale))
    }
  }

  // MARK: Slack

  @Test func aStepIsComputedAheadAsFarAsTheSlackGoes() throws {
    var bench = WorkerBench(view(Job.rules(.ssp(1))))
    var order = try #require(bench.allValues(closed: 0).orders.first)
    #expect(order.nodes == [node(0, 0), node(0, 1)], "shard by shard")
    #expect(bench.compute(order).pushes.allSatisfy { $0.awaits == 0 })
    order = try #require(answer(&bench, order, closed: 0, version: 2).orders.first)
    #expect(order.steps == 1..<2)
    #expect(bench.compute(order).pushes.allSatisfy { $0.awaits == 1 && $0.basis == 2 })
    // A step further needs step 0 closed: the answer brings it.
    #expect(answer(&bench, order, closed: 1, version: 6).orders.map(\.steps) == [2..<3])
  }

  @Test func theNextStepWaitsForAllAnswers() throws {
    var bench = WorkerBench(view(Job.rules(.ssp(3))))
    let order = try #require(bench.allValues(closed: 0).orders.first)
    _ = bench.compute(order)
    for node in order.nodes {
      #expect(bench.values(0, closed: 0, version: 2, answers: Contribution(step: 0, node: node)).orders.isEmpty)
    }
    #expect(bench.values(1, closed: 0, version: 1, answers: Contribution(step: 0, node: node(0, 0))).orders.isEmpty)
    #expect(bench.values(1, closed: 0, version: 2, answers: Contribution(step: 0, node: node(0, 1))).orders.count == 1)
  }

  @Test func whatWasTooStaleIsComputedAnew() throws {
    var bench = WorkerBench(view(Job.rules(.ssp(3), staleness: 1), nodes: [[node(0, 0)], [node(0, 1), node(1, 1)]]))
    let order = try #require(bench.allValues(closed: 0).orders.first)
    _ = bench.compute(order)
    let stale = Contribution(step: 0, node: node(0, 0), isStale: true)
    _ = bench.values(0, closed: 0, version: 1, answers: Contribution(step: 0, node: node(0, 0)))
    let again = bench.values(1, closed: 0, version: 9, answers: stale)
    #expect(again.discarded == [node(0, 0)] && again.orders.map(\.steps) == [0..<1])
    #expect(bench.compute(again.orders[0]).pushes.map(\.basis) == [9, 1], "from what is there now")
  }

  @Test func shardsOfStepsLeftBehindAreTakenOver() throws {
    var bench = WorkerBench(view(Job.rules(.ssp(2))))
    var order = try #require(bench.allValues(closed: 0).orders.first)
    _ = bench.compute(order)
    order = try #require(answer(&bench, order, closed: 0, version: 2).orders.first)
    _ = bench.compute(order)
    _ = answer(&bench, order, closed: 0, version: 4)
    // Worker 1 never pushed anything, and is gone; a third step is under way here.
    _ = bench.adopt(view(Job.rules(.ssp(2)), 2, nodes: [[node(2, 0)]]))
    #expect(bench.handle(.computeFinished(order: order.number + 1, milliseconds: 1)).pulls.map(\.closed) == [0, 0])
    let takenOver = bench.allValues(closed: 0, version: 4)
    #expect(takenOver.orders.map(\.steps) == [0..<1] && takenOver.orders.map(\.nodes) == [[node(0, 2), node(0, 3)]])
  }

  @Test func aPullIsSaidAgainBesideAPushThatIsAnsweredLater() throws {
    var bench = WorkerBench(view(Job.rules(.ssp(1))))
    var order = try #require(bench.allValues(closed: 0).orders.first)
    _ = bench.compute(order)
    order = try #require(answer(&bench, order, closed: 0, version: 2).orders.first)
    #expect(bench.compute(order).pushes.allSatisfy { $0.awaits == 1 })
    // Worker 1 is gone: step 0 cannot close before this one has looked where the chunks are, and both pulls are lost.
    #expect(bench.adopt(view(Job.rules(.ssp(1)), 2, nodes: [[node(2, 0)]])).pulls.map(\.closed) == [0, 0])
    let again = bench.after(10_000)
    #expect(again.pulls.map(\.closed) == [0, 0] && again.pushes.allSatisfy { $0.awaits == 1 })
  }

  @Test(arguments: [0, 1]) func theLastStepsAreTakenOverToo(isFollowed: Int) throws {
    // All steps of the job, or of the segment, are computed when the other worker goes.
    let rules = isFollowed == 0 ? Job.rules(.ssp(2), steps: 2) : Job.rules(.ssp(2), then: [(2, .sync)])
    var bench = WorkerBench(view(rules))
    var order = bench.allValues(closed: 0).orders.first
    for step in 0..<2 {
      let computed = try #require(order)
      _ = bench.compute(computed)
      order = answer(&bench, computed, closed: 0, version: 2 * step + 2).orders.first
    }
    #expect(bench.worker.step == 2)
    _ = bench.adopt(view(rules, 2, nodes: [[node(2, 0)]]))
    let takenOver = bench.allValues(closed: 0, version: 4).orders
    #expect(takenOver.map(\.steps) == [0..<1] && takenOver.map(\.nodes) == [[node(0, 2), node(0, 3)]])
  }

  // MARK: Leases

  private func grant(_ number: UInt64, _ ranges: Range<Int>...) -> Message {
    .leases(Leases(grant: number, units: UnitSet(ranges: ranges)!))
  }

  /// A worker in async mode that holds every chunk.
  private func leased(_ rules: JobRules = Job.rules(.async)) -> WorkerBench {
    var bench = WorkerBench(view(rules))
    _ = bench.allValues(closed: 0)
    return bench
  }

  @Test func unitsAreComputedOneAfterTheOther() throws {
    var bench = leased()
    #expect(bench.beginning.requests == [LeaseRequest(grant: 0, held: UnitSet(), wantsMore: true)])
    let first = try #require(bench.fromCoordinator(grant(1, 4..<6)).orders.first)
    #expect(first.steps == 1..<2 && first.nodes == [node(0, 0)])
    #expect(bench.compute(first).orders.isEmpty, "the answers come first")
    #expect(answer(&bench, first, closed: 0, version: 1).orders.map(\.nodes) == [[node(0, 1)]])
    #expect(bench.after(250).requests.map(\.held) == [units(5..<6)], "what is finished is said")
  }

  @Test func aGrantThatComesTwiceOrIsOldIsNoWork() throws {
    var bench = leased()
    let order = try #require(bench.fromCoordinator(grant(2, 0..<1)).orders.first)
    _ = bench.fromCoordinator(grant(2, 0..<1))
    _ = bench.fromCoordinator(grant(1, 7..<8))
    _ = bench.compute(order)
    #expect(answer(&bench, order, closed: 0, version: 1).orders.isEmpty)
  }

  @Test func moreIsAskedForWhileThereIsWork() {
    var bench = leased()
    var effects = bench.fromCoordinator(grant(1, 0..<8))
    #expect(effects.requests.isEmpty)
    for version in 1...8 {
      guard let order = effects.orders.last else { break }
      effects += bench.compute(order) + answer(&bench, order, closed: 0, version: version)
    }
    #expect(
      effects.orders.count == 8 && effects.requests.first?.held.count == 5 && effects.requests.first?.wantsMore == true)
  }

  @Test func anEmptyUnitIsFinishedAtOnce() {
    // Of four shards of two samples, 0 and 2 are empty.
    var bench = leased(Job.rules(.async, samples: 2, batch: 2))
    let granted = bench.fromCoordinator(grant(1, 0..<1))
    #expect(granted.orders.isEmpty && granted.requests.map(\.held) == [UnitSet()])
  }

  @Test func aGrantOfUnitsThatNoJobHasIsRefused() {
    var bench = leased()
    #expect(bench.fromCoordinator(grant(1, 31..<33)).orders.isEmpty)
    #expect(bench.fromCoordinator(grant(1, 0..<Int.max)).orders.isEmpty)
    #expect(bench.worker.refusals[.outOfBounds] == 2)
  }

  @Test func aStaleUnitIsComputedAnewAndStaysHeld() throws {
    var bench = leased(Job.rules(.async, staleness: 1))
    let order = try #require(bench.fromCoordinator(grant(1, 0..<2)).orders.first)
    _ = bench.compute(order)
    let again = answer(&bench, order, closed: 0, version: 9, isStale: true)
    #expect(again.orders.map(\.nodes) == [[node(0, 0)]])
    #expect(bench.after(250).requests.map(\.held) == [units(0..<2)])
  }

  @Test func leasesOfAnEraAreVoidInTheNext() {
    var bench = leased()
    _ = bench.fromCoordinator(grant(5, 0..<4))
    let adopted = bench.adopt(view(Job.rules(.async), 2, era: 2))
    #expect(adopted.requests == [LeaseRequest(grant: 0, held: UnitSet(), wantsMore: true)])
  }

  // MARK: Segments

  @Test func leasesOfALaterSegmentWaitForTheStepsBeforeIt() throws {
    let rules = Job.rules(.sync, then: [(1, .async)])
    var bench = WorkerBench(view(rules))
    _ = bench.fromCoordinator(grant(1, 4..<6))
    let order = try #require(bench.allValues(closed: 0).orders.first)
    #expect(order.steps == 0..<1, "the summed step needs this worker")
    _ = bench.compute(order)
    #expect(bench.allValues(closed: 1).orders.map(\.steps) == [1..<2])
  }

  @Test func whatComesBackOfAnEarlierSegmentIsComputedFirst() throws {
    let rules = Job.rules(.async, then: [(2, .sync), (4, .async)])
    var bench = WorkerBench(view(rules))
    _ = bench.allValues(closed: 0)
    #expect(bench.fromCoordinator(grant(1, 16..<18)).orders.isEmpty, "segment 4 has not begun")
    let order = try #require(bench.fromCoordinator(grant(2, 3..<4)).orders.first)
    #expect(order.steps == 0..<1 && order.nodes == [node(0, 3)])
  }

  @Test func afterTheLeasedStepsTheSummedOnesFollow() throws {
    let rules = Job.rules(.async, then: [(1, .sync)])
    var bench = WorkerBench(view(rules))
    _ = bench.allValues(closed: 0)
    #expect(bench.worker.step == 1)
    #expect(bench.allValues(closed: 1, version: 4).orders.map(\.steps) == [1..<2])
  }

  // MARK: Cuts

  @Test func aCutIsMarkedOnceNothingIsOnItsWay() throws {
    var bench = leased()
    let order = try #require(bench.fromCoordinator(grant(1, 0..<2)).orders.first)
    #expect(bench.fromCoordinator(.cut(1)).markers.isEmpty)
    #expect(bench.compute(order).markers.isEmpty)
    let settled = answer(&bench, order, closed: 0, version: 1)
    #expect(settled.markers == [1, 1], "to every server, before the next unit")
    #expect(settled.orders.count == 1)
    #expect(bench.fromCoordinator(.cut(1)).markers.isEmpty)
  }

  @Test func aMarkIsSaidAgainAndForgottenWithTheView() {
    var bench = leased()
    #expect(bench.fromCoordinator(.cut(4)).markers == [4, 4])
    #expect(bench.after(500).markers == [4, 4])
    _ = bench.adopt(view(Job.rules(.async), 2))
    #expect(bench.after(1000).markers.isEmpty)
    #expect(bench.fromCoordinator(.cut(1)).markers == [1, 1], "a coordinator that was restarted counts anew")
  }
}

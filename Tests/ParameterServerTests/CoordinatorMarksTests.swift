import ParameterServer
import Testing

/// Cuts that workers mark, and those that are made by time.
@Suite struct CoordinatorMarksTests {
  private func marking() -> CoordinatorBench {
    CoordinatorBench.training(CoordinatorBench.plan(.ssp(2), steps: 100, every: 10))
  }

  @Test func workersMarkACutWhenEveryServerHasComeFarEnough() {
    var bench = marking()
    #expect(bench.pass(250, steps: 9).cuts.isEmpty)
    #expect(bench.send(.progress(Progress(steps: 12, shards: bench.now)), from: server(0)).cuts.isEmpty)
    #expect(bench.send(.progress(Progress(steps: 10, shards: bench.now)), from: server(1)).cuts == [1, 1])
    #expect(Set(bench.pass(250, steps: 12).cuts) == [1], "said again until it is made")
    #expect(bench.snapshots(closed: 12).stored.map(\.step) == [12])
    #expect(bench.pass(250, steps: 19).cuts.isEmpty)
    #expect(Set(bench.pass(250, steps: 20).cuts) == [2])
  }

  @Test func aCutThatAViewInterruptsIsBegunAnew() {
    var bench = marking()
    _ = bench.pass(250, steps: 10)
    _ = bench.handle(.ended(name: "worker.1"))
    _ = bench.acceptAll(closed: 10)
    #expect(Set(bench.pass(250, steps: 10).cuts) == [2])
  }

  @Test func aCutByTimeThatClosesNothingNewMakesRoomForTheNext() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(.async, steps: 100, interval: 1000))
    #expect(Set(bench.pass(1250, steps: 3).cuts) == [1])
    _ = bench.snapshots(closed: 3)
    _ = bench.handle(.stored(step: 3))
    #expect(Set(bench.pass(1000, steps: 3).cuts) == [2])
    // A unit of step 3 is late: the cut closes no more steps than the one before.
    #expect(bench.snapshots(closed: 3).stored.isEmpty)
    #expect(Set(bench.pass(1000, steps: 3).cuts) == [3])
    #expect(bench.ledger.held.isEmpty)
  }

  @Test func aCutByTimeIsCommandedAheadWhereStepsAreSummed() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(steps: 100, interval: 1000))
    #expect(bench.pass(1000, steps: 5).cuts.isEmpty)
    #expect(bench.pass(500, steps: 6).cuts == [14, 14])
  }

  @Test func theLastOfAnEarlierCutDoesNotEndTheOneThatIsMarked() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(.ssp(2), steps: 100, every: 16))
    #expect(Set(bench.pass(250, steps: 16).cuts) == [1])
    for chunk in 0..<3 as Range<UInt32> { _ = bench.snapshot(chunk, closed: 19) }
    _ = bench.handle(.ended(name: "worker.1"))
    _ = bench.acceptAll(closed: 20)
    #expect(Set(bench.pass(250, steps: 20).cuts) == [2])
    #expect(bench.snapshot(3, closed: 19).stored.map(\.step) == [19], "the first cut is whole now")
    // It leaves no step that calls for another: those who have not heard of the second still have to be told.
    #expect(Set(bench.pass(250, steps: 20).cuts) == [2])
    #expect(bench.snapshots(closed: 21).isEmpty == false)
    #expect(bench.pass(250, steps: 21).cuts.isEmpty, "the second is whole")
  }
}

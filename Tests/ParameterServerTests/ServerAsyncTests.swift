import ParameterServer
import Testing

@Suite struct ServerAsyncTests {
  @Test func everyPushIsAppliedAsItComes() throws {
    var stage = ServerStage(.async)
    let first = try #require(stage.push(step: 0, 0, 2, worker: 1, basis: 0).effects.applied.first)
    #expect(first.version == 1 && first.step == 0 && first.staleness == 0 && first.worker == 1 && first.samples == 8)
    #expect(stage.handle(.applied(chunk: 0)).answers == [Answer(worker: 1, version: 1)])
    let second = try #require(stage.push(step: 2, 0, 0, worker: 0, basis: 0).effects.applied.first)
    #expect(second.version == 2 && second.step == 0 && second.staleness == 1 && second.worker == 0)
    #expect(second.samples == 4, "its own step is the smaller last one")
  }

  @Test func pushesWaitForTheUpdateUnderWay() {
    var stage = ServerStage(.async)
    _ = stage.push(0, 0, worker: 0)
    let second = stage.push(0, 1, worker: 1, basis: 0)
    let third = stage.push(0, 2, worker: 2, basis: 0)
    #expect(second.effects.isEmpty && third.effects.isEmpty)
    let afterFirst = stage.handle(.applied(chunk: 0))
    #expect(afterFirst.answers == [Answer(worker: 0, version: 1)])
    #expect(afterFirst.applied.map(\.gradient) == [second.handle])
    #expect(afterFirst.applied.map(\.staleness) == [1])
    let afterSecond = stage.handle(.applied(chunk: 0))
    #expect(afterSecond.answers == [Answer(worker: 1, version: 2)])
    #expect(afterSecond.applied.map(\.gradient) == [third.handle])
    #expect(afterSecond.applied.map(\.staleness) == [2])
    #expect(stage.handle(.applied(chunk: 0)).answers == [Answer(worker: 2, version: 3)])
  }

  @Test func aDuplicateIsDroppedWheneverItComes() {
    var stage = ServerStage(.async)
    _ = stage.push(0, 0, worker: 0)
    let queued = stage.push(0, 1, worker: 1, basis: 0)
    for again in [stage.push(0, 0, worker: 0), stage.push(0, 1, worker: 1, basis: 0)] {
      #expect(again.effects == [.release(again.handle)])
    }
    #expect(stage.handle(.applied(chunk: 0)).applied.map(\.gradient) == [queued.handle])
    _ = stage.handle(.applied(chunk: 0))
    let late = stage.push(0, 0, worker: 0)
    #expect(late.effects.released == [late.handle] && late.effects.applied.isEmpty)
    #expect(late.effects.answers == [Answer(worker: 0, version: 2)])
    #expect(stage.server.duplicates == 3 && stage.server.version(of: 0) == 2)
  }

  @Test func aBasisThatDoesNotExistIsRefused() {
    var stage = ServerStage(.async)
    let push = stage.push(0, 0, basis: 1)
    #expect(push.effects.refusals == [.misplaced] && push.effects.released == [push.handle])
    #expect(stage.push(0, 0, basis: .max).effects.refusals == [.misplaced])
    #expect(stage.push(0, 0, basis: 0).effects.applied.count == 1, "what was refused was not counted as taken")
  }

  @Test func aSumOfSeveralShardsIsRefused() {
    var stage = ServerStage(.async)
    let push = stage.push(1, 0)
    #expect(push.effects.refusals == [.misplaced] && push.effects.released == [push.handle])
  }
}

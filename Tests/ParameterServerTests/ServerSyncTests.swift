import ParameterServer
import Testing

/// One server's chunk in sync mode: shards 0 and 1 are workers' 0 and 1, shards 2 and 3 worker 2's.
@Suite struct ServerSyncTests {
  /// Closes a step of chunk 0 with three pushes and makes the update.
  private func close(_ stage: inout ServerStage, step: UInt64) -> [ServerEffect] {
    _ = stage.push(step: step, 0, 0, worker: 0)
    _ = stage.push(step: step, 0, 1, worker: 1)
    _ = stage.push(step: step, 1, 1, worker: 2)
    return stage.handle(.applied(chunk: 0))
  }

  @Test func siblingsAreAddedLeftToRightHoweverTheyCome() {
    let nodes: [(UInt8, UInt32, Int)] = [(0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 2)]
    for order in permutations([0, 1, 2, 3]) {
      var stage = ServerStage()
      var handles: [GradientHandle: Range<Int>] = [:]
      var effects: [ServerEffect] = []
      for index in order {
        let (level, position, worker) = nodes[index]
        let pushed = stage.push(level, position, worker: worker)
        handles[pushed.handle] = index..<index + 1
        effects += pushed.effects
      }
      for sum in effects.sums {
        guard let left = handles[sum[0]], let right = handles[sum[1]] else {
          Issue.record("an unknown gradient is added")
          continue
        }
        #expect(left.upperBound == right.lowerBound && left.count == right.count)
        handles[sum[2]] = left.lowerBound..<right.upperBound
      }
      #expect(effects.sums.count == 3)
      #expect(effects.applied.count == 1)
      #expect(effects.applied.first.flatMap { handles[$0.gradient] } == 0..<4)
      // What was added is let go of, once; what is applied is not.
      #expect(Set(effects.released) == Set(effects.sums.flatMap { $0.prefix(2) }))
      #expect(effects.released.count == 6)
      #expect(stage.handle(.applied(chunk: 0)).answers.map(\.worker).sorted() == [0, 1, 2])
    }
  }

  private func permutations(_ items: [Int]) -> [[Int]] {
    items.isEmpty
      ? [[]] : items.flatMap { item in permutations(items.filter { $0 != item }).map { [item] + $0 } }
  }

  @Test func anOrderStatesVersionStepAndSamples() throws {
    var stage = ServerStage(samples: 20, batch: 8)
    for (step, samples) in [8, 8, 4, 8].enumerated() {
      _ = stage.push(step: UInt64(step), 1, 0)
      let order = try #require(stage.push(step: UInt64(step), 1, 1).effects.applied.first)
      #expect(order.chunk == 0 && order.version == UInt64(step) + 1 && order.step == step)
      #expect(order.samples == samples && order.staleness == 0 && order.worker == nil)
      _ = stage.handle(.applied(chunk: 0))
    }
  }

  @Test func aDuplicateBeforeTheApplyIsDropped() {
    var stage = ServerStage()
    _ = stage.push(0, 0, worker: 0)
    let again = stage.push(0, 0, worker: 0)
    #expect(again.effects == [.release(again.handle)])
    #expect(stage.server.duplicates == 1)
    _ = stage.push(0, 1, worker: 1)
    _ = stage.push(1, 1, worker: 2)
    // The update is ordered and not made: nothing more can belong to it.
    let late = stage.push(1, 1, worker: 2)
    #expect(late.effects == [.release(late.handle)])
    #expect(stage.handle(.applied(chunk: 0)).answers.count == 3, "each worker is answered once")
  }

  @Test func aDuplicateAfterTheApplyIsAnsweredAgain() {
    var stage = ServerStage()
    _ = close(&stage, step: 0)
    let again = stage.push(step: 0, 0, 0, worker: 0)
    #expect(again.effects.released == [again.handle])
    #expect(again.effects.answers == [Answer(worker: 0, version: 1)])
    #expect(again.effects.applied.isEmpty && stage.server.version(of: 0) == 1)
    _ = close(&stage, step: 1)
    let veryLate = stage.push(step: 0, 0, 0, worker: 0)
    #expect(veryLate.effects == [.release(veryLate.handle)], "its sender has had that answer, or it could not be here")
    #expect(stage.server.refusals.total == 0)
  }

  @Test func aPushWhoseNodeIsCoveredIsDropped() {
    var stage = ServerStage()
    _ = stage.push(1, 0, worker: 0)
    let covered = stage.push(0, 1, worker: 1)
    #expect(covered.effects == [.release(covered.handle)])
    #expect(stage.server.duplicates == 1)
    _ = stage.push(1, 1, worker: 2)
    #expect(stage.handle(.applied(chunk: 0)).answers.map(\.worker).sorted() == [0, 1, 2])
  }

  @Test func aNodeReplacesWhatItPartlyCovers() {
    var stage = ServerStage()
    let part = stage.push(0, 1, worker: 1)
    let other = stage.push(0, 2, worker: 2)
    let whole = stage.push(1, 0, worker: 0)
    #expect(whole.effects == [.release(part.handle)], "only what it covers")
    let root = stage.push(2, 0, worker: 0)
    #expect(Set(root.effects.released) == [other.handle, whole.handle])
    #expect(root.effects.applied.map(\.gradient) == [root.handle])
  }

  @Test func anEmptyShardIsSkipped() {
    // Steps of two samples over four shards: shards 1 and 3 have one each.
    var stage = ServerStage(samples: 2, batch: 2)
    let empty = stage.push(0, 0)
    #expect(empty.effects.refusals == [.misplaced] && empty.effects.released == [empty.handle])
    let first = stage.push(0, 1)
    #expect(first.effects.isEmpty)
    let second = stage.push(0, 3, worker: 2)
    #expect(second.effects.sums.map { Array($0.prefix(2)) } == [[first.handle, second.handle]])
    #expect(second.effects.applied.map(\.samples) == [2])
    #expect(second.effects.applied.map(\.shards) == [2])
  }

  @Test func aStepThatHasNotBegunIsRefused() {
    var stage = ServerStage()
    let early = stage.push(step: 1, 0, 0)
    #expect(early.effects.refusals == [.misplaced] && early.effects.released == [early.handle])
    #expect(stage.server.refusals[.misplaced] == 1)
    let beyond = stage.push(step: UInt64(stage.view.rules.steps), 0, 0)
    #expect(beyond.effects.refusals == [.misplaced] && beyond.effects.released == [beyond.handle])
    let far = stage.push(step: .max, 0, 0)
    #expect(far.effects.refusals == [.misplaced])
  }

  @Test func aNodeOfNoTreeIsRefused() {
    var stage = ServerStage()
    for (level, index) in [(0, 4), (3, 0), (62, 1), (255, UInt32.max)] as [(UInt8, UInt32)] {
      let push = stage.push(level, index)
      #expect(push.effects.refusals == [.misplaced] && push.effects.released == [push.handle])
    }
  }

  @Test func aPullWaitsForItsVersion() {
    var stage = ServerStage()
    #expect(stage.pull(version: 0).answers == [Answer(worker: 0, version: 0)])
    #expect(stage.pull(version: 1).isEmpty)
    #expect(stage.pull(version: 1).isEmpty, "asked twice")
    #expect(stage.pull(version: 2, worker: 1).isEmpty)
    let answers = close(&stage, step: 0).answers
    #expect(answers.filter { $0.worker == 0 } == [Answer(worker: 0, version: 1)])
    // Worker 1 is answered for its push, and again for its pull one step later.
    #expect(answers.filter { $0.worker == 1 } == [Answer(worker: 1, version: 1)])
    #expect(close(&stage, step: 1).answers.filter { $0.worker == 1 } == [Answer(worker: 1, version: 2)])
  }

  @Test func aPullPastTheLastVersionIsRefused() {
    var stage = ServerStage()
    let last = stage.view.rules.finalVersion
    #expect(stage.pull(version: last).isEmpty)
    #expect(stage.pull(version: last + 1).refusals == [.misplaced])
    #expect(stage.pull(version: .max).refusals == [.misplaced])
    #expect(stage.server.refusals[.misplaced] == 2)
  }

  @Test func theLastUpdateIsReportedOnce() {
    var stage = ServerStage(samples: 8, batch: 8)
    let mine = stage.view.servers[0].chunks
    let steps = UInt64(stage.view.rules.steps)
    var finished = 0
    for step in 0..<steps {
      for chunk in mine {
        _ = stage.push(step: step, 2, 0, chunk: chunk)
        let messages = stage.handle(.applied(chunk: Int(chunk))).messages
        finished += messages.count { if case .finished = $0 { true } else { false } }
        #expect(finished == (step == steps - 1 && chunk == mine.last ? 1 : 0))
      }
    }
    #expect(finished == 1)
  }
}

import ParameterServer
import Testing

/// Segments, rounds and cuts.
@Suite struct JobRulesTests {
  @Test func aStepBelongsToTheLastSegmentThatHasBegun() {
    let rules = Job.rules(.sync, then: [(2, .async), (5, .ssp(3))])
    #expect(
      (0..<8).map { rules.consistency(ofStep: $0) }.map(\.description) == [
        "sync", "sync", "async", "async", "async", "ssp:3", "ssp:3", "ssp:3",
      ])
    #expect(rules.segment(ofStep: 4).firstStep == 2)
  }

  @Test func roundsEndWithTheirSegmentAndTheJob() {
    let rules = Job.rules(.sync, then: [(1, .local(3)), (6, .local(2))], steps: 9)
    #expect(
      (0..<9).map { rules.round(ofStep: $0) } == [
        0..<1, 1..<4, 1..<4, 1..<4, 4..<6, 4..<6, 6..<8, 6..<8, 8..<9,
      ])
  }

  @Test func aRoundHasTheSamplesOfItsSteps() {
    // Epochs of 20 samples in steps of 8, 8 and 4.
    let rules = Job.rules(.local(3), samples: 20)
    #expect(rules.samples(ofRound: 1, under: node(2, 0)) == 20 && rules.samples(ofRound: 0, under: node(0, 3)) == 5)
    let small = Job.rules(.local(2), samples: 9)
    #expect(small.occupiedShards(ofRound: 0) == 4, "its fullest step counts")
    #expect(Job.rules(samples: 9).occupiedShards(ofRound: 1) == 1)
  }

  @Test func cutsAreWhereAMultipleIsCrossed() {
    let rules = Job.rules(every: 3)
    let cuts = (0..<8).filter { rules.isCut(from: $0, to: $0 + 1) }.map { $0 + 1 }
    #expect(cuts == [3, 6, 8])
    #expect(rules.isCut(from: 2, to: 4) && !rules.isCut(from: 3, to: 5), "rounds may step over it")
    #expect((0..<8).filter { Job.rules().isCut(from: $0, to: $0 + 1) } == [7])
  }

  @Test func aSwitchDropsWhatWasPlannedLater() {
    let rules = Job.rules(.sync, then: [(2, .async), (5, .ssp(3))])
    #expect(rules.switched(to: .backup(1), fromStep: 3)?.segments.map(\.firstStep) == [0, 2, 3])
    #expect(rules.switched(to: .async, fromStep: 2)?.segments.map(\.firstStep) == [0, 2])
    #expect(rules.switched(to: .backup(4), fromStep: 3) == nil, "of four shards one must come")
  }

  @Test func payloadsHoldTheOptimisersStateInLocalMode() {
    let rules = JobRules(
      schedule: Job.rules().schedule, steps: 4, chunks: ChunkTable(elements: 16, buffers: 16, chunkElements: 16)!,
      segments: [.init(firstStep: 0, consistency: .local(2)), .init(firstStep: 2, consistency: .sync)], slots: 2)!
    #expect(rules.payloadBytes(ofChunk: 0, step: 1) == 192 && rules.payloadBytes(ofChunk: 1, step: 1) == 64)
    #expect(rules.payloadBytes(ofChunk: 0, step: 2) == 64 && rules.payloadBytes(ofChunk: 0, step: 4) == 64)
  }

  @Test func unitsAreNumberedStepAfterStep() {
    let rules = Job.rules(samples: 9)
    #expect(rules.units == 32 && rules.unit(7) == (1, 3) && rules.unit(step: 1, shard: 3) == 7)
    // The second step of an epoch of nine samples has one, in the last shard.
    #expect((4..<8).map { rules.isEmpty(unit: $0) } == [true, true, true, false])
  }

  private func rules(steps: Int, _ segments: [JobRules.Segment], slots: Int = 0, every: Int? = nil) -> JobRules? {
    let rules = Job.rules()
    return JobRules(
      schedule: rules.schedule, steps: steps, chunks: rules.chunks, segments: segments, slots: slots,
      checkpointEvery: every)
  }

  @Test func rulesThatCannotBeAreNone() {
    let sync = JobRules.Segment(firstStep: 0, consistency: .sync)
    #expect(rules(steps: 1, [sync]) != nil)
    #expect(rules(steps: 0, [sync]) == nil && rules(steps: 1 << 41, [sync]) == nil && rules(steps: 1, []) == nil)
    #expect(rules(steps: 9, [.init(firstStep: 1, consistency: .sync)]) == nil, "nothing is said of step 0")
    #expect(rules(steps: 9, [sync, .init(firstStep: 0, consistency: .async)]) == nil)
    for consistency in [Consistency.backup(4), .backup(0), .ssp(0), .ssp(1025), .local(0), .local(-1)] {
      #expect(rules(steps: 9, [.init(firstStep: 0, consistency: consistency)]) == nil, "\(consistency)")
    }
    #expect(rules(steps: 9, [sync], slots: 9) == nil && rules(steps: 9, [sync], slots: -1) == nil)
    #expect(rules(steps: 9, [sync], every: 0) == nil)
  }

  @Test func aPlanEndsWithTheEpochsOrTheSteps() {
    var plan = CoordinatorBench.plan()
    plan.epochs = 3
    plan.maximumSteps = nil
    #expect(plan.rules(samples: 20)?.steps == 9)
    plan.maximumSteps = 5
    #expect(plan.rules(samples: 20)?.steps == 5)
    #expect(plan.rules(samples: 0) == nil)
    plan.epochs = .max
    #expect(plan.rules(samples: 20)?.steps == 5)
    plan.maximumSteps = nil
    #expect(plan.rules(samples: 20) == nil)
  }
}

@Suite struct ConsistencyTests {
  @Test(arguments: ["sync", "async", "ssp:1", "ssp:1024", "backup:3", "local:8"])
  func wordsAreReadAsTheyAreWritten(word: String) {
    #expect(Consistency(word)?.description == word)
  }

  @Test(arguments: [
    "", "Sync", "sync:1", "async:", "ssp", "ssp:", "ssp:0", "ssp:-1", "ssp:+3", "ssp:03", "ssp:1025", "ssp:1:2",
    "local:x",
    "backup: 1", "ssp:99999999999999999999", ":3",
  ]) func otherWordsSayNothing(word: String) {
    #expect(Consistency(word) == nil)
  }

  @Test func whatFollowsFromAMode() {
    #expect(Consistency.allOfThem.filter(\.isSummed) == [.sync, .backup(2), .local(4)])
    #expect(Consistency.allOfThem.filter(\.isLeased) == [.async])
    #expect(Consistency.allOfThem.map(\.stepsPerRound) == [1, 1, 1, 1, 4])
    #expect(Consistency.allOfThem.map(\.sparedShards) == [0, 0, 0, 2, 0])
    #expect(Consistency.allOfThem.map(\.slack) == [0, 3, 0, 0, 0])
  }
}

extension Consistency {
  fileprivate static let allOfThem: [Consistency] = [.sync, .ssp(3), .async, .backup(2), .local(4)]
}

import ParameterServer
import Testing

@Suite struct BatchScheduleTests {
  private func schedule(_ samples: Int, _ batch: Int, _ shards: Int) throws -> BatchSchedule {
    let tree = try #require(ShardTree(shards: shards))
    return try #require(BatchSchedule(samples: samples, batch: batch, tree: tree))
  }

  @Test func everySampleComesOnceInEveryEpoch() throws {
    for samples in 1...25 {
      for batch in [1, 2, 3, 5, 8, 12, 24, 25, 26, 100] {
        for shards in [1, 2, 4, 8, 32] {
          let schedule = try schedule(samples, batch, shards)
          let steps = stride(from: 0, to: samples, by: batch).map { $0..<min($0 + batch, samples) }
          #expect(schedule.stepsPerEpoch == steps.count)
          for step in 0..<3 * steps.count {
            let expected = steps[step % steps.count]
            #expect(schedule.epoch(ofStep: step) == step / steps.count)
            #expect(schedule.positions(ofStep: step) == expected)
            let parts = (0..<shards).map { schedule.positions(ofStep: step, shard: $0) }
            #expect(parts.flatMap { Array($0) } == Array(expected))
            // shard v of V has ⌊vn/V⌋ ..< ⌊(v+1)n/V⌋ of the step's n
            let count = expected.count
            #expect(parts.enumerated().allSatisfy { $1.count == ($0 + 1) * count / shards - $0 * count / shards })
            #expect(schedule.occupiedShards(ofStep: step) == parts.count { !$0.isEmpty })
            #expect(parts.allSatisfy { $0.count <= schedule.largestShard })
          }
          let largest = (0..<steps.count).flatMap { step in
            (0..<shards).map { schedule.positions(ofStep: step, shard: $0).count }
          }
          #expect(schedule.largestShard == largest.max(), "\(samples) \(batch) \(shards)")
        }
      }
    }
  }

  @Test func aNodeHasItsShardsSamples() throws {
    let schedule = try schedule(21, 9, 8)
    let tree = schedule.tree
    for step in 0..<schedule.stepsPerEpoch {
      for lower in 0..<8 {
        for node in tree.nodes(covering: lower..<8) {
          let samples = node.shards.reduce(0) { $0 + schedule.positions(ofStep: step, shard: $1).count }
          #expect(schedule.sampleCount(ofStep: step, under: node) == samples)
        }
      }
    }
  }

  @Test func whatHasNoStepIsRefused() throws {
    let tree = try #require(ShardTree(shards: 2))
    for (samples, batch) in [(0, 1), (1, 0), (-1, 4), (4, -1), (1, .max), (.max, 1)] {
      #expect(BatchSchedule(samples: samples, batch: batch, tree: tree) == nil, "\(samples), \(batch)")
    }
  }
}

@Suite struct JobRulesTests {
  private func rules(
    _ consistency: Consistency, samples: Int, batch: Int, shards: Int, steps: Int
  ) throws -> JobRules? {
    let tree = try #require(ShardTree(shards: shards))
    let schedule = try #require(BatchSchedule(samples: samples, batch: batch, tree: tree))
    let chunks = try #require(ChunkTable(elements: 100, servers: 1))
    return JobRules(consistency: consistency, schedule: schedule, steps: steps, chunks: chunks)
  }

  @Test func theFinalVersionCountsEveryApply() throws {
    for samples in 1...14 {
      for batch in 1...15 {
        for shards in [1, 2, 4, 8] {
          for steps in 1...9 {
            let asyncRules = try rules(.async, samples: samples, batch: batch, shards: shards, steps: steps)
            let async = try #require(asyncRules)
            let occupied = (0..<async.units).count { unit in
              let (step, shard) = async.unit(unit)
              return !async.schedule.positions(ofStep: step, shard: shard).isEmpty
            }
            #expect(async.finalVersion == UInt64(occupied), "\(samples) \(batch) \(shards) \(steps)")
            let syncRules = try rules(.sync, samples: samples, batch: batch, shards: shards, steps: steps)
            let sync = try #require(syncRules)
            #expect(sync.finalVersion == UInt64(steps))
          }
        }
      }
    }
  }

  @Test func schedulesCountAStepForAllShards() throws {
    let asyncRules = try rules(.async, samples: 20, batch: 10, shards: 4, steps: 4)
    let async = try #require(asyncRules)
    #expect((0..<16).map { async.step(ofApply: $0) } == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3])
    #expect(async.step(ofApply: 99) == 3)
    let syncRules = try rules(.sync, samples: 20, batch: 10, shards: 4, steps: 4)
    let sync = try #require(syncRules)
    #expect((0..<4).map { sync.step(ofApply: $0) } == [0, 1, 2, 3])
  }

  @Test func stepsAndEpochsMustBeCountable() throws {
    #expect(try rules(.sync, samples: 20, batch: 10, shards: 4, steps: 0) == nil)
    #expect(try rules(.sync, samples: 20, batch: 10, shards: 4, steps: -1) == nil)
    #expect(try rules(.sync, samples: 1 << 40, batch: 1, shards: 4, steps: 1 << 40) != nil)
    #expect(try rules(.sync, samples: 1 << 40, batch: 1, shards: 4, steps: 1 << 40 + 1) == nil)
    #expect(try rules(.async, samples: 1, batch: 1, shards: 1, steps: JobRules.maximumEpochs) != nil)
    #expect(try rules(.async, samples: 1, batch: 1, shards: 1, steps: JobRules.maximumEpochs + 1) == nil)
  }

  @Test func aPlanEndsWithTheEpochsOrTheSteps() {
    var settings = ClusterSettings()
    settings.samples = 20
    settings.batch = 8
    settings.epochs = 3
    #expect(settings.plan.rules(samples: 20)?.steps == 9)
    settings.maximumSteps = 5
    #expect(settings.plan.rules(samples: 20)?.steps == 5)
    settings.maximumSteps = 50
    #expect(settings.plan.rules(samples: 20)?.steps == 9)
    #expect(settings.plan.rules(samples: 0) == nil)
    settings.epochs = .max
    #expect(settings.plan.rules(samples: 20)?.steps == 50)
    settings.maximumSteps = nil
    #expect(settings.plan.rules(samples: 20) == nil)
  }
}

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

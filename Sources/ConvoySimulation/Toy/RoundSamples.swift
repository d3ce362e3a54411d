import ParameterServer

/// Which samples some shards have in a round: looked up once for all chunks.
struct RoundSamples {
  private let steps: Range<Int>
  private let shards: Range<Int>
  /// Shard after shard, of each its steps.
  private let positions: [Range<Int>]
  /// Whether each shard trains by itself.
  private let isLocal: Bool

  init(steps: Range<Int>, shards: Range<Int>, consistency: Consistency, schedule: BatchSchedule) {
    self.steps = steps
    self.shards = shards
    isLocal = consistency.stepsPerRound > 1
    var positions: [Range<Int>] = []
    positions.reserveCapacity(shards.count * steps.count)
    for shard in shards {
      for step in steps { positions.append(schedule.positions(ofStep: step, shard: shard)) }
    }
    self.positions = positions
  }

  /// What one shard adds to a round's sum of a chunk; nil where it has no sample.
  func sum(_ model: ToyModel, shard: Int, chunk: Int, digest: UInt64, parameters: UInt64) -> UInt64? {
    let first = (shard - shards.lowerBound) * steps.count
    var trained: UInt64?
    for step in steps {
      let samples = positions[first + step - steps.lowerBound]
      guard !samples.isEmpty else { continue }
      let gradient = model.gradient(step: step, shard: shard, chunk: chunk, samples: samples, digest: digest)
      guard isLocal else { return gradient }
      trained = model.trained(trained ?? parameters, by: gradient)
    }
    return trained
  }
}

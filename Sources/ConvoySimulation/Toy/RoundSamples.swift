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

  /// What some of the shards add to a round's sum of a chunk, halved until one is left, and those that have a sample as
  /// bits; no sum where none has.
  func total(
    _ model: ToyModel, of shards: Range<Int>, chunk: Int, digest: UInt64, parameters: UInt64
  ) -> (sum: UInt64?, shards: UInt64) {
    if shards.count == 1 {
      let shard = shards.lowerBound
      let own = sum(model, shard: shard, chunk: chunk, digest: digest, parameters: parameters)
      return (own, own == nil ? 0 : 1 << UInt64(shard))
    }
    let middle = shards.lowerBound + shards.count / 2
    let left = total(
      model, of: shards.lowerBound..<middle, chunk: chunk, digest: digest, parameters: parameters)
    let right = total(
      model, of: middle..<shards.upperBound, chunk: chunk, digest: digest, parameters: parameters)
    let both = left.shards | right.shards
    guard let first = left.sum, let second = right.sum else { return (left.sum ?? right.sum, both) }
    return (model.sum(first, second), both)
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

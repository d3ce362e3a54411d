/// Which samples belong to which step and shard of a job.
///
/// An epoch of N samples in global batches of B has ⌈N/B⌉ steps; the last is smaller when B does not divide N.
/// Of a step with n samples, shard v of V takes the positions `v·n/V ..< (v+1)·n/V` (rounded down) of the step.
public struct BatchSchedule: Hashable, Sendable {
  /// Number of training samples (N).
  public let samples: Int
  /// Samples of a full step (B).
  public let batch: Int
  /// The tree over the step's shards (V of them).
  public let tree: ShardTree
  /// Steps of an epoch.
  public let stepsPerEpoch: Int
  /// The same, to be divided by: every message asks for its step's samples.
  private let epochDivisor: Divisor

  /// A schedule, or nil where there is no sample or no room in a batch.
  public init?(samples: Int, batch: Int, tree: ShardTree) {
    guard samples > 0, batch > 0, batch <= 1 << 40, samples <= 1 << 40 else { return nil }
    self.samples = samples
    self.batch = batch
    self.tree = tree
    stepsPerEpoch = (samples + batch - 1) / batch
    epochDivisor = Divisor(UInt64(stepsPerEpoch))
  }

  /// The epoch of a step, from 0.
  public func epoch(ofStep step: Int) -> Int { step / stepsPerEpoch }

  /// The positions of a step's samples within the order of its epoch.
  public func positions(ofStep step: Int) -> Range<Int> {
    let first = Int(epochDivisor.divide(UInt64(step)).remainder) * batch
    return first..<min(first + batch, samples)
  }

  /// The positions of a shard's samples within the order of the step's epoch.
  public func positions(ofStep step: Int, shard: Int) -> Range<Int> {
    let step = positions(ofStep: step)
    let lower = step.lowerBound + (shard * step.count) >> tree.height
    return lower..<step.lowerBound + ((shard + 1) * step.count) >> tree.height
  }

  /// Number of samples of a step under a node of the tree.
  public func sampleCount(ofStep step: Int, under node: ShardNode) -> Int {
    let count = positions(ofStep: step).count
    let shards = node.shards
    return (shards.upperBound * count) >> tree.height - (shards.lowerBound * count) >> tree.height
  }

  /// Number of the step's shards that hold a sample.
  public func occupiedShards(ofStep step: Int) -> Int {
    min(positions(ofStep: step).count, tree.shards)
  }

  /// Most samples that a shard can have: what a worker's engine is compiled for.
  public var largestShard: Int { (min(batch, samples) + tree.shards - 1) / tree.shards }
}

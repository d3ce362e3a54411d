/// When a server applies what workers push.
public enum Consistency: UInt8, Hashable, Sendable {
  /// Every step applies the sum of all its shards; workers read the same version.
  case sync = 1
  /// Every push is applied as it comes.
  case async = 2
}

/// What the state machines know of a job; everything else about it is opaque to them.
public struct JobRules: Hashable, Sendable {
  /// When pushes are applied.
  public let consistency: Consistency
  /// Samples, steps and shards.
  public let schedule: BatchSchedule
  /// Steps of the whole job.
  public let steps: Int
  /// The cut of the flat vectors.
  public let chunks: ChunkTable

  /// Most epochs of a job: what an epoch's number on the wire can count.
  public static let maximumEpochs = Int(UInt32.max)

  /// Rules, or nil where the job has no step, or more steps or epochs than can be counted.
  public init?(consistency: Consistency, schedule: BatchSchedule, steps: Int, chunks: ChunkTable) {
    guard steps > 0, steps <= 1 << 40, schedule.epoch(ofStep: steps - 1) < Self.maximumEpochs else { return nil }
    self.consistency = consistency
    self.schedule = schedule
    self.steps = steps
    self.chunks = chunks
  }

  /// The version that a chunk has when the job is over: its number of applies.
  ///
  /// In sync mode one for each step; otherwise one for each shard that holds a sample.
  public var finalVersion: UInt64 {
    switch consistency {
    case .sync: UInt64(steps)
    case .async: UInt64(occupiedUnits)
    }
  }

  /// Units of work outside sync mode: the shards of all steps, numbered step after step.
  public var units: Int { steps * schedule.tree.shards }

  private var occupiedUnits: Int {
    let perEpoch = schedule.stepsPerEpoch
    let full = schedule.occupiedShards(ofStep: 0)
    // Every step of an epoch but the last has a full batch.
    let short = full - schedule.occupiedShards(ofStep: perEpoch - 1)
    return steps * full - steps / perEpoch * short
  }

  /// The step and shard of a unit.
  public func unit(_ unit: Int) -> (step: Int, shard: Int) {
    (unit / schedule.tree.shards, unit % schedule.tree.shards)
  }

  /// The step that the n-th apply of a chunk belongs to, for schedules: outside sync a step is V applied pushes.
  public func step(ofApply version: UInt64) -> Int {
    switch consistency {
    case .sync: Int(version)
    case .async: min(Int(version) / schedule.tree.shards, steps - 1)
    }
  }
}

/// What a state of a chunk is of, beside its floats: enough to go on from it.
public struct ChunkPosition: Hashable, Sendable {
  /// The chunk.
  public let chunk: UInt32
  /// Its version: the number of updates.
  public let version: UInt64
  /// Steps that are closed: all their shards are applied, or dropped.
  public let closed: UInt64
  /// Units beyond the closed steps that are applied, outside summed modes.
  public let covered: UnitSet
  /// The version before, where its values are held too; nil where they are not.
  public let previous: Previous?
  /// The scale of the newest update, where the job clips: as long as another chunk's update of that step may need it.
  public let scale: UInt64?

  /// The version before the one that a position is of.
  public struct Previous: Hashable, Sendable {
    /// Its number.
    public let version: UInt64
    /// Steps that were closed then.
    public let closed: UInt64

    /// A version before.
    public init(version: UInt64, closed: UInt64) {
      self.version = version
      self.closed = closed
    }
  }

  /// A position as stated.
  public init(
    chunk: UInt32, version: UInt64, closed: UInt64, covered: UnitSet = UnitSet(), previous: Previous? = nil,
    scale: UInt64? = nil
  ) {
    self.previous = previous
    self.scale = scale
    self.chunk = chunk
    self.version = version
    self.closed = closed
    self.covered = covered
  }
}

extension ChunkPosition {
  /// Whether a job of these rules can come to it.
  func isSound(_ rules: JobRules) -> Bool {
    Int(chunk) < rules.chunks.count && closed <= UInt64(rules.steps) && rules.contains(covered)
      && version <= Self.largestVersion(closed: closed, covered: covered, rules)
      && previous.map { $0.version < version && $0.closed <= closed } ?? true
  }

  /// The most updates that a chunk can have seen where so many steps are closed: each closes a step or covers a unit.
  static func largestVersion(closed: UInt64, covered: UnitSet, _ rules: JobRules) -> UInt64 {
    closed * UInt64(rules.schedule.tree.shards) + UInt64(covered.count)
  }
}

extension Update {
  /// Whether a job of these rules can make it.
  func isSound(_ rules: JobRules) -> Bool {
    Int(chunk) < rules.chunks.count && closed <= UInt64(rules.steps) && version <= UInt64(rules.units)
      && step < UInt64(rules.steps) && (unit == nil) == (kind != .single)
      && unit.map { $0 < UInt64(rules.units) } ?? true && basis < version && staleness < version
      && worker.map { $0 < Bounds.members } ?? true && Int(shards) <= rules.schedule.tree.shards
      && samples <= UInt64(rules.schedule.batch).times(UInt64(rules.round(ofStep: Int(step)).count))
      && (scale != nil) == (kind == .summed && rules.awaitsScale(chunk: Int(chunk), step: Int(step)))
  }

  /// Bytes of its gradient.
  func payloadBytes(_ rules: JobRules) -> Int {
    kind == .single ? rules.chunks.bytes(of: Int(chunk)) : rules.payloadBytes(ofChunk: Int(chunk), step: Int(step))
  }
}

/// How an update is made of what was pushed.
public enum UpdateKind: UInt8, Hashable, Sendable {
  /// A step of the optimiser by the sum of a step's shards.
  case summed = 1
  /// A step of the optimiser by one shard's gradient.
  case single = 2
  /// The mean of what shards trained by themselves: parameters and optimiser state.
  case averaged = 3
}

/// One update of a chunk: what a primary does and its replica repeats.
public struct Update: Hashable, Sendable {
  /// The chunk.
  public let chunk: UInt32
  /// The version that it becomes.
  public let version: UInt64
  /// Steps that are closed with it.
  public let closed: UInt64
  /// The unit that it applies, outside summed modes.
  public let unit: UInt64?
  /// How it is made.
  public let kind: UpdateKind
  /// The step that schedules count.
  public let step: UInt64
  /// Applies between what the gradient was computed from and now: 0 where a step's shards are summed.
  public let staleness: UInt64
  /// The version that the gradient was computed from.
  public let basis: UInt64
  /// The number of the worker whose gradient it is; nil where it is everyone's.
  public let worker: UInt32?
  /// Samples that a sum over samples is divided by.
  public let samples: UInt64
  /// Shards that hold a sample: what a sum over shards is divided by.
  public let shards: UInt32
  /// What the mean is multiplied by, as the bits of a double; nil where nothing is clipped, or it was before.
  public let scale: UInt64?

  /// An update as stated.
  public init(
    chunk: UInt32, version: UInt64, closed: UInt64, unit: UInt64?, kind: UpdateKind, step: UInt64, staleness: UInt64,
    basis: UInt64, worker: UInt32?, samples: UInt64, shards: UInt32, scale: UInt64? = nil
  ) {
    self.chunk = chunk
    self.version = version
    self.closed = closed
    self.unit = unit
    self.kind = kind
    self.step = step
    self.staleness = staleness
    self.basis = basis
    self.worker = worker
    self.samples = samples
    self.shards = shards
    self.scale = scale
  }

  /// The same update with a scale.
  func scaled(by scale: UInt64) -> Update {
    Update(
      chunk: chunk, version: version, closed: closed, unit: unit, kind: kind, step: step, staleness: staleness,
      basis: basis, worker: worker, samples: samples, shards: shards, scale: scale)
  }
}

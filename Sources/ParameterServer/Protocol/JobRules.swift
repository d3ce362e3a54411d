/// What the state machines know of a job; everything else about it is opaque to them.
public struct JobRules: Hashable, Sendable {
  /// Steps from one on that have one consistency, up to the next segment.
  public struct Segment: Hashable, Sendable {
    /// Its first step.
    public let firstStep: Int
    /// When pushes are applied.
    public let consistency: Consistency

    /// A segment as stated.
    public init(firstStep: Int, consistency: Consistency) {
      self.firstStep = firstStep
      self.consistency = consistency
    }
  }

  /// The rules in one place: they are handed on with every event, and a reference is copied cheaply.
  private final class Statement: Sendable {
    struct Fields: Hashable, Sendable {
      let schedule: BatchSchedule
      let steps: Int
      let chunks: ChunkTable
      let segments: [Segment]
      let slots: Int
      let checkpointEvery: Int?
      let maximumStaleness: UInt64?
      let clipsNorm: Bool
    }

    let fields: Fields
    let leasesWork: Bool
    /// Whether every step is a round of its own.
    let roundsAreSteps: Bool
    /// The segment of all steps, where there is one alone.
    let only: Segment?

    init(_ fields: Fields) {
      self.fields = fields
      leasesWork = fields.segments.contains { $0.consistency.isLeased }
      roundsAreSteps = fields.segments.allSatisfy { $0.consistency.stepsPerRound == 1 }
      only = fields.segments.count == 1 ? fields.segments[0] : nil
    }
  }

  private let statement: Statement

  /// Samples, steps and shards.
  public var schedule: BatchSchedule { statement.fields.schedule }
  /// Steps of the whole job.
  public var steps: Int { statement.fields.steps }
  /// The cut of the flat vectors.
  public var chunks: ChunkTable { statement.fields.chunks }
  /// The consistency of each step: segments in order, the first from step 0.
  public var segments: [Segment] { statement.fields.segments }
  /// Vectors of optimiser state beside the parameters: what travels with them in local mode.
  public var slots: Int { statement.fields.slots }
  /// Steps between two checkpoints; nil for none but the last.
  public var checkpointEvery: Int? { statement.fields.checkpointEvery }
  /// Applies past which a push outside sync is refused; nil for no bound.
  public var maximumStaleness: UInt64? { statement.fields.maximumStaleness }
  /// Whether what is summed waits for the norm of the whole gradient, and is scaled by it.
  public var clipsNorm: Bool { statement.fields.clipsNorm }
  /// Whether the work of some step is leased.
  var leasesWork: Bool { statement.leasesWork }

  /// Most epochs of a job: the totals of each are kept, and written down.
  public static let maximumEpochs = 1_000_000
  /// Most segments: how often the consistency may change.
  public static let maximumSegments = 1024
  /// Most vectors of optimiser state.
  public static let maximumSlots = 8

  /// Rules, or nil where the job has no step, or more steps or epochs than can be counted, or segments out of order, or
  /// chunks that cut the norm's blocks.
  public init?(
    schedule: BatchSchedule, steps: Int, chunks: ChunkTable, segments: [Segment], slots: Int = 0,
    checkpointEvery: Int? = nil, maximumStaleness: UInt64? = nil, clipsNorm: Bool = false
  ) {
    guard steps > 0, steps <= 1 << 40, schedule.epoch(ofStep: steps - 1) < Self.maximumEpochs,
      segments.first?.firstStep == 0, segments.count <= Self.maximumSegments,
      zip(segments, segments.dropFirst()).allSatisfy({ $0.firstStep < $1.firstStep }),
      segments.allSatisfy({ Self.isSound($0.consistency, shards: schedule.tree.shards) }),
      (0...Self.maximumSlots).contains(slots), checkpointEvery.map({ $0 > 0 && $0 <= 1 << 40 }) ?? true,
      !clipsNorm || chunks.keepsBlocks
    else { return nil }
    statement = Statement(
      Statement.Fields(
        schedule: schedule, steps: steps, chunks: chunks, segments: segments, slots: slots,
        checkpointEvery: checkpointEvery, maximumStaleness: maximumStaleness, clipsNorm: clipsNorm))
  }

  /// Whether two jobs have the same rules.
  public static func == (left: JobRules, right: JobRules) -> Bool {
    left.statement === right.statement || left.statement.fields == right.statement.fields
  }

  /// Hashes the rules.
  public func hash(into hasher: inout Hasher) { hasher.combine(statement.fields) }

  private static func isSound(_ consistency: Consistency, shards: Int) -> Bool {
    switch consistency {
    case .sync, .async: true
    case .ssp(let argument), .local(let argument): (1...Consistency.maximumArgument).contains(argument)
    case .backup(let spared): (1...Consistency.maximumArgument).contains(spared) && spared < shards
    }
  }

  /// The same rules with another consistency from a step on; what was planned for later steps is dropped.
  public func switched(to consistency: Consistency, fromStep step: Int) -> JobRules? {
    with(segments.filter { $0.firstStep < step } + [Segment(firstStep: step, consistency: consistency)])
  }

  /// The same rules with other segments, or nil where they are none.
  func with(_ segments: [Segment]) -> JobRules? {
    JobRules(
      schedule: schedule, steps: steps, chunks: chunks, segments: segments, slots: slots,
      checkpointEvery: checkpointEvery, maximumStaleness: maximumStaleness, clipsNorm: clipsNorm)
  }

  /// The segment of a step.
  public func segment(ofStep step: Int) -> Segment {
    if let only = statement.only { return only }
    let segments = segments
    var index = segments.count - 1
    while index > 0, segments[index].firstStep > step { index -= 1 }
    return segments[index]
  }

  /// When a step's pushes are applied.
  public func consistency(ofStep step: Int) -> Consistency { segment(ofStep: step).consistency }

  /// The steps that are exchanged together with a step: itself, or in local mode its round.
  public func round(ofStep step: Int) -> Range<Int> {
    if statement.roundsAreSteps { return step..<step + 1 }
    let segment = segment(ofStep: step)
    let length = segment.consistency.stepsPerRound
    guard length > 1 else { return step..<step + 1 }
    let first = step - (step - segment.firstStep) % length
    let limit = min(steps, segments.first { $0.firstStep > step }?.firstStep ?? steps)
    return first..<min(first + length, limit)
  }

  /// Number of samples under a node in the round of a step.
  public func samples(ofRound step: Int, under node: ShardNode) -> Int {
    let round = round(ofStep: step)
    let schedule = schedule
    guard round.count > 1 else { return schedule.sampleCount(ofStep: step, under: node) }
    return round.reduce(0) { $0 + schedule.sampleCount(ofStep: $1, under: node) }
  }

  /// Number of the shards that hold a sample in the round of a step.
  public func occupiedShards(ofRound step: Int) -> Int {
    if statement.roundsAreSteps { return schedule.occupiedShards(ofStep: step) }
    return round(ofStep: step).reduce(0) { max($0, schedule.occupiedShards(ofStep: $1)) }
  }

  /// Whether a checkpoint is due where a chunk has come from some closed steps to more.
  public func isCut(from earlier: Int, to closed: Int) -> Bool {
    if closed == steps { return true }
    guard let every = checkpointEvery else { return false }
    return closed / every > earlier / every
  }

  /// Bytes of a chunk's payload in the exchange of a step.
  public func payloadBytes(ofChunk chunk: Int, step: Int) -> Int {
    let bytes = chunks.bytes(of: chunk)
    guard case .local = consistency(ofStep: min(step, steps - 1)), chunks.kind(of: chunk) == .parameters else {
      return bytes
    }
    return bytes * (1 + slots)
  }

  /// Whether a chunk's update of a step waits for the scale that follows from the norm of the whole gradient. Elsewhere
  /// who computes a gradient has all of it, and clips it.
  public func awaitsScale(chunk: Int, step: Int) -> Bool {
    guard clipsNorm, chunks.kind(of: chunk) == .parameters else { return false }
    return switch consistency(ofStep: step) {
    case .sync, .backup: true
    case .ssp, .async, .local: false
    }
  }

  /// Units of work that can be leased: the shards of all steps, numbered step after step.
  public var units: Int { steps * schedule.tree.shards }

  /// The step and shard of a unit.
  public func unit(_ unit: Int) -> (step: Int, shard: Int) {
    (unit / schedule.tree.shards, unit % schedule.tree.shards)
  }

  /// The unit of a step's shard.
  public func unit(step: Int, shard: Int) -> Int { step * schedule.tree.shards + shard }

  /// Whether a unit holds no sample.
  public func isEmpty(unit: Int) -> Bool {
    let (step, shard) = self.unit(unit)
    return schedule.positions(ofStep: step, shard: shard).isEmpty
  }
}

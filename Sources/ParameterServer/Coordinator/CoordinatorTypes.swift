/// What a coordinator knows of its job before the members tell the rest.
public struct JobPlan: Hashable, Sendable {
  /// When pushes are applied, at first.
  public var consistency: Consistency
  /// Servers that the job wants.
  public var servers: Int
  /// Workers that the job begins with.
  public var workers: Int
  /// Whether each chunk has a replica on a second server.
  public var hasReplicas = false
  /// Whether faster workers are given more shards.
  public var rebalances = true
  /// The tree over a step's shards.
  public var tree: ShardTree
  /// Samples of a full step.
  public var batch: Int
  /// Epochs to train; whichever ends first of this and `maximumSteps`.
  public var epochs: Int
  /// Most steps to train; nil for no bound.
  public var maximumSteps: Int?
  /// Elements of the flat vector of parameters.
  public var elements: Int
  /// Elements of the flat vector of buffers; 0 of a network without any.
  public var buffers = 0
  /// Vectors of optimiser state for each parameter.
  public var slots = 0
  /// Steps between two checkpoints; nil for none but the last.
  public var checkpointEvery: Int?
  /// Milliseconds between two checkpoints; nil for none by time.
  public var checkpointInterval: UInt64?
  /// Applies past which a push outside sync is refused; nil for no bound.
  public var maximumStaleness: UInt64?
  /// Whether the gradient is clipped by its norm.
  public var clipsNorm = false
  /// Whether the job goes on from the newest checkpoint that is there.
  public var resumes = false
  /// Whether a job that goes on keeps the modes that its checkpoint's steps have, as somebody may have switched them:
  /// the plan's mode is the one that the job had before.
  public var keepsModes = false
  /// The job's settings as text, which every member is given.
  public var job: String
  /// The digests that members must agree with; `data` is empty where the coordinator reads no training data.
  public var digests: Digests

  /// A plan of the necessary; the rest is set afterwards.
  public init(
    consistency: Consistency, servers: Int, workers: Int, tree: ShardTree, batch: Int, epochs: Int,
    maximumSteps: Int?, elements: Int, job: String, digests: Digests
  ) {
    self.consistency = consistency
    self.servers = servers
    self.workers = workers
    self.tree = tree
    self.batch = batch
    self.epochs = epochs
    self.maximumSteps = maximumSteps
    self.elements = elements
    self.job = job
    self.digests = digests
  }

  /// The rules for so many training samples, or nil where they leave no step.
  public func rules(samples: Int) -> JobRules? {
    guard let schedule = BatchSchedule(samples: samples, batch: batch, tree: tree),
      let chunks = ChunkTable(elements: elements, buffers: buffers, servers: servers, keepsBlocks: clipsNorm)
    else { return nil }
    let (all, overflow) = schedule.stepsPerEpoch.multipliedReportingOverflow(by: epochs)
    let steps = min(overflow ? .max : all, maximumSteps ?? .max)
    return JobRules(
      schedule: schedule, steps: steps, chunks: chunks,
      segments: [JobRules.Segment(firstStep: 0, consistency: consistency)], slots: slots,
      checkpointEvery: checkpointEvery, maximumStaleness: maximumStaleness, clipsNorm: clipsNorm)
  }
}

/// A checkpoint as the coordinator knows it.
public struct CheckpointMark: Hashable, Sendable {
  /// Steps that are closed in it: its name.
  public let step: Int
  /// The version of every chunk in it: the number of updates.
  public let version: UInt64
  /// The rules that it was made under: how the job's steps were counted, and the consistency of each.
  public let rules: JobRules
  /// Units beyond the closed steps that are applied in it.
  public let covered: UnitSet

  /// A mark as stated.
  public init(step: Int, version: UInt64, rules: JobRules, covered: UnitSet) {
    self.step = step
    self.version = version
    self.rules = rules
    self.covered = covered
  }
}

/// What a coordinator writes down before it acts on it, so that its successor goes on from there.
public enum JournalRecord: Hashable, Sendable {
  /// A coordinator begins: its term, one more than its predecessor's.
  case term(UInt64)
  /// What the job's workers agree on: the engine's fingerprint, and the digest of the data set.
  case agreed(fingerprint: String, data: [UInt8])
  /// A view.
  case view(View)
  /// Where the leases of the view's era stand, beside those that workers hold: in the place of earlier records of leases.
  case leaseBook(LeaseStand)
  /// Units were leased to a worker.
  case leased(Member, Incarnation, Leases)
  /// A checkpoint is complete on disk.
  case checkpoint(CheckpointMark)
  /// The totals of the members who are gone: those who live report theirs again to a successor.
  case totals([EpochTotals], StalenessCounts = StalenessCounts())
  /// The last checkpoint is stored: nothing is left to do.
  case completed
}

/// What happens to a coordinator.
public enum CoordinatorEvent: Sendable {
  /// It starts.
  case started
  /// A message came, with its payload where it has one.
  case message(Envelope, from: Connection, payload: ReceivedPayload?)
  /// Bytes came that are no message.
  case unreadable(Refusal, from: Connection)
  /// The checkpoint that was ordered is complete on disk.
  case stored(step: Int)
  /// It could not be stored; the text says why. The job goes on.
  case notStored(step: Int, String)
  /// The state of a checkpoint is in memory: chunks can be sent. Nil where there is none that is good.
  indirect case loaded(CheckpointMark?)
  /// The launcher knows that the process of this name has ended.
  case ended(name: String)
  /// The time that was asked for has come.
  case timer
  /// Somebody stops the job.
  case interrupted
  /// Something went wrong in Runtime; the text says what.
  case failed(String, FailureKind = .failed)
}

/// What a coordinator wants done.
public enum CoordinatorEffect: Hashable, Sendable {
  /// Send a message; with the state of a chunk of the loaded checkpoint where one is named.
  case send(Envelope, to: Connection, restoring: Int?)
  /// Write a record down so that it lasts, before anything that follows.
  indirect case journal(JournalRecord)
  /// Keep the state of a chunk for the cut after so many closed steps, and let go of the payload.
  indirect case collect(ChunkPosition, cut: Int, payload: GradientHandle)
  /// Let go of what was kept for a cut.
  case abandon(cut: Int)
  /// Let go of a payload.
  case release(GradientHandle)
  /// Store the cut as a checkpoint while the job goes on, then say `stored` or `notStored`. The cut of the last step is
  /// kept until it is stored or given up: it may have to be stored once more.
  indirect case store(CheckpointMark)
  /// Load the newest good checkpoint of those that are stored, then say `loaded`.
  case load
  /// Tell the person who waits.
  indirect case report(CoordinatorReport)
  /// Say `timer` at this moment; replaces the one asked for before.
  case timer(Moment)
  /// The job is over: leave.
  case stop(StopReason)
}

/// Why a view came.
public enum ViewReason: Hashable, Sendable {
  /// The job begins.
  case begun
  /// A member joined.
  case joined(Member)
  /// A member was removed or left; the text says why.
  case removed(Member, String)
  /// Shards were moved to faster workers.
  case rebalanced
  /// Chunks were moved to servers that serve less than others.
  case respread
  /// Another consistency.
  case switched(Consistency)
  /// The job went back to its last checkpoint.
  case restored
}

/// What a coordinator tells the person who waits.
public enum CoordinatorReport: Hashable, Sendable {
  /// These members have not joined.
  case waiting(missing: [String])
  /// A member has joined.
  case joined(Member, name: String)
  /// A worker has computed its first shard, so long after it joined; whether training had begun when it did.
  case computes(Member, milliseconds: UInt64, isLate: Bool)
  /// Something was refused.
  case refused(Refusal)
  /// Members had heard a coordinator of this term, of which the journal does not tell.
  case outranked(by: UInt64)
  /// A member does not hear a server, for so long that somebody should know.
  case stalled(Stall)
  /// A view was made.
  case view(View, ViewReason)
  /// All members have the first view: training begins.
  case begun(View)
  /// All servers have a later view and workers were told, so many milliseconds after its reason was seen.
  case resumed(View, milliseconds: UInt64)
  /// A checkpoint is stored.
  case stored(step: Int)
  /// A checkpoint could not be stored.
  case notStored(step: Int, String)
  /// A cut makes no checkpoint: the one before is still being stored.
  case passedOver(cut: Int)
  /// How far the workers are.
  case progress(JobProgress)
  /// The last update was made.
  case trained(JobProgress)
}

extension JobProgress {
  /// The same of a job whose last step is made: members that have left no longer tell how far they are.
  public var completed: JobProgress {
    JobProgress(
      steps: totalSteps, totalSteps: totalSteps, samples: samples, epochs: epochs, shards: shards, staleness: staleness)
  }
}

/// How far a job is.
public struct JobProgress: Hashable, Sendable {
  /// Steps that every working worker has begun.
  public let steps: Int
  /// Steps of the job.
  public let totalSteps: Int
  /// Samples computed.
  public let samples: UInt64
  /// The workers' totals, summed, by epoch.
  public let epochs: [EpochTotals]
  /// Shards computed, all workers together.
  public let shards: UInt64
  /// How late what was applied one by one has come, all servers together.
  ///
  /// What a server counted after its last sign of life goes with it where it dies. A job that goes back to a checkpoint
  /// counts the pushes before and after.
  public let staleness: StalenessCounts

  /// Progress as stated.
  public init(
    steps: Int, totalSteps: Int, samples: UInt64, epochs: [EpochTotals], shards: UInt64,
    staleness: StalenessCounts = StalenessCounts()
  ) {
    self.steps = steps
    self.totalSteps = totalSteps
    self.samples = samples
    self.epochs = epochs
    self.shards = shards
    self.staleness = staleness
  }
}

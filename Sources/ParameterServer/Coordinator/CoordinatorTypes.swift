/// What a coordinator knows of its job before the members tell the rest.
public struct JobPlan: Hashable, Sendable {
  /// When pushes are applied.
  public let consistency: Consistency
  /// Servers that the job wants.
  public let servers: Int
  /// Workers that the job wants.
  public let workers: Int
  /// The tree over a step's shards.
  public let tree: ShardTree
  /// Samples of a full step.
  public let batch: Int
  /// Epochs to train; whichever ends first of this and `maximumSteps`.
  public let epochs: Int
  /// Most steps to train; nil for no bound.
  public let maximumSteps: Int?
  /// Elements of the flat vector of parameters.
  public let elements: Int
  /// Elements of the flat vector of buffers; 0 of a network without any.
  public let buffers: Int
  /// The job's settings as text, which every member is given.
  public let job: String
  /// The digests that members must agree with; `data` is empty where the coordinator reads no training data.
  public let digests: Digests

  /// A plan as stated.
  public init(
    consistency: Consistency, servers: Int, workers: Int, tree: ShardTree, batch: Int, epochs: Int,
    maximumSteps: Int?, elements: Int, buffers: Int = 0, job: String, digests: Digests
  ) {
    self.consistency = consistency
    self.servers = servers
    self.workers = workers
    self.tree = tree
    self.batch = batch
    self.epochs = epochs
    self.maximumSteps = maximumSteps
    self.elements = elements
    self.buffers = buffers
    self.job = job
    self.digests = digests
  }

  /// The rules for so many training samples, or nil where they leave no step.
  public func rules(samples: Int) -> JobRules? {
    guard let schedule = BatchSchedule(samples: samples, batch: batch, tree: tree),
      let chunks = ChunkTable(elements: elements, buffers: buffers, servers: servers)
    else { return nil }
    let (all, overflow) = schedule.stepsPerEpoch.multipliedReportingOverflow(by: epochs)
    let steps = min(overflow ? .max : all, maximumSteps ?? .max)
    return JobRules(consistency: consistency, schedule: schedule, steps: steps, chunks: chunks)
  }
}

/// What happens to a coordinator.
public enum CoordinatorEvent: Sendable {
  /// It starts.
  case started
  /// A message came, with its payload where it has one.
  case message(Envelope, from: Connection, payload: ReceivedPayload?)
  /// Bytes came that are no message.
  case unreadable(Refusal, from: Connection)
  /// The final parameters are stored.
  case stored
  /// The time that was asked for has come.
  case timer
  /// Somebody stops the job.
  case interrupted
  /// Something went wrong in Runtime, or a process is known to be dead; the text says what.
  case failed(String)
}

/// What a coordinator wants done.
public enum CoordinatorEffect: Hashable, Sendable {
  /// Send a message.
  case send(Envelope, to: Connection)
  /// Copy a payload into the final parameters or buffers, and let go of it.
  case collect(chunk: Int, payload: GradientHandle)
  /// Let go of a payload.
  case release(GradientHandle)
  /// Store the final parameters, then say `stored`.
  case store(JobRules)
  /// Tell the person who waits.
  case report(CoordinatorReport)
  /// Say `timer` at this moment; replaces the one asked for before.
  case timer(Moment)
  /// The job is over: leave.
  case stop(StopReason)
}

/// What a coordinator tells the person who waits.
public enum CoordinatorReport: Hashable, Sendable {
  /// These members have not joined.
  case waiting(missing: [String])
  /// A member has joined.
  case joined(Member, name: String)
  /// Something was refused.
  case refused(Refusal)
  /// All members have the view: training begins.
  case begun(View)
  /// How far the workers are.
  case progress(JobProgress)
  /// The last update was made.
  case trained(JobProgress)
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

  /// Progress as stated.
  public init(steps: Int, totalSteps: Int, samples: UInt64, epochs: [EpochTotals], shards: UInt64) {
    self.steps = steps
    self.totalSteps = totalSteps
    self.samples = samples
    self.epochs = epochs
    self.shards = shards
  }
}

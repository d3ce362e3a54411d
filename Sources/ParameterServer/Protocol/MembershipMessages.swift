/// SHA-256 digests that must agree before a process may work on a job.
public struct Digests: Hashable, Sendable {
  /// Of the program.
  public var build: [UInt8]
  /// Of the network's description.
  public var network: [UInt8]
  /// Of the job's settings.
  public var job: [UInt8]
  /// Of the data set; empty for a member that reads none.
  public var data: [UInt8]

  /// The digests as stated; each 32 bytes, or empty where it does not apply.
  public init(build: [UInt8], network: [UInt8], job: [UInt8], data: [UInt8]) {
    self.build = build
    self.network = network
    self.job = job
    self.data = data
  }
}

/// A process asks for a place.
public struct Hello: Hashable, Sendable {
  /// What it wants to be: server or worker.
  public let role: Role
  /// The name that it was started with; `worker.1` asks for that number; empty takes any.
  public let name: String

  /// A request for a place.
  public init(role: Role, name: String) {
    self.role = role
    self.name = name
  }
}

/// The place that a process was given, and the job.
public struct Welcome: Hashable, Sendable {
  /// Its place.
  public let member: Member
  /// The job's settings as text, opaque here.
  public let job: String

  /// A place in a job.
  public init(member: Member, job: String) {
    self.member = member
    self.job = job
  }
}

/// A member has read the job and its data and can start.
public struct Ready: Hashable, Sendable {
  /// What must agree.
  public let digests: Digests
  /// Number of training samples; 0 from a server, which reads none.
  public let samples: UInt64
  /// What decides the bits of a worker's gradients; empty from a server.
  public let engineFingerprint: String
  /// Where workers reach a server; empty from a worker.
  public let address: String

  /// A statement of what a member works with.
  public init(digests: Digests, samples: UInt64, engineFingerprint: String, address: String) {
    self.digests = digests
    self.samples = samples
    self.engineFingerprint = engineFingerprint
    self.address = address
  }
}

/// A worker's totals of one epoch: cumulative, so that a report that is lost or doubled changes nothing.
public struct EpochTotals: Hashable, Sendable {
  /// The epoch, from 0.
  public let epoch: UInt32
  /// Samples that it computed.
  public var samples: UInt64
  /// Sum of their losses.
  public var lossSum: Double
  /// Samples whose largest logit was the label's.
  public var correct: UInt64

  /// Totals as stated.
  public init(epoch: UInt32, samples: UInt64 = 0, lossSum: Double = 0, correct: UInt64 = 0) {
    self.epoch = epoch
    self.samples = samples
    self.lossSum = lossSum
    self.correct = correct
  }
}

/// A member lives, and how far it is.
public struct Progress: Hashable, Sendable {
  /// Steps that it has begun: the step that a worker computes plus one; the fewest closed steps of a server's chunks.
  public let steps: UInt64
  /// Shards that it has computed.
  public let shards: UInt64
  /// Milliseconds that it has computed.
  public let busy: UInt64
  /// Its totals of some epochs, at most `maximumEpochs`: the newest, or an older one that has grown.
  public var epochs: [EpochTotals]
  /// A server's chunks whose replica is not known to have the whole state; where it is 0, the replicas could serve.
  public let behind: UInt64
  /// What it refused since its start.
  public var refused: RefusedCounts
  /// How late what a server applied one by one has come, since it started; nothing from a worker.
  public let staleness: StalenessCounts
  /// Servers that it hears nothing of, at most `maximumWaits`.
  public var waits: [Wait]

  /// Most epochs of one report.
  public static let maximumEpochs = 2
  /// Most waits of one report.
  public static let maximumWaits = 16

  /// A report.
  public init(
    steps: UInt64, shards: UInt64, busy: UInt64 = 0, epochs: [EpochTotals] = [], behind: UInt64 = 0,
    refused: RefusedCounts = RefusedCounts(), staleness: StalenessCounts = StalenessCounts(), waits: [Wait] = []
  ) {
    self.waits = waits
    self.steps = steps
    self.shards = shards
    self.busy = busy
    self.epochs = epochs
    self.behind = behind
    self.refused = refused
    self.staleness = staleness
  }
}

/// A member leaves.
public struct Leaving: Hashable, Sendable {
  /// Why, for a person.
  public let text: String
  /// Whether the job can go on without it as if it had never been there: it was asked to leave, nothing failed.
  public let isOrderly: Bool
  /// What kind of failure it is where it is not orderly.
  public let kind: FailureKind
  /// Its last report.
  public let progress: Progress

  /// A goodbye.
  public init(text: String, isOrderly: Bool, kind: FailureKind = .failed, progress: Progress) {
    self.text = text
    self.isOrderly = isOrderly
    self.kind = kind
    self.progress = progress
  }
}

/// What a worker in a leased mode holds: said with every request, so that a lost message only costs time.
public struct LeaseRequest: Hashable, Sendable {
  /// The number of the newest grant that it has; 0 before the first.
  public let grant: UInt64
  /// Units of that and earlier grants that it has not finished, as ranges in order.
  public let held: UnitSet
  /// Whether it wants more.
  public let wantsMore: Bool

  /// A request.
  public init(grant: UInt64, held: UnitSet, wantsMore: Bool) {
    self.grant = grant
    self.held = held
    self.wantsMore = wantsMore
  }
}

/// Units of work, numbered step after step and shard after shard.
public struct Leases: Hashable, Sendable {
  /// Most units of one grant.
  public static let maximumUnits = 1024

  /// The number of the grant: one more than the worker's last.
  public let grant: UInt64
  /// The units.
  public let units: UnitSet

  /// A grant.
  public init(grant: UInt64, units: UnitSet) {
    self.grant = grant
    self.units = units
  }
}

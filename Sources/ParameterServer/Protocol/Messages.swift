/// A message with what every message states: its job, its view, and who sent it.
public struct Envelope: Hashable, Sendable {
  /// The job's secret.
  public let token: JobToken
  /// The view that the sender was in.
  public let view: ViewNumber
  /// The sender's place.
  public let sender: Member
  /// The life of the sender's process.
  public let incarnation: Incarnation
  /// What it says.
  public let message: Message

  /// A message of this sender.
  public init(token: JobToken, view: ViewNumber, sender: Member, incarnation: Incarnation, message: Message) {
    self.token = token
    self.view = view
    self.sender = sender
    self.incarnation = incarnation
    self.message = message
  }
}

/// What members say to each other. A payload of floats, where there is one, travels beside the message.
///
/// What is large and seldom is kept by reference, so that pushes and their answers are copied cheaply.
public enum Message: Hashable, Sendable {
  // To the coordinator.
  /// A process asks for a place.
  indirect case hello(Hello)
  /// A member has read the job and its data and can start.
  indirect case ready(Ready)
  /// A server works in the view that the envelope names; the most steps that a chunk of its has closed.
  case viewAccepted(closed: UInt64)
  /// A server was given chunks whose state it does not have.
  case stateLost(chunk: UInt32)
  /// A member lives, and how far a worker is.
  indirect case progress(Progress)
  /// A worker in a leased mode tells what it holds, and wants more.
  indirect case leaseRequest(LeaseRequest)
  /// A member leaves: before the job is over, and why; or because it was told to, its goodbye.
  indirect case leaving(Leaving)
  /// The state of a chunk at a cut, beside it as payload.
  indirect case snapshot(ChunkPosition)

  // From the coordinator.
  /// The place that a process was given, and the job.
  indirect case welcome(Welcome)
  /// A new view.
  indirect case view(View)
  /// The state that a chunk begins an era with, beside it as payload.
  indirect case restore(ChunkPosition)
  /// Units of work for a worker in a leased mode.
  indirect case leases(Leases)
  /// A cut. Workers, where pushes are applied one by one, mark the one of this number; servers, where they are summed,
  /// snapshot when so many steps are closed.
  case cut(UInt64)
  /// A snapshot of a chunk with so many closed steps has come.
  case snapshotTaken(chunk: UInt32, version: UInt64)
  /// The coordinator lives.
  case alive
  /// The job is over.
  indirect case stop(StopReason)

  // Between workers and servers.
  /// Asks for a chunk.
  case pull(Pull)
  /// A gradient for a chunk, or what else its round exchanges, beside it as payload.
  case push(Push)
  /// A worker has finished what came before a cut.
  case marker(UInt64)
  /// A chunk's parameters or buffers, beside it as payload.
  case parameters(Parameters)
  /// Where a chunk is: the answer to a pull of what is gone.
  case position(Parameters)

  // Between servers.
  /// An update for a replica, the gradient beside it as payload.
  indirect case replicate(Update)
  /// The state of a chunk for its replica, beside it as payload.
  indirect case replica(ChunkPosition)
  /// A replica has a version.
  case replicated(chunk: UInt32, version: UInt64)

  // Between a person's command and the coordinator.
  /// How does the job do?
  case statusRequest
  /// Another consistency, from a step on that the coordinator chooses.
  case setMode(Consistency)
  /// How the job does, as JSON.
  indirect case status(String)

  /// The answer to what cannot be accepted.
  indirect case refused(Refusal)
}

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
  public let epochs: [EpochTotals]

  /// Most epochs of one report.
  public static let maximumEpochs = 2

  /// A report.
  public init(steps: UInt64, shards: UInt64, busy: UInt64 = 0, epochs: [EpochTotals] = []) {
    self.steps = steps
    self.shards = shards
    self.busy = busy
    self.epochs = epochs
  }
}

/// A member leaves.
public struct Leaving: Hashable, Sendable {
  /// Why, for a person.
  public let text: String
  /// Whether the job can go on without it as if it had never been there: it was asked to leave, nothing failed.
  public let isOrderly: Bool
  /// Its last report.
  public let progress: Progress

  /// A goodbye.
  public init(text: String, isOrderly: Bool, progress: Progress) {
    self.text = text
    self.isOrderly = isOrderly
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

/// Asks for a chunk.
public struct Pull: Hashable, Sendable {
  /// The chunk.
  public let chunk: UInt32
  /// Steps that must be closed.
  public let closed: UInt64
  /// Whether exactly so many: what is newer is answered with where the chunk is.
  public let isExact: Bool

  /// A request for a chunk.
  public init(chunk: UInt32, closed: UInt64, isExact: Bool) {
    self.chunk = chunk
    self.closed = closed
    self.isExact = isExact
  }
}

/// A gradient for a chunk: the sum over the samples under a node.
public struct Push: Hashable, Sendable {
  /// The chunk.
  public let chunk: UInt32
  /// The step; the first of its round.
  public let step: UInt64
  /// The node of the step's shards that it is the sum of.
  public let node: ShardNode
  /// The version of the chunk that it was computed from.
  public let basis: UInt64
  /// Steps that must be closed before the answer.
  public let awaits: UInt64

  /// A gradient's statement.
  public init(chunk: UInt32, step: UInt64, node: ShardNode, basis: UInt64, awaits: UInt64) {
    self.chunk = chunk
    self.step = step
    self.node = node
    self.basis = basis
    self.awaits = awaits
  }
}

/// A contribution to a chunk, as an answer names it.
public struct Contribution: Hashable, Sendable {
  /// The step.
  public let step: UInt64
  /// The node.
  public let node: ShardNode
  /// Whether it was refused for its age: it is to be computed anew.
  public let isStale: Bool

  /// A contribution.
  public init(step: UInt64, node: ShardNode, isStale: Bool = false) {
    self.step = step
    self.node = node
    self.isStale = isStale
  }
}

/// A chunk's parameters.
public struct Parameters: Hashable, Sendable {
  /// The chunk.
  public let chunk: UInt32
  /// Its version: the number of updates.
  public let version: UInt64
  /// Steps that are closed.
  public let closed: UInt64
  /// The contribution that this is the answer to.
  public let answers: Contribution?

  /// A chunk's statement.
  public init(chunk: UInt32, version: UInt64, closed: UInt64, answers: Contribution? = nil) {
    self.chunk = chunk
    self.version = version
    self.closed = closed
    self.answers = answers
  }
}

/// Why a job is over, or why a member leaves it.
///
/// On the wire only the first three occur; the others are a member's own conclusion and travel as `failed`.
public enum StopReason: Hashable, Sendable {
  /// All steps are applied and the model is stored.
  case completed
  /// It failed, and why.
  case failed(String)
  /// Somebody stopped it.
  case interrupted
  /// The coordinator did not answer in time.
  case unreachable(String)
  /// The coordinator does not take this member.
  case rejected(String)
  /// The member was removed while it was away: it may come back as another life.
  case fenced(String)
}

/// The answer to what cannot be accepted.
public struct Refusal: Hashable, Sendable {
  /// The kind.
  public let reason: RefusalReason
  /// One line for a person.
  public let explanation: String

  /// A refusal.
  public init(_ reason: RefusalReason, _ explanation: String) {
    self.reason = reason
    self.explanation = explanation
  }
}

/// Kinds of what cannot be accepted.
public enum RefusalReason: UInt8, Hashable, Sendable, CaseIterable {
  /// The token is another job's.
  case wrongJob = 1
  /// The view is not the newest.
  case oldView = 2
  /// The sender's place is filled by another life of it.
  case deadIncarnation = 3
  /// The sender has no place in the job.
  case unknownMember = 4
  /// The name or number is taken.
  case nameTaken = 5
  /// The job has all the members that it wants.
  case jobFull = 6
  /// A digest or the engine's fingerprint differs.
  case mismatch = 7
  /// The message makes no sense now: a step that has not begun, a chunk that is elsewhere.
  case misplaced = 8
  /// The message cannot be read, or its payload has another length than stated.
  case malformed = 9
  /// The sender speaks another version of the protocol.
  case wrongProtocol = 10
  /// The sender's key is another's than the message says.
  case wrongKey = 11
}

/// A message with what every message states: its job, its view, and who sent it.
///
/// A reference to what never changes: it is handed on from the transport to the machine and back, and copied nowhere.
public final class Envelope: Hashable, Sendable {
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

  /// Whether two say the same.
  public static func == (left: Envelope, right: Envelope) -> Bool {
    left === right
      || (left.token == right.token && left.view == right.view && left.sender == right.sender
        && left.incarnation == right.incarnation && left.message == right.message)
  }

  /// Hashes all that is stated.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(token)
    hasher.combine(view)
    hasher.combine(sender)
    hasher.combine(incarnation)
    hasher.combine(message)
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
  /// A server was given chunks whose state it does not have. A replica says so to the primary where it needs its state.
  case stateLost(chunk: UInt32)
  /// A member lives, and how far a worker is.
  indirect case progress(Progress)
  /// A worker in a leased mode tells what it holds, and wants more.
  indirect case leaseRequest(LeaseRequest)
  /// A member leaves: before the job is over, and why; or because it was told to, its goodbye.
  indirect case leaving(Leaving)
  /// The state of a chunk at a cut, beside it as payload.
  indirect case snapshot(ChunkPosition)
  /// The sender has heard a coordinator of this term, later than the one that it answers: that one's journal lacks it.
  case outranked(term: UInt64)

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
  /// The coordinator lives. Of a member to a server: does it hear? Of a server: it does.
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
  /// A chunk's part of the norm of a step's gradient, beside it as payload: to the server that adds the parts.
  case norm(chunk: UInt32, step: UInt64)
  /// What a step's gradient is multiplied by, as the bits of a double: from the server that adds, and to it from one that
  /// has updated by it in an earlier view.
  case scale(step: UInt64, bits: UInt64)

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

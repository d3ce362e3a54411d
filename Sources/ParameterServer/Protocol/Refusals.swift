/// Why a job is over, or why a member leaves it.
///
/// On the wire only the first three occur; the others are a member's own conclusion and travel as `failed`.
public enum StopReason: Hashable, Sendable {
  /// All steps are applied and the model is stored.
  case completed
  /// It failed, and why.
  case failed(String, FailureKind = .failed)
  /// Somebody stopped it.
  case interrupted
  /// The coordinator did not answer in time.
  case unreachable(String)
  /// The coordinator does not take this member.
  case rejected(String)
  /// The member was removed while it was away: it may come back as another life.
  case fenced(String)
}

extension StopReason {
  /// What kind of failure it is, for whoever it ends the job of; `failed` of what is none.
  public var kind: FailureKind {
    switch self {
    case .failed(_, let kind): kind
    case .unreachable: .tryAgain
    case .rejected: .refused
    case .completed, .interrupted, .fenced: .failed
    }
  }
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
  /// A number is none that the job makes possible.
  case outOfBounds = 12

  /// What programs know it by: `wrong_key`.
  public var name: String {
    switch self {
    case .wrongJob: "wrong_job"
    case .oldView: "old_view"
    case .deadIncarnation: "dead_incarnation"
    case .unknownMember: "unknown_member"
    case .nameTaken: "name_taken"
    case .jobFull: "job_full"
    case .mismatch: "mismatch"
    case .misplaced: "misplaced"
    case .malformed: "malformed"
    case .wrongProtocol: "wrong_protocol"
    case .wrongKey: "wrong_key"
    case .outOfBounds: "out_of_bounds"
    }
  }
}

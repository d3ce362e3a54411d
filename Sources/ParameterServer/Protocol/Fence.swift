/// Decides whether a message may be looked at: its job, its view, and the life of its sender.
enum Fence {
  /// Why a message from a member of the view is refused, or nil.
  static func refusal(of envelope: Envelope, token: JobToken, view: View?) -> Refusal? {
    guard envelope.token == token else { return wrongJob }
    guard let view else {
      return Refusal(.misplaced, "the job has not begun here: there is no view yet")
    }
    guard let incarnation = view.incarnation(of: envelope.sender) else {
      return Refusal(.unknownMember, "\(envelope.sender) is not in view \(view.number.rawValue)")
    }
    guard envelope.incarnation == incarnation else {
      return Refusal(.deadIncarnation, "\(envelope.sender) was replaced: another process has its place")
    }
    guard envelope.view == view.number else {
      return Refusal(.oldView, "view \(envelope.view.rawValue) is not the one here: that is \(view.number.rawValue)")
    }
    return nil
  }

  /// The answer to another job's message. It names no secret.
  static let wrongJob = Refusal(.wrongJob, "the message carries another job's token")
}

/// How often each kind of message was refused.
public struct RefusalCounts: Hashable, Sendable {
  private var counts = [UInt64](repeating: 0, count: RefusalReason.allCases.count)

  /// No refusal yet.
  public init() {}

  /// Counts one more.
  public mutating func count(_ reason: RefusalReason) {
    counts[Int(reason.rawValue) - 1] += 1
  }

  /// The number of one kind.
  public subscript(reason: RefusalReason) -> UInt64 { counts[Int(reason.rawValue) - 1] }

  /// The number of all kinds.
  public var total: UInt64 { counts.reduce(0, +) }
}

/// Decides whether a message may be looked at: its job, its view, and the life of its sender.
enum Fence {
  /// Why a message from a member of the view is refused, or nil.
  static func refusal(of envelope: Envelope, token: JobToken, view: View?) -> Refusal? {
    guard envelope.token == token else { return wrongJob }
    // Nearly every message passes: it is looked at once, without a copy of the view.
    if view?.admits(envelope) == true { return nil }
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

  /// Counts as numbers by reason, from the first on; reasons beyond the last number have none, numbers beyond the last
  /// reason are left out.
  public init(numbers: [UInt64]) {
    for (index, number) in numbers.prefix(counts.count).enumerated() { counts[index] = number }
  }

  /// The counts by reason, from the first on.
  public var numbers: [UInt64] { counts }

  /// Counts one more.
  public mutating func count(_ reason: RefusalReason) {
    counts[Int(reason.rawValue) - 1] += 1
  }

  /// The number of one kind.
  public subscript(reason: RefusalReason) -> UInt64 { counts[Int(reason.rawValue) - 1] }

  /// The number of all kinds.
  public var total: UInt64 { counts.reduce(0) { $0.adding($1) } }

  /// Adds others' counts.
  public mutating func add(_ others: RefusalCounts) {
    for index in counts.indices { counts[index] = counts[index].adding(others.counts[index]) }
  }
}

/// How many connections a member's listener refused, by reason; one that is tried again is counted again.
public struct ConnectionRefusals: Hashable, Sendable {
  /// The peer's key is on no list.
  public var unknownKey: UInt64 = 0
  /// The peer wanted something else than CURVE.
  public var otherMechanism: UInt64 = 0
  /// The peer took the listener for one with another key.
  public var wrongListenerKey: UInt64 = 0
  /// The peer was gone before it had proved to hold any key.
  public var unproven: UInt64 = 0

  /// None yet.
  public init() {}

  /// The number of all kinds.
  public var total: UInt64 { unknownKey.adding(otherMechanism).adding(wrongListenerKey).adding(unproven) }

  /// Adds others' counts.
  public mutating func add(_ others: ConnectionRefusals) {
    unknownKey = unknownKey.adding(others.unknownKey)
    otherMechanism = otherMechanism.adding(others.otherMechanism)
    wrongListenerKey = wrongListenerKey.adding(others.wrongListenerKey)
    unproven = unproven.adding(others.unproven)
  }
}

/// What a member refused since its start.
public struct RefusedCounts: Hashable, Sendable {
  /// Messages.
  public var messages: RefusalCounts
  /// Connections.
  public var connections: ConnectionRefusals

  /// Counts as stated; none yet where nothing is.
  public init(messages: RefusalCounts = RefusalCounts(), connections: ConnectionRefusals = ConnectionRefusals()) {
    self.messages = messages
    self.connections = connections
  }

  /// Adds others' counts.
  public mutating func add(_ others: RefusedCounts) {
    messages.add(others.messages)
    connections.add(others.connections)
  }
}

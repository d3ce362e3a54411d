/// What can go wrong in a simulated cluster.
public enum FaultKind: String, Hashable, Sendable, Codable, CaseIterable, CodingKeyRepresentable {
  /// A process ends without a word; it is started again after `lasting`, with what its disk kept.
  case crash
  /// A process is stopped and returns after `lasting`: what came meanwhile comes at once.
  case pause
  /// A process is stopped, a second one takes its name, and the first returns after `lasting`.
  case zombie
  /// A process's clock jumps forward by `amount` milliseconds.
  case clockJump
  /// A worker computes `amount` times as slowly for a while.
  case straggler
  /// Of a hundred messages on a link, `amount` are lost.
  case loss
  /// Of a hundred messages on a link, `amount` arrive twice.
  case duplicates
  /// Of a hundred messages on a link, `amount` are overtaken by later ones, as over connections made anew.
  case reordering
  /// Nothing gets through in one direction; it arrives late, or never where it lasts longer than the connection.
  case partition
  /// Two processes do not reach each other any more, for good; with `amount` 1 the first does not reach the second.
  case severed
  /// A connection is lost with what was under way, and made anew after `lasting`.
  case cut
  /// Every message of a link travels `amount` microseconds longer.
  case slowLink
  /// A process that is none of the job's says what it should not.
  case stranger
  /// A disk is full for a while.
  case fullDisk
  /// A disk's syncs fail for a while.
  case failingSync

  /// Whether it happens on the way between two processes.
  public var isOfNetwork: Bool {
    switch self {
    case .loss, .duplicates, .reordering, .partition, .severed, .cut, .slowLink: true
    case .crash, .pause, .zombie, .clockJump, .straggler, .stranger, .fullDisk, .failingSync: false
    }
  }

  /// Whether it ends again after a time.
  var lasts: Bool {
    switch self {
    case .clockJump, .stranger, .severed: false
    default: true
    }
  }
}

/// One thing that goes wrong: data, so that it can be saved, replayed and left out.
public struct Fault: Hashable, Sendable, Codable {
  /// What goes wrong.
  public var kind: FaultKind
  /// Microseconds of virtual time from the beginning.
  public var at: UInt64
  /// Microseconds until it is over.
  public var lasting: UInt64
  /// Whom it hits; of a link, who sends.
  public var target: ProcessName
  /// Of a link, who receives; nil for all that the target sends to.
  public var other: ProcessName?
  /// How much of it, in the kind's own unit.
  public var amount: Int

  /// A fault as stated.
  public init(
    _ kind: FaultKind, of target: ProcessName, towards other: ProcessName? = nil, at: UInt64, lasting: UInt64 = 0,
    amount: Int = 0
  ) {
    self.kind = kind
    self.at = at
    self.lasting = lasting
    self.target = target
    self.other = other
    self.amount = amount
  }
}

extension Fault {
  /// Whether a fault that was read is one that a plan may have: of a time that can be reckoned with.
  var isSound: Bool { max(at, lasting) <= 1 << 40 && (0...1_000_000).contains(amount) }
}

extension Fault: CustomStringConvertible {
  /// One line for a person.
  public var description: String {
    var text = "\(milliseconds(at)) ms: \(kind.rawValue) of \(target)"
    if let other { text += " towards \(other)" }
    if lasting > 0 { text += " for \(milliseconds(lasting)) ms" }
    if amount > 0 { text += ", \(amount)" }
    return text
  }

  private func milliseconds(_ microseconds: UInt64) -> String {
    let thousandths = String(microseconds % 1000)
    return "\(microseconds / 1000)." + String(repeating: "0", count: 3 - thousandths.count) + thousandths
  }
}

/// What a process does in a job.
public enum Role: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
  /// Keeps the membership and the view.
  case coordinator = 1
  /// Holds chunks of the parameters and applies updates to them.
  case server = 2
  /// Computes gradients.
  case worker = 3
  /// Asks how the job does, or changes it: `convoy status`.
  case client = 4

  /// The role's word, as in a member's name.
  public var description: String {
    switch self {
    case .coordinator: "coordinator"
    case .server: "server"
    case .worker: "worker"
    case .client: "client"
    }
  }
}

/// A place in a job: the second server, whichever process fills it.
public struct Member: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// What it does.
  public let role: Role
  /// Its number among those of its role, from 0.
  public let number: UInt32

  /// The number of a process that has asked to join and was not given one yet.
  public static let unassigned: UInt32 = .max

  /// The one coordinator of a job.
  public static let coordinator = Member(.coordinator, 0)

  /// The place of this role and number.
  public init(_ role: Role, _ number: UInt32) {
    self.role = role
    self.number = number
  }

  /// The name that logs and messages use: `worker.1`.
  public var description: String {
    if role == .coordinator { return "coordinator" }
    return number == Self.unassigned ? "a \(role) not yet numbered" : "\(role).\(number)"
  }

  /// Whether the left comes first.
  public static func < (left: Member, right: Member) -> Bool {
    (left.role.rawValue, left.number) < (right.role.rawValue, right.number)
  }
}

/// One life of a process: drawn at random when it starts, so that a replacement is never taken for what it replaces.
public struct Incarnation: Hashable, Sendable {
  /// The number on the wire.
  public let rawValue: UInt64

  /// The incarnation of this number.
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }
}

/// The number of a view: a later view has a larger one. Zero is before the first.
public struct ViewNumber: Hashable, Sendable, Comparable {
  /// The number on the wire.
  public let rawValue: UInt64

  /// Before any view.
  public static let none = ViewNumber(0)

  /// The view of this number.
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// Whether the left comes first.
  public static func < (left: ViewNumber, right: ViewNumber) -> Bool {
    left.rawValue < right.rawValue
  }
}

/// The secret of a job: 128 random bits that every message carries, so that what belongs to another job is refused.
public struct JobToken: Hashable, Sendable {
  private let high: UInt64
  private let low: UInt64

  /// No job's token: what is answered to bytes that name no job.
  public static let none = JobToken(high: 0, low: 0)

  private init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Number of bytes of a token.
  public static let byteCount = 16

  /// A token of sixteen bytes, or nil for another number of them.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    high = bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }
    low = bytes[8...].reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Sixteen bytes.
  public var bytes: [UInt8] {
    [high, low].flatMap { word in stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> $0) } }
  }
}

/// A connection as the transport numbers it: where an answer goes, before and after its sender has a name.
public struct Connection: Hashable, Sendable {
  /// The transport's number.
  public let rawValue: UInt64

  /// The connection of this number.
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }
}

/// A moment in milliseconds of a clock that only moves forward; its zero means nothing.
public struct Moment: Hashable, Sendable, Comparable {
  /// Milliseconds since the clock's zero.
  public let milliseconds: UInt64

  /// The moment so many milliseconds after the clock's zero.
  public init(milliseconds: UInt64) {
    self.milliseconds = milliseconds
  }

  /// The moment so many milliseconds later.
  public func advanced(milliseconds: UInt64) -> Moment {
    Moment(milliseconds: self.milliseconds + milliseconds)
  }

  /// Milliseconds from an earlier moment to this one; zero when it is not earlier.
  public func milliseconds(since earlier: Moment) -> UInt64 {
    milliseconds > earlier.milliseconds ? milliseconds - earlier.milliseconds : 0
  }

  /// Whether the left comes first.
  public static func < (left: Moment, right: Moment) -> Bool {
    left.milliseconds < right.milliseconds
  }
}

/// When a server applies what workers push.
public enum Consistency: Hashable, Sendable {
  /// Every step applies the sum of all its shards; workers read the same version.
  case sync
  /// Every push is applied as it comes; nobody computes a step more than so many ahead of the oldest open one
  /// (stale synchronous parallel: Ho et al., 2013).
  case ssp(Int)
  /// Every push is applied as it comes; work is leased.
  case async
  /// A step closes with its first shards, so many are spared (Chen et al., "Revisiting distributed synchronous SGD",
  /// 2016).
  case backup(Int)
  /// Every shard trains so many steps by itself; the servers average parameters and optimiser state.
  case local(Int)

  /// Whether a step's shards are added up and applied at once.
  public var isSummed: Bool {
    switch self {
    case .sync, .backup, .local: true
    case .ssp, .async: false
    }
  }

  /// Whether work is leased by the coordinator; otherwise it follows from the view.
  public var isLeased: Bool { self == .async }

  /// Steps between two exchanges.
  public var stepsPerRound: Int {
    if case .local(let steps) = self { steps } else { 1 }
  }

  /// Shards of a step that need not come.
  public var sparedShards: Int {
    if case .backup(let shards) = self { shards } else { 0 }
  }

  /// Steps that a worker may compute ahead of the oldest that is open.
  public var slack: Int {
    if case .ssp(let steps) = self { steps } else { 0 }
  }

  /// Most steps of slack and of a local round: bounds what servers keep.
  public static let maximumArgument = 1024
}

extension Consistency: CustomStringConvertible {
  /// The word of `--mode`: `ssp:3`.
  public var description: String {
    switch self {
    case .sync: "sync"
    case .ssp(let slack): "ssp:\(slack)"
    case .async: "async"
    case .backup(let spared): "backup:\(spared)"
    case .local(let steps): "local:\(steps)"
    }
  }

  /// What a word of `--mode` says, or nil. Arguments are whole numbers from 1 to `maximumArgument`.
  public init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count <= 2 else { return nil }
    if parts.count == 1 {
      switch parts[0] {
      case "sync": self = .sync
      case "async": self = .async
      default: return nil
      }
      return
    }
    guard let argument = Int(parts[1]), (1...Self.maximumArgument).contains(argument), String(argument) == parts[1]
    else { return nil }
    switch parts[0] {
    case "ssp": self = .ssp(argument)
    case "backup": self = .backup(argument)
    case "local": self = .local(argument)
    default: return nil
    }
  }
}

import ParameterServer

/// When the servers of a simulated job apply what workers push: the words of `--mode`.
public enum Mode: Hashable, Sendable, Codable, CustomStringConvertible {
  /// Every step applies the sum of all its shards.
  case sync
  /// Every push is applied as it comes; no worker is so many steps ahead.
  case ssp(Int)
  /// Every push is applied as it comes.
  case async
  /// A step closes without so many of its shards.
  case backup(Int)
  /// Shards train so many steps by themselves between two exchanges.
  case local(Int)

  /// The mode of a word such as `ssp:3`, or nil.
  public init?(_ text: String) {
    guard let consistency = Consistency(text) else { return nil }
    self.init(consistency)
  }

  init(_ consistency: Consistency) {
    switch consistency {
    case .sync: self = .sync
    case .ssp(let slack): self = .ssp(slack)
    case .async: self = .async
    case .backup(let spared): self = .backup(spared)
    case .local(let steps): self = .local(steps)
    }
  }

  var consistency: Consistency {
    switch self {
    case .sync: .sync
    case .ssp(let slack): .ssp(slack)
    case .async: .async
    case .backup(let spared): .backup(spared)
    case .local(let steps): .local(steps)
    }
  }

  /// The word.
  public var description: String { consistency.description }

  /// Reads the word.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let word = try container.decode(String.self)
    guard let mode = Mode(word) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(word) is no mode")
    }
    self = mode
  }

  /// Writes the word.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

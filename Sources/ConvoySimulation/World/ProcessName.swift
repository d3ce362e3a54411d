/// A process of a simulated cluster, by the name that it is started with.
public enum ProcessName: Hashable, Sendable, Comparable, CustomStringConvertible, Codable {
  /// The one coordinator.
  case coordinator
  /// A server, from 0.
  case server(Int)
  /// A worker, from 0.
  case worker(Int)

  /// The name: `worker.3`.
  public var description: String {
    switch self {
    case .coordinator: "coordinator"
    case .server(let number): "server.\(number)"
    case .worker(let number): "worker.\(number)"
    }
  }

  /// The process of a name, or nil where it is none.
  public init?(_ name: some StringProtocol) {
    if name == "coordinator" {
      self = .coordinator
      return
    }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let number = Int(parts[1]), number >= 0, String(number) == parts[1] else { return nil }
    switch parts[0] {
    case "server": self = .server(number)
    case "worker": self = .worker(number)
    default: return nil
    }
  }

  /// Reads a name.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let name = try container.decode(String.self)
    guard let process = ProcessName(name) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\(name) is no process: expected coordinator, server.N or worker.N")
    }
    self = process
  }

  /// Writes the name.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

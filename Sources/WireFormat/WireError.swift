/// Why bytes are no message of this job's protocol.
public enum WireError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The bytes are no envelope, end early, or want more memory than a message may take.
  case unreadable(bytes: Int)
  /// The envelope is longer than any message is.
  case tooLong(bytes: Int, maximum: Int)
  /// The sender speaks another version of the protocol.
  case otherProtocol(UInt32)
  /// A field holds what it must not.
  case field(String, String)

  /// Whether the sender speaks another version of the protocol.
  public var isWrongProtocol: Bool {
    if case .otherProtocol = self { true } else { false }
  }

  /// One line for a person.
  public var description: String {
    switch self {
    case .unreadable(let bytes): "\(bytes) bytes that are no message"
    case .tooLong(let bytes, let maximum): "a message of \(bytes) bytes: at most \(maximum) are taken"
    case .otherProtocol(let version):
      "protocol version \(version), not \(WireFormat.protocolVersion): both sides must run the same Convoy"
    case .field(let name, let problem): "field \(name): \(problem)"
    }
  }
}

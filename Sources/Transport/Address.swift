/// Where a hub listens or connects.
public enum Address: Hashable, Sendable, CustomStringConvertible {
  /// A host, by name or number, and a port; port 0 asks for any free one.
  case tcp(host: String, port: UInt16)
  /// A socket in the file system.
  case ipc(path: String)
  /// A name inside this process.
  case inproc(name: String)

  /// Most bytes of a socket's path: what `sockaddr_un` holds, with its final zero.
  package static let maximumPathBytes = 107

  /// Reads an address: `tcp://HOST:PORT`, `ipc://PATH` or `inproc://NAME`.
  public init(parsing text: String) throws(TransportError) {
    func malformed(_ problem: String) -> TransportError {
      .malformedAddress("\(text) is no address: \(problem); expected tcp://HOST:PORT, ipc://PATH or inproc://NAME")
    }
    let schemes = ["tcp://", "ipc://", "inproc://"]
    guard let scheme = schemes.first(where: { text.hasPrefix($0) }) else { throw malformed("it has no known scheme") }
    let rest = String(text.dropFirst(scheme.count))
    guard !rest.isEmpty, !rest.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
      throw malformed("nothing usable follows \(scheme)")
    }
    switch scheme {
    case "ipc://":
      guard rest.utf8.count <= Self.maximumPathBytes else {
        throw malformed("the path has \(rest.utf8.count) bytes, a socket's at most \(Self.maximumPathBytes)")
      }
      // Names that mean no file to the library.
      guard rest != "*", !rest.hasPrefix("@") else { throw malformed("\(rest) is no path of a file") }
      self = .ipc(path: rest)
    case "inproc://":
      guard rest.utf8.count <= 200 else { throw malformed("the name has more than 200 bytes") }
      self = .inproc(name: rest)
    default:
      guard let colon = rest.lastIndex(of: ":") else { throw malformed("it has no port") }
      let digits = rest[rest.index(after: colon)...]
      guard digits.utf8.allSatisfy(Self.isDigit), let port = UInt16(digits) else {
        throw malformed("its port is not 0 to 65535")
      }
      var host = String(rest[..<colon])
      let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
      if isBracketed { host = String(host.dropFirst().dropLast()) }
      guard !host.isEmpty, isBracketed == host.contains(":") else {
        throw malformed("its host is none (write an IPv6 one in brackets)")
      }
      guard !host.utf8.contains(where: { "/;,@[]".utf8.contains($0) }) else {
        throw malformed("its host is no name or number")
      }
      self = .tcp(host: host, port: port)
    }
  }

  /// The address as it is written.
  public var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "tcp://[\(host)]:\(port)" : "tcp://\(host):\(port)"
    case .ipc(let path): "ipc://\(path)"
    case .inproc(let name): "inproc://\(name)"
    }
  }

  /// Whether it is a host and a port.
  package var isTCP: Bool { if case .tcp = self { true } else { false } }

  /// Whether whoever listens there listens on every interface: it tells others another address.
  public var isEveryInterface: Bool {
    if case .tcp(let host, _) = self { ["*", "0.0.0.0", "::"].contains(host) } else { false }
  }

  /// Whether its host is a number of IPv6.
  var isIPv6: Bool { if case .tcp(let host, _) = self { host.contains(":") } else { false } }

  /// Whether only this machine reaches it. A name other than `localhost` counts as another machine's, whatever it
  /// resolves to.
  public var isLoopback: Bool {
    switch self {
    case .ipc, .inproc: true
    case .tcp("localhost", _), .tcp("::1", _): true
    case .tcp(let host, _): Self.isLoopback(host)
    }
  }

  /// Whether a host is a number in 127.0.0.0/8. A name that begins so is not.
  private static func isLoopback(_ host: String) -> Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127"
      && parts.allSatisfy { $0.utf8.allSatisfy(isDigit) && UInt8($0) != nil }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
}

import Foundation
import Glibc
import Testing

import Transport

/// Keys of one job, made for one test.
struct KeyRing {
  let allowed: AllowList
  private let pairs: [String: CurveKeyPair]

  init(_ names: [String]) throws {
    var pairs: [String: CurveKeyPair] = [:]
    for name in names { pairs[name] = try CurveKeyPair.generate() }
    let entries = try pairs.map { (identity: try Self.identity($0), key: $1.publicKey) }
    allowed = try #require(AllowList(entries))
    self.pairs = pairs
  }

  private static func identity(_ name: String) throws -> PeerIdentity {
    try #require(PeerIdentity(name: name))
  }

  func security(_ name: String) throws -> TransportSecurity {
    let keys = try #require(pairs[name])
    return try #require(TransportSecurity(name: name, keys: keys, allowed: allowed))
  }

  func transport(_ name: String) throws -> ZeroMQTransport {
    try ZeroMQTransport(security: security(name))
  }

  /// The security of one who made a key of its own for this name, and knows the others' public keys.
  func forged(_ name: String) throws -> TransportSecurity {
    let keys = try CurveKeyPair.generate()
    let entries = try allowed.names.map { each in
      let key = each == name ? keys.publicKey : try #require(allowed.key(of: each))
      return (identity: try Self.identity(each), key: key)
    }
    let list = try #require(AllowList(entries))
    return try #require(TransportSecurity(name: name, keys: keys, allowed: list))
  }
}

/// A connection over tcp on which a test says what it likes.
final class RawConnection {
  private let descriptor: Int32

  init(to address: Address) throws {
    guard case .tcp(_, let port) = address else { throw NoMessage() }
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &name) { name in
      name.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(result == 0)
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8]) {
    _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  /// Reads until the other side closes.
  func readToEnd() {
    var buffer = [UInt8](repeating: 0, count: 1024)
    while recv(descriptor, &buffer, buffer.count, 0) > 0 {}
  }

  /// Reads so many bytes; fewer where the other side closes.
  func read(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let received = recv(descriptor, &bytes, count, Int32(MSG_WAITALL))
    return Array(bytes.prefix(max(0, received)))
  }

  /// ZMTP's first 64 bytes, asking for a mechanism.
  static func greeting(_ mechanism: String) -> [UInt8] {
    let name = Array(mechanism.utf8)
    return [0xFF] + [UInt8](repeating: 0, count: 8) + [0x7F, 3, 0] + name
      + [UInt8](repeating: 0, count: 20 - name.count + 32)
  }

  /// The command that ends the handshake of a connection without keys, with the properties that a peer states.
  static func ready(_ properties: [(name: String, value: String)]) -> [UInt8] {
    var body: [UInt8] = [5] + Array("READY".utf8)
    for (name, value) in properties {
      body += [UInt8(name.utf8.count)] + Array(name.utf8)
      body += [0, 0, 0, UInt8(value.utf8.count)] + Array(value.utf8)
    }
    return [4, UInt8(body.count)] + body
  }
}

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

extension ZeroMQTransport {
  /// The transport of one who holds a job's secret, and no key of its own.
  static func holder(of secret: UInt8 = 1) throws -> ZeroMQTransport {
    try ZeroMQTransport(security: TransportSecurity(sharedSecret: [UInt8](repeating: secret, count: 32)))
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

  fileprivate init(accepting listener: Int32) throws {
    descriptor = accept(listener, nil, nil)
    try #require(descriptor >= 0)
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
}

/// A port of the loopback interface at which a test says what it likes.
final class RawListener {
  let address: Address
  private let descriptor: Int32

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let result = withUnsafeMutablePointer(to: &name) { name in
      name.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
        bind(descriptor, name, length) == 0 && listen(descriptor, 16) == 0
          && getsockname(descriptor, name, &length) == 0
      }
    }
    try #require(result)
    address = .tcp(host: "127.0.0.1", port: UInt16(bigEndian: name.sin_port))
  }

  deinit { close(descriptor) }

  /// The next connection.
  func accept() throws -> RawConnection { try RawConnection(accepting: descriptor) }
}

import CZeroMQ
import Foundation
import Glibc
import Transport

/// A connection over tcp on which a test says what it likes, to a port of the loopback interface.
final class RawPeer {
  private let descriptor: Int32

  /// Connects; nil where nobody listens, or too much waits there.
  init?(port: UInt16) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &name) { name in
      name.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if result != 0 { return nil }
    // Nobody is waited for longer than this: who does not read is left alone.
    var limit = timeval(tv_sec: 1, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  /// Sends bytes; whether all were taken.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Bool {
    Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
  }

  /// Whether the other side has ended the connection.
  var isEnded: Bool {
    var byte: UInt8 = 0
    while true {
      let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT))
      if count == 0 || (count < 0 && errno != EAGAIN) { return true }
      if count < 0 { return false }
    }
  }

  /// ZMTP's first 64 bytes, asking for a mechanism.
  static func greeting(_ mechanism: String) -> [UInt8] {
    let name = Array(mechanism.utf8)
    return [0xFF] + [UInt8](repeating: 0, count: 8) + [0x7F, 3, 0] + name
      + [UInt8](repeating: 0, count: 20 - name.count + 32)
  }

  /// The command that ends a handshake without keys, with an identity.
  static func ready(identity: [UInt8]) -> [UInt8] {
    var body: [UInt8] =
      [5] + Array("READY".utf8) + [11] + Array("Socket-Type".utf8) + [0, 0, 0, 6] + Array("DEALER".utf8)
    body += [8] + Array("Identity".utf8) + [0, 0, 0, UInt8(identity.count)] + identity
    return [4, UInt8(body.count)] + body
  }

  /// The identity that libzmq's ROUTER gives the peer of a number, where nothing was drawn before.
  static func automaticIdentity(_ number: UInt32) -> [UInt8] {
    let value = 0x6B8B_4567 &+ number
    return [0] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
  }
}

/// A peer with the job's key and libzmq's own socket, which does what no hub of ours does.
final class RawHolder {
  private let context = zmq_ctx_new()
  private let socket: UnsafeMutableRawPointer?

  /// - Parameter identity: what it states of itself; empty for nothing.
  init(_ security: TransportSecurity, address: String, identity: [UInt8] = []) {
    socket = zmq_socket(context, ZMQ_DEALER)
    let keys = security.keys
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys.publicKey.bytes, 32)
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys.publicKey.bytes, 32)
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys.secretBytes, 32)
    if !identity.isEmpty { zmq_setsockopt(socket, ZMQ_ROUTING_ID, identity, identity.count) }
    var none: Int32 = 0
    zmq_setsockopt(socket, ZMQ_LINGER, &none, MemoryLayout<Int32>.size)
    // A second at most, so that one who is not let in does not wait for ever.
    var limit: Int32 = 5000
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &limit, MemoryLayout<Int32>.size)
    var isImmediate: Int32 = 1
    zmq_setsockopt(socket, ZMQ_IMMEDIATE, &isImmediate, MemoryLayout<Int32>.size)
    zmq_connect(socket, address)
  }

  deinit {
    zmq_close(socket)
    zmq_ctx_term(context)
  }

  /// Sends one message of so many frames; whether all were taken.
  func send(frames: Int, of bytes: [UInt8]) -> Bool {
    for number in 0..<frames {
      let flags = number + 1 < frames ? ZMQ_SNDMORE : 0
      if zmq_send(socket, bytes, bytes.count, flags) < 0 { return false }
    }
    return true
  }

  /// Tells when the connection is lost; waits for that at most so many milliseconds.
  func isCut(withinMilliseconds limit: Int32, after action: () -> Void) -> Bool {
    let name = "inproc://events"
    zmq_socket_monitor(socket, name, ZMQ_EVENT_DISCONNECTED)
    let monitor = zmq_socket(context, ZMQ_PAIR)
    defer {
      zmq_socket_monitor(socket, nil, 0)
      zmq_close(monitor)
    }
    zmq_connect(monitor, name)
    action()
    var limit = limit
    zmq_setsockopt(monitor, ZMQ_RCVTIMEO, &limit, MemoryLayout<Int32>.size)
    var event = [UInt8](repeating: 0, count: 64)
    return zmq_recv(monitor, &event, event.count, 0) >= 0
  }
}

/// A port of the loopback interface where a test stands in for who should be there.
final class ListeningPort {
  let port: UInt16
  private let descriptor: Int32

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let isOpen = withUnsafeMutablePointer(to: &name) { name in
      name.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
        bind(descriptor, name, length) == 0 && listen(descriptor, 16) == 0
          && getsockname(descriptor, name, &length) == 0
      }
    }
    guard isOpen else { throw NotOpen() }
    port = UInt16(bigEndian: name.sin_port)
  }

  deinit { close(descriptor) }

  struct NotOpen: Error {}

  /// Takes the next connection within some seconds, says something, and returns all that the other side says until it
  /// has nothing more to say.
  func hear(answering answer: [UInt8]) -> [UInt8] {
    var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&item, 1, 20_000) > 0 else { return [] }
    let connection = accept(descriptor, nil, nil)
    guard connection >= 0 else { return [] }
    defer { close(connection) }
    _ = Glibc.send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
    var heard: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    var waiting = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
    while poll(&waiting, 1, 500) > 0 {
      let count = recv(connection, &buffer, buffer.count, 0)
      if count <= 0 { break }
      heard += buffer.prefix(count)
    }
    return heard
  }
}

import Foundation
import Glibc
import TestSupport
import Testing

/// The proxy that hurts connections, over real sockets.
@Suite(.timeLimit(.minutes(30))) struct ChaosProxyTests {
  /// A server that sends back what it gets, on a thread for each connection, until it goes.
  private final class Echo: Sendable {
    let port: UInt16
    private let listener: Int32

    init() throws {
      let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      self.listener = listener
      port = try #require(ChaosProxy.listen(listener))
      Thread.detachNewThread {
        while true {
          let connection = accept(listener, nil, nil)
          guard connection >= 0 else { break }
          Thread.detachNewThread {
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
              let count = recv(connection, &buffer, buffer.count, 0)
              guard count > 0, send(connection, buffer, count, Int32(MSG_NOSIGNAL)) == count else { break }
            }
            close(connection)
          }
        }
        close(listener)
      }
    }

    deinit {
      shutdown(listener, Int32(SHUT_RDWR))
    }
  }

  private func client(of proxy: ChaosProxy) throws -> Int32 {
    let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    try #require(ChaosProxy.withAddress(ChaosProxy.loopback(proxy.port), { connect(client, $0, $1) }) == 0)
    return client
  }

  private func sendAll(_ bytes: [UInt8], to client: Int32) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  /// Everything until the end, and how that came: 0, or the number of the error.
  private func receiveAll(_ client: Int32) -> ([UInt8], Int32) {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(client, &buffer, buffer.count, 0)
      if count < 0 { return (all, errno) }
      if count == 0 { return (all, 0) }
      all += buffer[..<count]
    }
  }

  @Test("Bytes pass both ways, more than all buffers hold, and so does the end")
  func passes() throws {
    let echo = try Echo()
    let proxy = try ChaosProxy(to: echo.port)
    let client = try client(of: proxy)
    defer { close(client) }
    let bytes = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
    Thread.detachNewThread {
      sendAll(bytes, to: client)
      shutdown(client, Int32(SHUT_WR))
    }
    let (received, error) = receiveAll(client)
    #expect(error == 0)
    #expect(received == bytes)
    proxy.wait { $0.bytes == 4_000_000 }
    #expect(proxy.counts == ChaosProxy.Counts(accepted: 1, refused: 0, cut: 0, bytes: 4_000_000))
  }

  @Test("A cut is a reset for everyone who is connected, and for nobody after")
  func cut() throws {
    let echo = try Echo()
    let proxy = try ChaosProxy(to: echo.port)
    let clients = try [client(of: proxy), client(of: proxy)]
    proxy.wait { $0.accepted == 2 }
    proxy.cutAll()
    for client in clients {
      #expect(receiveAll(client).1 == ECONNRESET)
      close(client)
    }
    #expect(proxy.counts.cut == 2)
    let later = try client(of: proxy)
    defer { close(later) }
    sendAll([1, 2, 3], to: later)
    shutdown(later, Int32(SHUT_WR))
    #expect(receiveAll(later).0 == [1, 2, 3])
    #expect(proxy.counts.cut == 2)
  }

  @Test("While it refuses, those who are connected stay and new ones are reset; afterwards they are let in")
  func refuse() throws {
    let echo = try Echo()
    let proxy = try ChaosProxy(to: echo.port)
    let early = try client(of: proxy)
    defer { close(early) }
    proxy.wait { $0.accepted == 1 }
    proxy.refuseNew(true)
    let refused = try client(of: proxy)
    #expect(receiveAll(refused).1 == ECONNRESET)
    close(refused)
    // Counted once the reset is on its way.
    proxy.wait { $0.refused == 1 }
    proxy.refuseNew(false)
    let late = try client(of: proxy)
    defer { close(late) }
    for client in [early, late] {
      sendAll([7], to: client)
      shutdown(client, Int32(SHUT_WR))
      #expect(receiveAll(client).0 == [7])
    }
    #expect(proxy.counts.accepted == 2)
  }

  @Test("Held bytes come when they are let go, and none before")
  func hold() throws {
    let echo = try Echo()
    let proxy = try ChaosProxy(to: echo.port)
    let client = try client(of: proxy)
    defer { close(client) }
    proxy.wait { $0.accepted == 1 }
    proxy.hold(true)
    sendAll([1, 2], to: client)
    // A command is carried out after what the sockets held: had the bytes passed, they would be counted.
    proxy.hold(true)
    #expect(proxy.counts.bytes == 0)
    proxy.hold(false)
    shutdown(client, Int32(SHUT_WR))
    #expect(receiveAll(client).0 == [1, 2])
  }

  @Test("A target that is not there, and a proxy that was stopped, are refusals")
  func gone() throws {
    var echo: Echo? = try Echo()
    let unused = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let port = try #require(ChaosProxy.listen(unused))
    close(unused)
    echo = nil
    _ = echo
    let proxy = try ChaosProxy(to: port)
    let client = try client(of: proxy)
    #expect(receiveAll(client).1 == ECONNRESET)
    close(client)
    proxy.wait { $0.refused == 1 }
    proxy.stop()
    let late = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(late) }
    #expect(ChaosProxy.withAddress(ChaosProxy.loopback(proxy.port), { connect(late, $0, $1) }) == -1)
    #expect(errno == ECONNREFUSED)
  }
}

import Testing
import Transport

/// Those who must not get in, and what they must not do to those who may.
@Suite(.timeLimit(.minutes(30))) struct StrangerTests {
  private let ring: KeyRing
  private let address = Address.tcp(host: "127.0.0.1", port: 0)

  init() throws {
    ring = try KeyRing(["server.0", "worker.0", "worker.1"])
  }

  private func hub(_ name: String) throws -> any Hub {
    try ring.transport(name).makeHub(Meeting.limits)
  }

  /// Those who must not get in, and the count that they go to.
  enum Stranger: String, CaseIterable, Sendable {
    case withoutKey, unknownKey, wrongListenerKey, otherSecret, otherMechanism, garbage

    func count(in counts: RefusedConnections) -> Int {
      switch self {
      case .withoutKey, .otherMechanism: counts.otherMechanism
      case .unknownKey: counts.unknownKey
      case .wrongListenerKey, .otherSecret: counts.wrongListenerKey
      case .garbage: counts.unproven
      }
    }
  }

  @Test("Strangers are refused and counted by reason while an honest worker goes on", arguments: Stranger.allCases)
  func strangers(_ stranger: Stranger) throws {
    let transport = try ring.transport("server.0")
    let server = try transport.makeHub(Meeting.limits)
    let bound = try server.listen(on: address)
    let worker = try hub("worker.0")
    let peer = try worker.connect(to: bound, expecting: "server.0")
    _ = try worker.send(numbered(1), to: peer)
    #expect(try number(of: server.message(while: worker).frames) == 1)
    #expect(transport.refusedConnections.total == 0)

    var hubs: [any Hub] = []
    var raw: RawConnection?
    switch stranger {
    case .unknownKey: hubs.append(try ZeroMQTransport(security: ring.forged("worker.1")).makeHub(Meeting.limits))
    case .wrongListenerKey: hubs.append(try ZeroMQTransport(security: ring.forged("server.0")).makeHub(Meeting.limits))
    case .otherSecret: hubs.append(try ZeroMQTransport.holder(of: 2).makeHub(Meeting.limits))
    case .withoutKey, .otherMechanism:
      raw = try RawConnection(to: bound)
      raw?.send(RawConnection.greeting(stranger == .withoutKey ? "NULL" : "PLAIN"))
    case .garbage:
      raw = try RawConnection(to: bound)
      // A greeting of CURVE, then a command that is none.
      raw?.send(RawConnection.greeting("CURVE") + [4, 6, 5] + Array("HULLO".utf8))
    }
    for hub in hubs {
      let peer = try hub.connect(to: bound, expecting: "server.0")
      _ = try hub.send(numbered(666), to: peer)
    }
    let counts = try transport.waitForRefusedConnections(timeoutMilliseconds: Meeting.patience) { counts in
      stranger.count(in: counts) > 0
    }
    #expect(stranger.count(in: counts) > 0)
    #expect(counts.total == stranger.count(in: counts), "\(counts)")
    #expect((counts.lastUnknown != nil) == (stranger == .unknownKey))
    for each in 2..<50 {
      for hub in hubs { _ = try hub.receive(timeoutMilliseconds: 0) }
      _ = try worker.send(numbered(each), to: peer)
      let (from, frames) = try server.message(while: worker)
      #expect(number(of: frames) == each)
      #expect(server.identity(of: from)?.name == "worker.0")
    }
    withExtendedLifetime(raw) {}
    for hub in hubs + [worker, server] { hub.close(lingerMilliseconds: 0) }
  }

  @Test("A peer that speaks ZMTP's first version, which has no keys, is cut off")
  func oldVersion() throws {
    let server = try hub("server.0")
    let raw = try RawConnection(to: try server.listen(on: address))
    // An anonymous peer of version 1, and a message of one byte.
    raw.send([1, 0, 2, 0, 7])
    raw.readToEnd()
    #expect(try server.receive(timeoutMilliseconds: 0).isTimeout)
    server.close(lingerMilliseconds: 0)
  }

  @Test("Over tcp nobody listens or connects without a key")
  func unprotected() throws {
    let hub = try ZeroMQTransport().makeHub(Meeting.limits)
    #expect(throws: TransportError.unprotected(address)) { try hub.listen(on: address) }
    #expect(throws: TransportError.unprotected(address)) { try hub.connect(to: address) }
    hub.close(lingerMilliseconds: 0)
  }

  @Test("Holders of a secret reach each other and have no name; those of another one are kept out")
  func sharedSecret() throws {
    let transport = try ZeroMQTransport.holder()
    let server = try transport.makeHub(Meeting.limits)
    let bound = try server.listen(on: address)
    let worker = try ZeroMQTransport.holder().makeHub(Meeting.limits)
    let other = try ZeroMQTransport.holder(of: 2).makeHub(Meeting.limits)
    _ = try other.send(numbered(666), to: other.connect(to: bound))
    let peer = try worker.connect(to: bound, expecting: "whoever")
    _ = try worker.send(numbered(7), to: peer)
    let (from, frames) = try server.message(while: worker, other)
    #expect(number(of: frames) == 7)
    #expect(server.identity(of: from) == nil && worker.identity(of: peer) == nil)
    let counts = try transport.waitForRefusedConnections(timeoutMilliseconds: Meeting.patience) { $0.total > 0 }
    #expect(counts.wrongListenerKey > 0 && counts.total == counts.wrongListenerKey, "\(counts)")
    #expect(try server.receive(timeoutMilliseconds: 0).isTimeout)
    for hub in [server, worker, other] { hub.close(lingerMilliseconds: 0) }
  }

  @Test("Who has taken a listener's place gets nothing of what its peers say, nor what lets one in")
  func takenPlace() throws {
    let secret = [UInt8](repeating: 1, count: 32)
    let stranger = try RawListener()
    let worker = try ZeroMQTransport.holder().makeHub(Meeting.limits)
    let peer = try worker.connect(to: stranger.address)
    _ = try worker.send([Frame(copying: secret)], to: peer)
    let guest = try stranger.accept()
    guest.send(RawConnection.greeting("CURVE"))
    // A greeting, and a HELLO of 200 bytes behind its two of flags and length: all that is said to whom no key is proved.
    let heard = guest.read(64 + 202)
    #expect(heard.count == 266)
    #expect(!heard.indices.contains { heard[$0...].starts(with: secret) })
    // No WELCOME that can be opened: the connection ends without a word more.
    guest.send([4, 168, 7] + Array("WELCOME".utf8) + [UInt8](repeating: 9, count: 160))
    #expect(guest.read(1).isEmpty)
    worker.close(lingerMilliseconds: 0)
  }

  @Test("Many connections that say nothing keep nobody out")
  func manyConnections() throws {
    let server = try hub("server.0")
    let bound = try server.listen(on: address)
    let silent = try (0..<200).map { _ in try RawConnection(to: bound) }
    let worker = try hub("worker.0")
    let peer = try worker.connect(to: bound, expecting: "server.0")
    for each in 0..<20 {
      _ = try worker.send(numbered(each), to: peer)
      #expect(try number(of: server.message(while: worker).frames) == each)
    }
    withExtendedLifetime(silent) {}
    worker.close(lingerMilliseconds: 0)
    server.close(lingerMilliseconds: 0)
  }
}

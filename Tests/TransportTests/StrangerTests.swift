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
    case withoutKey, unknownKey, wrongListenerKey, otherMechanism, garbage

    func count(in counts: RefusedConnections) -> Int {
      switch self {
      // Which of the two depends on whose greeting is read first.
      case .withoutKey: counts.otherMechanism + counts.unproven
      case .otherMechanism: counts.otherMechanism
      case .unknownKey: counts.unknownKey
      case .wrongListenerKey: counts.wrongListenerKey
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
    case .withoutKey: hubs.append(try ZeroMQTransport().makeHub(Meeting.limits))
    case .unknownKey: hubs.append(try ZeroMQTransport(security: ring.forged("worker.1")).makeHub(Meeting.limits))
    case .wrongListenerKey: hubs.append(try ZeroMQTransport(security: ring.forged("server.0")).makeHub(Meeting.limits))
    case .otherMechanism:
      raw = try RawConnection(to: bound)
      raw?.send(RawConnection.greeting("PLAIN"))
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

  @Test("A peer without a key gives itself no name")
  func statedName() throws {
    let server = try ZeroMQTransport().makeHub(Meeting.limits)
    let raw = try RawConnection(to: try server.listen(on: address))
    // ZMTP's own properties of a connection are whatever the peer says; libzmq shows them where the ZAP handler's are.
    let ready = RawConnection.ready([("Socket-Type", "DEALER"), ("User-Id", "server.0")])
    raw.send(RawConnection.greeting("NULL") + ready)
    // Its greeting and its own command come first: messages may follow them only.
    let header = raw.read(66)
    try #require(header.count == 66)
    _ = raw.read(Int(header[65]))
    raw.send([0, 1, 7])
    let (peer, frames) = try server.message()
    #expect(frames[0].withBytes { Array($0) } == [7])
    #expect(server.identity(of: peer) == nil)
    withExtendedLifetime(raw) {}
    server.close(lingerMilliseconds: 0)
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

import Testing

import Transport

@Suite struct KeyTests {
  @Test("Z85 text is as ZeroMQ's own, both ways")
  func z85() throws {
    // The example of ZeroMQ's RFC 32.
    #expect(Z85.encode([0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B]) == "HelloWorld")
    #expect(Z85.decode("HelloWorld") == [0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B])
    #expect(Z85.decode("#####") == nil, "above 2³² - 1")
    for text in ["Hello World", "Hell", "Hell\"", "Hellö"] { #expect(Z85.decode(text) == nil) }
    // A pair of zmq_curve_keypair's manual page.
    let pair = try #require(CurveKeyPair(secretText: "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"))
    #expect(pair.publicKey.description == "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID")
  }

  /// Who asks how a job is.
  private static let client = PeerIdentity(name: "client")!

  @Test("A key reads back from its text; its secret is in nothing that is printed")
  func text() throws {
    let pair = try CurveKeyPair.generate()
    let again = try #require(CurveKeyPair(secretText: pair.secretText))
    #expect(again.publicKey == pair.publicKey && again.secretBytes == pair.secretBytes)
    #expect(CurvePublicKey(text: pair.publicKey.description) == pair.publicKey)
    var dumped = ""
    dump(pair, to: &dumped)
    let allowed = try #require(AllowList([(Self.client, pair.publicKey)]))
    let security = try #require(TransportSecurity(name: "client", keys: pair, allowed: allowed))
    dump(security, to: &dumped)
    for printed in ["\(pair)", String(reflecting: pair), dumped] {
      #expect(printed.contains(pair.publicKey.description))
      #expect(!printed.contains(pair.secretText) && !printed.contains("secretBytes"))
    }
    #expect(CurveKeyPair(secretText: "short") == nil)
    #expect(CurvePublicKey(text: "Hello") == nil)
  }

  @Test("Names say the role, and are written one way only")
  func names() {
    #expect(PeerIdentity(name: "worker.12")?.role == .worker)
    #expect(PeerIdentity(name: "coordinator")?.role == .coordinator)
    for name in ["", "worker", "worker.", "worker.-1", "worker.01", "worker.1.2", "client.0", "boss", "Worker.1"] {
      #expect(PeerIdentity(name: name) == nil)
    }
  }

  @Test("A list has each name and each key once, and gives nobody a name that its key does not have")
  func allowList() throws {
    let pairs = [try CurveKeyPair.generate(), try CurveKeyPair.generate()]
    let names = ["worker.10", "worker.9"].compactMap { PeerIdentity(name: $0) }
    #expect(AllowList([(names[0], pairs[0].publicKey), (names[0], pairs[1].publicKey)]) == nil)
    #expect(AllowList([(names[0], pairs[0].publicKey), (names[1], pairs[0].publicKey)]) == nil)
    let list = try #require(AllowList([(names[0], pairs[0].publicKey), (names[1], pairs[1].publicKey)]))
    #expect(list.names == ["worker.9", "worker.10"])
    #expect(list.summary == "worker.9 to worker.10")
    #expect(TransportSecurity(name: "worker.9", keys: pairs[0], allowed: list) == nil)
    #expect(TransportSecurity(name: "worker.10", keys: pairs[0], allowed: list)?.identity == names[0])
  }

  @Test("Keys or an explicit word are needed for what other machines reach")
  func policy() throws {
    let far = Address.tcp(host: "10.0.0.1", port: 5555)
    let pair = try CurveKeyPair.generate()
    let list = try #require(AllowList([(Self.client, pair.publicKey)]))
    let security = TransportSecurity(name: "client", keys: pair, allowed: list)
    for near in [Address.tcp(host: "127.0.0.1", port: 1), .ipc(path: "x"), .inproc(name: "x")] {
      try TransportPolicy.requireAllowed(near, security: nil, insecure: false)
    }
    try TransportPolicy.requireAllowed(far, security: security, insecure: false)
    try TransportPolicy.requireAllowed(far, security: nil, insecure: true)
    for address in [far, .tcp(host: "0.0.0.0", port: 1), .tcp(host: "*", port: 1), .tcp(host: "node-1", port: 1)] {
      #expect(throws: TransportError.needsKeys(address)) {
        try TransportPolicy.requireAllowed(address, security: nil, insecure: false)
      }
    }
    #expect(
      "\(TransportError.needsKeys(far))".hasPrefix(
        "tcp://10.0.0.1:5555 is no loopback address, and without keys whoever learns the job's token there could pose as any member"
      ))
  }

  @Test("A routing id that another peer takes over is a new peer")
  func takenRouting() {
    var table = RouteTable()
    var next: UInt64 = 0
    func new() -> Peer {
      next += 1
      return Peer(rawValue: next)
    }
    let first = table.peer(for: [7], name: "worker.0", new: new)
    #expect(table.peer(for: [7], name: "worker.0", new: new) == first)
    #expect(table.identity(of: first)?.name == "worker.0")
    let second = table.peer(for: [7], name: "worker.1", new: new)
    #expect(second != first)
    #expect(table.identity(of: second)?.name == "worker.1")
    #expect(table.identity(of: first) == nil && table.routing(of: first) == nil)
    #expect(table.count == 1)
  }
}

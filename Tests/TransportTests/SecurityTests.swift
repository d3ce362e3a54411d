import Foundation
import Testing

import Transport

@Suite(.timeLimit(.minutes(30))) struct SecurityTests {
  private let ring: KeyRing
  private let address = Address.tcp(host: "127.0.0.1", port: 0)

  init() throws {
    ring = try KeyRing(["coordinator", "server.0", "worker.0", "worker.1", "client"])
  }

  private func hub(_ name: String, _ limits: HubLimits = Meeting.limits) throws -> any Hub {
    try ring.transport(name).makeHub(limits)
  }

  @Test("Both sides know each other by their keys, whatever a message says")
  func identities() throws {
    let server = try hub("server.0")
    let bound = try server.listen(on: address)
    for name in ["worker.0", "worker.1", "coordinator", "client"] {
      let other = try hub(name)
      let peer = try other.connect(to: bound, expecting: "server.0")
      #expect(other.identity(of: peer)?.name == "server.0")
      // A worker that calls itself a server is seen to be a worker.
      _ = try other.send([Frame(copying: Array("I am server.0".utf8))], to: peer)
      let (from, frames) = try server.message(while: other)
      #expect(frames[0].withBytes { $0.elementsEqual("I am server.0".utf8) })
      let identity = try #require(server.identity(of: from))
      #expect(identity.name == name)
      #expect(identity.role.rawValue == name.split(separator: ".")[0])
      #expect(try server.send(numbered(5), to: from) == .sent)
      let (answerer, answer) = try other.message(while: server)
      #expect(answerer == peer && number(of: answer) == 5)
      other.close(lingerMilliseconds: 0)
    }
    #expect(server.identity(of: Peer(rawValue: 999)) == nil)
    server.close(lingerMilliseconds: 0)
  }

  @Test("Nothing goes to a listener that has another key than the one that was named")
  func falseListener() throws {
    let impostor = try ZeroMQTransport(security: ring.security("worker.1")).makeHub(Meeting.limits)
    let bound = try impostor.listen(on: address)
    let small = HubLimits(maximumFrameBytes: 100, maximumFrames: 2, maximumQueuedMessages: 3)
    let transport = try ring.transport("worker.0")
    let worker = try transport.makeHub(small)
    let peer = try worker.connect(to: bound, expecting: "server.0")
    for _ in 0..<3 { #expect(try worker.send(numbered(1), to: peer) == .sent) }
    // They wait for the one that they are for.
    #expect(try worker.send(numbered(1), to: peer) == .full)
    for _ in 0..<20 {
      #expect(try worker.receive(timeoutMilliseconds: 1).isTimeout)
      #expect(try impostor.receive(timeoutMilliseconds: 1).isTimeout)
    }
    for hub in [worker, impostor] { hub.close(lingerMilliseconds: 0) }
  }

  @Test("A process that takes another's place with the same key is known by the same name")
  func replacement() throws {
    let first = try hub("server.0")
    let bound = try first.listen(on: address)
    let worker = try hub("worker.0")
    let peer = try worker.connect(to: bound, expecting: "server.0")
    _ = try worker.send(numbered(1), to: peer)
    _ = try first.message(while: worker)
    first.close(lingerMilliseconds: 0)
    let second = try hub("server.0")
    _ = try second.listen(on: bound)
    var heard: (peer: Peer, frames: [Frame])?
    for _ in 0..<Meeting.patience where heard == nil {
      _ = try worker.send(numbered(2), to: peer)
      _ = try worker.receive(timeoutMilliseconds: 0)
      if case .message(let peer, let frames) = try second.receive(timeoutMilliseconds: 10) { heard = (peer, frames) }
    }
    #expect(second.identity(of: try #require(heard).peer)?.name == "worker.0")
    worker.close(lingerMilliseconds: 0)
    second.close(lingerMilliseconds: 0)
  }

  @Test("Whom to expect must be said, and must have a key")
  func names() throws {
    let worker = try hub("worker.0")
    #expect { try worker.connect(to: .tcp(host: "127.0.0.1", port: 9)) } throws: {
      "\($0)" == "tcp://127.0.0.1:9 cannot be used: whose key its listener must have was not stated"
    }
    #expect { try worker.connect(to: .tcp(host: "127.0.0.1", port: 9), expecting: "server.7") } throws: {
      "\($0)"
        == "there is no key of server.7; the keys are of coordinator, server.0, worker.0 to worker.1, client"
    }
    worker.close(lingerMilliseconds: 0)
  }

  @Test("What stays on this machine by other means goes without keys, and nobody has a name", arguments: [true, false])
  func local(_ isIPC: Bool) throws {
    let folder = Folder()
    let transport = try ring.transport("server.0")
    let server = try transport.makeHub(Meeting.limits)
    let bound = try server.listen(on: isIPC ? .ipc(path: "\(folder.path)/socket") : .inproc(name: "meeting"))
    let worker = try (isIPC ? ring.transport("worker.0") : transport).makeHub(Meeting.limits)
    let peer = try worker.connect(to: bound, expecting: "server.0")
    _ = try worker.send(numbered(3), to: peer)
    let (from, frames) = try server.message(while: worker)
    #expect(number(of: frames) == 3)
    #expect(server.identity(of: from) == nil)
    #expect(worker.identity(of: peer) == nil)
    worker.close(lingerMilliseconds: 0)
    server.close(lingerMilliseconds: 0)
  }

  @Test("A frame of the limit passes; a longer one is refused and reported, and the connection goes on")
  func frameLimit() throws {
    let limits = HubLimits(maximumFrameBytes: 4096, maximumFrames: 2, maximumQueuedMessages: 100)
    let server = try hub("server.0", limits)
    let bound = try server.listen(on: address)
    let worker = try hub("worker.0")
    let peer = try worker.connect(to: bound, expecting: "server.0")
    _ = try worker.send([Frame(copying: [UInt8](repeating: 1, count: 4096))], to: peer)
    #expect(try server.message(while: worker).frames[0].count == 4096)
    for length in [4097, 1 << 20] {
      _ = try worker.send([Frame(copying: [UInt8](repeating: 1, count: length))], to: peer)
    }
    _ = try worker.send(numbered(2), to: peer)
    var refusals = 0
    for _ in 0..<Meeting.patience {
      _ = try worker.receive(timeoutMilliseconds: 0)
      let received = try server.receive(timeoutMilliseconds: 1)
      if case .refused(let from?, let reason) = received {
        #expect(server.identity(of: from)?.name == "worker.0")
        #expect(reason == "a frame of more than 4096 bytes")
        refusals += 1
      }
      guard case .message(_, let frames) = received else { continue }
      #expect(number(of: frames) == 2)
      break
    }
    #expect(refusals == 2)
    for hub in [server, worker] { hub.close(lingerMilliseconds: 0) }
  }

  @Test("Hubs go on when their transport is let go, and a transport without hubs ends")
  func lifetimes() throws {
    for _ in 0..<20 { _ = try ring.transport("worker.0") }
    var transport: ZeroMQTransport? = try ring.transport("server.0")
    let server = try #require(try transport?.makeHub(Meeting.limits))
    transport = nil
    let bound = try server.listen(on: address)
    let worker = try hub("worker.0")
    _ = try worker.send(numbered(4), to: worker.connect(to: bound, expecting: "server.0"))
    #expect(try number(of: server.message(while: worker).frames) == 4)
  }

  /// A hub's state of a connection once it is as asked for, or the last one.
  private func state(
    of peer: Peer, on hub: any Hub, where isReached: (ConnectionState) -> Bool
  ) throws -> ConnectionState? {
    for _ in 0..<Meeting.patience {
      _ = try hub.receive(timeoutMilliseconds: 1)
      if let state = hub.state(of: peer), isReached(state) { break }
    }
    return hub.state(of: peer)
  }

  @Test("Who connects is told that it is connected, that it was lost, and that nobody is there")
  func connectionState() throws {
    let server = try hub("server.0")
    let bound = try server.listen(on: address)
    let worker = try hub("worker.0")
    let peer = try worker.connect(to: bound, expecting: "server.0")
    #expect(try state(of: peer, on: worker) { $0.isConnected }?.problem == nil)
    #expect(worker.state(of: peer)?.losses == 0)
    server.close(lingerMilliseconds: 0)
    let state = try state(of: peer, on: worker) { $0.problem == "nobody answers there" }
    #expect(state?.isConnected == false && state?.losses == 1)
    #expect(state?.problem == "nobody answers there")
    worker.close(lingerMilliseconds: 0)
  }

  @Test(
    "Who is refused learns why",
    arguments: [
      ("worker.0", "it does not know this process's key"),
      ("server.0", "it has another key than the one that was named, or broke off"),
      ("", "it uses no keys"),
    ])
  func problems(_ forged: String, _ expected: String) throws {
    let server = try ring.transport("server.0").makeHub(Meeting.limits)
    // Who uses no keys is no hub of ours.
    let raw = forged.isEmpty ? try RawListener() : nil
    let bound = try raw?.address ?? server.listen(on: address)
    let security = try forged.isEmpty ? ring.security("worker.0") : ring.forged(forged)
    let worker = try ZeroMQTransport(security: security).makeHub(Meeting.limits)
    let peer = try worker.connect(to: bound, expecting: "server.0")
    let guest = try raw?.accept()
    guest?.send(RawConnection.greeting("NULL"))
    defer { withExtendedLifetime(guest) {} }
    let state = try state(of: peer, on: worker) { $0.problem == expected }
    #expect(state?.problem == expected)
    #expect(state?.isConnected == false && state?.losses == 0)
    // It is tried again, but where the listener has proved who it is: somebody else may have taken its place.
    #expect(state?.isOver == (forged == "worker.0"))
    for hub in [worker, server] { hub.close(lingerMilliseconds: 0) }
  }

  @Test("A hub that waits is woken when a connection is refused for good")
  func wokenWhenOver() throws {
    let server = try hub("server.0")
    let bound = try server.listen(on: address)
    let worker = try ZeroMQTransport(security: ring.forged("worker.0")).makeHub(Meeting.limits)
    let peer = try worker.connect(to: bound, expecting: "server.0")
    #expect(try worker.receive(timeoutMilliseconds: Meeting.patience).isWoken)
    #expect(worker.state(of: peer)?.isOver == true)
    for hub in [worker, server] { hub.close(lingerMilliseconds: 0) }
  }
}

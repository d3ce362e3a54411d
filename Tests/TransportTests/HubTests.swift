import Foundation
import Testing
import Transport

/// A transport under test, and addresses for it.
enum Kind: String, CaseIterable, Sendable {
  case tcp, ipc, inproc, inProcess

  var transport: any Transport {
    get throws {
      switch self {
      case .inProcess: InProcessTransport()
      case .tcp: try ZeroMQTransport.holder()
      case .ipc, .inproc: ZeroMQTransport()
      }
    }
  }

  func address(_ folder: String) -> Address {
    switch self {
    case .tcp: .tcp(host: "127.0.0.1", port: 0)
    case .ipc: .ipc(path: "\(folder)/socket")
    case .inproc, .inProcess: .inproc(name: UUID().uuidString)
    }
  }
}

/// A folder that goes with the test.
final class Folder {
  let path = NSTemporaryDirectory() + "ct-" + UUID().uuidString.prefix(8)

  init() { try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite(.timeLimit(.minutes(30))) struct HubTests {
  static let limits = HubLimits(maximumFrameBytes: 16 << 20, maximumFrames: 3, maximumQueuedMessages: 20_000)

  private func bytes(_ frame: Frame) -> [UInt8] { frame.withBytes { Array($0) } }

  /// The next message, passing over wakes; `other` is a hub of this thread that has something to send meanwhile.
  private func next(_ hub: any Hub, alongside other: (any Hub)? = nil, attempts: Int = 2000) throws -> (Peer, [Frame])?
  {
    for _ in 0..<attempts {
      // A hub sends what waits for a connection when its thread is in it.
      if let other { #expect(try other.receive(timeoutMilliseconds: 0).isTimeout) }
      if case .message(let peer, let frames) = try hub.receive(timeoutMilliseconds: 10) { return (peer, frames) }
    }
    return nil
  }

  @Test("Messages come in order, and answers find their way back", arguments: Kind.allCases)
  func roundTrip(_ kind: Kind) throws {
    let folder = Folder()
    let transport = try kind.transport
    let server = try transport.makeHub(Self.limits)
    let client = try transport.makeHub(Self.limits)
    defer {
      client.close(lingerMilliseconds: 0)
      server.close(lingerMilliseconds: 0)
    }
    let address = try server.listen(on: kind.address(folder.path))
    let peer = try client.connect(to: address)
    for number in 0..<200 {
      #expect(try client.send([Frame(copying: [UInt8(number)]), Frame(copying: [])], to: peer) == .sent)
    }
    for number in 0..<200 {
      let (from, frames) = try #require(try next(server, alongside: client))
      #expect(frames.map(bytes) == [[UInt8(number)], []])
      #expect(try server.send([Frame(copying: [UInt8(number), 1])], to: from) == .sent)
      let (answerer, answer) = try #require(try next(client))
      #expect(answerer == peer)
      #expect(answer.map(bytes) == [[UInt8(number), 1]])
    }
    #expect(try server.receive(timeoutMilliseconds: 1).isTimeout)
  }

  /// Memory whose end is noticed.
  private final class Owner: Sendable {
    let memory: UnsafeMutableRawBufferPointerBox
    let ended: DispatchSemaphore

    init(_ count: Int, ended: DispatchSemaphore) {
      memory = UnsafeMutableRawBufferPointerBox(count)
      self.ended = ended
    }

    deinit { ended.signal() }
  }

  private final class UnsafeMutableRawBufferPointerBox: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ count: Int) {
      bytes = .allocate(byteCount: count, alignment: 64)
      for index in 0..<count { bytes[index] = UInt8(truncatingIfNeeded: index &* 31) }
    }

    deinit { bytes.deallocate() }
  }

  @Test("A large payload arrives whole without a copy, and its owner is let go", arguments: Kind.allCases)
  func largePayload(_ kind: Kind) throws {
    let folder = Folder()
    let transport = try kind.transport
    let server = try transport.makeHub(Self.limits)
    let client = try transport.makeHub(Self.limits)
    let address = try server.listen(on: kind.address(folder.path))
    let peer = try client.connect(to: address)
    let ended = DispatchSemaphore(value: 0)
    do {
      let owner = Owner(8 << 20, ended: ended)
      let frame = Frame(keeping: owner, bytes: UnsafeRawBufferPointer(owner.memory.bytes))
      #expect(try client.send([Frame(copying: [1]), frame], to: peer) == .sent)
    }
    do {
      let (_, frames) = try #require(try next(server, alongside: client))
      let intact = frames[1].withBytes { bytes in
        bytes.count == 8 << 20 && bytes.indices.allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: $0 &* 31) }
      }
      #expect(intact)
    }
    #expect(ended.wait(timeout: .now() + 30) == .success)
    client.close(lingerMilliseconds: 0)
    server.close(lingerMilliseconds: 0)
  }

  @Test("A message of too many frames is refused and the next one comes", arguments: Kind.allCases)
  func frameLimit(_ kind: Kind) throws {
    let folder = Folder()
    let transport = try kind.transport
    let server = try transport.makeHub(Self.limits)
    let client = try transport.makeHub(Self.limits)
    defer {
      client.close(lingerMilliseconds: 0)
      server.close(lingerMilliseconds: 0)
    }
    let peer = try client.connect(to: try server.listen(on: kind.address(folder.path)))
    _ = try client.send((0..<10).map { Frame(copying: [UInt8($0)]) }, to: peer)
    _ = try client.send([Frame(copying: [9])], to: peer)
    var wasRefused = false
    for _ in 0..<2000 {
      #expect(try client.receive(timeoutMilliseconds: 0).isTimeout)
      let received = try server.receive(timeoutMilliseconds: 10)
      if case .refused = received { wasRefused = true }
      guard case .message(_, let frames) = received else { continue }
      #expect(frames.map(bytes) == [[9]])
      break
    }
    #expect(wasRefused)
  }

  @Test("A frame past the limit is never heard, and its sender keeps nobody else out")
  func frameBytes() throws {
    let transport = try ZeroMQTransport.holder()
    let server = try transport.makeHub(HubLimits(maximumFrameBytes: 4096, maximumFrames: 2, maximumQueuedMessages: 100))
    let rude = try transport.makeHub(Self.limits)
    let polite = try transport.makeHub(Self.limits)
    defer { for hub in [server, rude, polite] { hub.close(lingerMilliseconds: 0) } }
    let address = try server.listen(on: .tcp(host: "127.0.0.1", port: 0))
    _ = try rude.send([Frame(copying: [UInt8](repeating: 1, count: 1 << 20))], to: rude.connect(to: address))
    // Long enough for the rude one to be heard: what came of it would come first.
    let heard = try next(server, alongside: rude, attempts: 20)
    #expect(heard == nil)
    _ = try polite.send([Frame(copying: [2])], to: polite.connect(to: address))
    let (_, frames) = try #require(try next(server, alongside: polite))
    #expect(frames.map(bytes) == [[2]])
  }

  @Test("A message that is sent before anybody listens arrives once somebody does")
  func earlyMessage() throws {
    let folder = Folder()
    let transport = ZeroMQTransport()
    let address = Kind.ipc.address(folder.path)
    let client = try transport.makeHub(Self.limits)
    let peer = try client.connect(to: address)
    #expect(try client.send([Frame(copying: [5])], to: peer) == .sent)
    let server = try transport.makeHub(Self.limits)
    #expect(try server.listen(on: address) == address)
    let (_, frames) = try #require(try next(server, alongside: client))
    #expect(frames.map(bytes) == [[5]])
    client.close(lingerMilliseconds: 0)
    server.close(lingerMilliseconds: 0)
  }

  @Test("Another thread's wake ends the wait", arguments: Kind.allCases)
  func wake(_ kind: Kind) throws {
    let hub = try kind.transport.makeHub(Self.limits)
    let waker = hub.waker
    Thread.detachNewThread { waker.wake() }
    #expect(try hub.receive(timeoutMilliseconds: 60_000).isWoken)
    hub.close(lingerMilliseconds: 0)
  }

  @Test("An address in use is named; a stale socket file is replaced, and one's own is removed")
  func addressInUse() throws {
    let folder = Folder()
    let transport = try ZeroMQTransport.holder()
    for kind in [Kind.tcp, .ipc, .inproc] {
      let hub = try transport.makeHub(Self.limits)
      let address = try hub.listen(on: kind.address(folder.path))
      let other = try transport.makeHub(Self.limits)
      #expect(throws: TransportError.addressInUse(address)) { try other.listen(on: address) }
      #expect(TransportError.addressInUse(address).description.hasPrefix("\(address) is in use"))
      other.close(lingerMilliseconds: 0)
      hub.close(lingerMilliseconds: 0)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  @Test("A peer that nobody knows is unreachable")
  func unreachable() throws {
    let hub = try ZeroMQTransport.holder().makeHub(Self.limits)
    _ = try hub.listen(on: .tcp(host: "127.0.0.1", port: 0))
    #expect(try hub.send([Frame(copying: [1])], to: Peer(rawValue: 99)) == .unreachable)
    hub.close(lingerMilliseconds: 0)
  }

  @Test("Two threads exchange ten thousand messages", arguments: Kind.allCases)
  func manyMessages(_ kind: Kind) throws {
    let folder = Folder()
    let transport = try kind.transport
    let server = try transport.makeHub(Self.limits)
    let address = try server.listen(on: kind.address(folder.path))
    let limits = Self.limits
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      defer { done.signal() }
      guard let client = try? transport.makeHub(limits), let peer = try? client.connect(to: address) else { return }
      for number in 0..<10_000 {
        let bytes = [UInt8(number & 0xFF), UInt8(number >> 8)] + [UInt8](repeating: 3, count: number % 700)
        _ = try? client.send([Frame(copying: bytes)], to: peer)
      }
      // The answer says that all have come.
      _ = try? client.receive(timeoutMilliseconds: 60_000)
      client.close(lingerMilliseconds: 0)
    }
    for number in 0..<10_000 {
      let (peer, frames) = try #require(try next(server))
      let isRight = frames[0].withBytes { bytes in
        bytes.count == 2 + number % 700 && bytes[0] == UInt8(number & 0xFF) && bytes[1] == UInt8(number >> 8)
      }
      try #require(isRight)
      if number == 9999 { _ = try server.send([Frame(copying: [])], to: peer) }
    }
    done.wait()
    server.close(lingerMilliseconds: 0)
  }
}

extension Received {
  var isTimeout: Bool { if case .timeout = self { true } else { false } }
  var isWoken: Bool { if case .woken = self { true } else { false } }
}

@Suite struct AddressTests {
  @Test(
    "Addresses read back as they are written",
    arguments: [
      "tcp://127.0.0.1:5555", "tcp://[::1]:0", "tcp://node-3.example:65535", "ipc:///tmp/x/y", "inproc://job",
    ])
  func roundTrip(_ text: String) throws {
    #expect(try Address(parsing: text).description == text)
  }

  @Test(
    "What is no address says what was expected",
    arguments: [
      "", "5555", "udp://127.0.0.1:1", "tcp://127.0.0.1", "tcp://127.0.0.1:65536", "tcp://:1", "tcp://::1:5", "ipc://",
      "tcp://a b:1", "ipc://" + String(repeating: "x", count: 108),
    ])
  func malformed(_ text: String) {
    #expect { try Address(parsing: text) } throws: {
      "\($0)".contains("expected tcp://HOST:PORT, ipc://PATH or inproc://NAME")
    }
  }

  @Test("Only this machine's addresses are loopback")
  func loopback() throws {
    for text in [
      "tcp://127.0.0.1:1", "tcp://127.9.9.9:1", "tcp://localhost:1", "tcp://[::1]:1", "ipc://x", "inproc://x",
    ] {
      #expect(try Address(parsing: text).isLoopback)
    }
    for text in [
      "tcp://0.0.0.0:1", "tcp://10.0.0.1:1", "tcp://127.0.0.1.example:1", "tcp://127.0.0:1", "tcp://[::]:1",
      "tcp://*:1",
    ] {
      #expect(try !Address(parsing: text).isLoopback)
    }
  }
}

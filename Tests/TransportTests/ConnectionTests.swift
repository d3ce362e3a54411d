import Foundation
import Testing
import Transport

@Suite(.timeLimit(.minutes(30))) struct ConnectionTests {
  private static let small = HubLimits(maximumFrameBytes: 1 << 20, maximumFrames: 4, maximumQueuedMessages: 4)

  @Test(
    "So many messages as may wait are kept until somebody listens, then come in order", arguments: Meeting.Medium.named)
  func waitForListener(_ medium: Meeting.Medium) throws {
    let meeting = try Meeting(medium)
    let client = try meeting.hub(Self.small)
    let peer = try client.connect(to: meeting.address)
    var sent = 0
    while try client.send(numbered(sent), to: peer) == .sent {
      sent += 1
      // ZeroMQ's own inproc queue takes some before the hub's does.
      try #require(sent <= 12)
    }
    #expect(sent >= 4)
    #expect(try client.send(numbered(sent), to: peer) == .full)
    let server = try meeting.hub()
    _ = try server.listen(on: meeting.address)
    for expected in 0..<sent {
      #expect(try number(of: server.message(while: client).frames) == expected)
    }
    #expect(try client.send(numbered(99), to: peer) == .sent)
    #expect(try number(of: server.message(while: client).frames) == 99)
  }

  @Test("A listener that comes ends the wait of who waits for it", arguments: Meeting.Medium.named)
  func listenerComes(_ medium: Meeting.Medium) throws {
    let meeting = try Meeting(medium)
    let server = try meeting.hub()
    let transport = meeting.transport
    let address = meeting.address
    let connected = DispatchSemaphore(value: 0)
    let answered = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      defer { answered.signal() }
      guard let client = try? transport.makeHub(Meeting.limits), let peer = try? client.connect(to: address) else {
        return
      }
      _ = try? client.send(numbered(7), to: peer)
      connected.signal()
      // One wait: it has to send what is kept, and to take the answer.
      let received = try? client.receive(timeoutMilliseconds: Meeting.patience)
      guard case .message(peer, let frames)? = received, number(of: frames) == 8 else {
        Issue.record("no answer but \(String(describing: received))")
        return
      }
      client.close(lingerMilliseconds: 0)
    }
    connected.wait()
    _ = try server.listen(on: address)
    let (peer, frames) = try server.message()
    #expect(number(of: frames) == 7)
    #expect(try server.send(numbered(8), to: peer) == .sent)
    answered.wait()
  }

  @Test("A peer that connected and is gone becomes unreachable", arguments: Meeting.Medium.allCases)
  func goneClient(_ medium: Meeting.Medium) throws {
    let meeting = try Meeting(medium)
    let server = try meeting.hub()
    let client = try meeting.hub()
    let address = try server.listen(on: meeting.address)
    _ = try client.send(numbered(1), to: client.connect(to: address))
    let (peer, _) = try server.message(while: client)
    #expect(try server.send(numbered(2), to: peer) == .sent)
    client.close(lingerMilliseconds: 0)
    var outcome = SendOutcome.sent
    for _ in 0..<Meeting.patience where outcome != .unreachable {
      outcome = try server.send(numbered(3), to: peer)
      _ = try server.receive(timeoutMilliseconds: 1)
    }
    #expect(outcome == .unreachable)
    #expect(try server.send(numbered(4), to: peer) == .unreachable)
  }

  @Test("A connection is made anew when another hub listens there", arguments: Meeting.Medium.reconnecting)
  func reconnect(_ medium: Meeting.Medium) throws {
    let meeting = try Meeting(medium)
    let first = try meeting.hub()
    let client = try meeting.hub()
    let address = try first.listen(on: meeting.address)
    let peer = try client.connect(to: address)
    _ = try client.send(numbered(1), to: peer)
    _ = try first.message(while: client)
    first.close(lingerMilliseconds: 0)
    let second = try meeting.hub()
    // The library frees a port in the background.
    for attempt in 0..<Meeting.patience {
      if (try? second.listen(on: address)) != nil { break }
      try #require(attempt + 1 < Meeting.patience)
      _ = try client.receive(timeoutMilliseconds: 1)
    }
    // What left while nobody had noticed is lost: it is said again until it is heard, as the protocol does.
    var heard: (peer: Peer, frames: [Frame])?
    for _ in 0..<Meeting.patience where heard == nil {
      _ = try client.send(numbered(2), to: peer)
      _ = try client.receive(timeoutMilliseconds: 0)
      if case .message(let peer, let frames) = try second.receive(timeoutMilliseconds: 10) { heard = (peer, frames) }
    }
    let (newcomer, frames) = try #require(heard)
    #expect(number(of: frames) == 2)
    #expect(try second.send(numbered(3), to: newcomer) == .sent)
    let (answerer, answer) = try client.message()
    #expect(answerer == peer)
    #expect(number(of: answer) == 3)
  }

  @Test(
    "Who does not read gets so many messages and no more; who reads again gets all in order",
    arguments: Meeting.Medium.allCases)
  func fullQueue(_ medium: Meeting.Medium) throws {
    let meeting = try Meeting(medium)
    let server = try meeting.hub(Self.small)
    let client = try meeting.hub(Self.small)
    let address = try server.listen(on: meeting.address)
    _ = try client.send(numbered(0), to: client.connect(to: address))
    let (peer, _) = try server.message(while: client)
    let ballast = Frame(copying: [UInt8](repeating: 1, count: 1 << 20))
    var sent = 0
    // Both sides' queues and the system's buffers hold some megabytes, not hundreds.
    while try server.send(numbered(sent) + [ballast], to: peer) == .sent {
      sent += 1
      try #require(sent < 500)
    }
    #expect(sent >= 4)
    for expected in 0..<sent { #expect(try number(of: client.message(while: server).frames) == expected) }
    #expect(try server.send(numbered(sent), to: peer) == .sent)
    #expect(try number(of: client.message(while: server).frames) == sent)
  }

  @Test("No socket starves another")
  func fairness() throws {
    let meeting = try Meeting(.inproc)
    let client = try meeting.hub()
    let servers = [try meeting.hub(), try meeting.hub()]
    var peers: [Peer] = []
    for (index, server) in servers.enumerated() {
      let peer = try client.connect(to: try server.listen(on: .inproc(name: "server.\(index)")))
      #expect(try client.send(numbered(0), to: peer) == .sent)
      let (answerTo, _) = try server.message()
      for answer in 0..<20 { #expect(try server.send(numbered(answer), to: answerTo) == .sent) }
      peers.append(peer)
    }
    var order: [Peer] = []
    for _ in 0..<4 { order.append(try client.message().peer) }
    #expect(order.filter { $0 == peers[0] }.count == 2)
    #expect(order.filter { $0 == peers[1] }.count == 2)
  }

  @Test("Frames of every size arrive as they left", arguments: Meeting.Medium.allCases)
  func sizes(_ medium: Meeting.Medium) throws {
    let meeting = try Meeting(medium)
    let server = try meeting.hub()
    let client = try meeting.hub()
    let peer = try client.connect(to: try server.listen(on: meeting.address))
    for size in [0, 1, 8, 29, 33, 34, 127, 128, 255, 256, 257, 4096, 8192, 65_537, 1 << 20] {
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ size) }
      #expect(try client.send([Frame(copying: bytes), Frame(copying: []), Frame(copying: bytes)], to: peer) == .sent)
      let frames = try server.message(while: client).frames
      #expect(frames.map(\.count) == [size, 0, size])
      for frame in [frames[0], frames[2]] { #expect(frame.withBytes { $0.elementsEqual(bytes) }) }
    }
  }

  @Test("A frame past the limit is refused within a process too", arguments: [Meeting.Medium.inproc, .inProcess])
  func longFrame(_ medium: Meeting.Medium) throws {
    let meeting = try Meeting(medium)
    let server = try meeting.hub(HubLimits(maximumFrameBytes: 100, maximumFrames: 4, maximumQueuedMessages: 10))
    let client = try meeting.hub()
    let peer = try client.connect(to: try server.listen(on: meeting.address))
    let long = Frame(copying: [UInt8](repeating: 0, count: 101))
    _ = try client.send([Frame(copying: [1]), long, Frame(copying: [2])], to: peer)
    _ = try client.send(numbered(5), to: peer)
    guard case .refused(_, let reason) = try server.receive(timeoutMilliseconds: Meeting.patience) else {
      Issue.record("it was not refused")
      return
    }
    #expect(reason == "a frame of more than 100 bytes")
    #expect(try number(of: server.message().frames) == 5)
  }
}

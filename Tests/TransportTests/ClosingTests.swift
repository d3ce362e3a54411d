import Foundation
import Testing
import Transport

@Suite(.timeLimit(.minutes(30))) struct ClosingTests {
  // What the listening side sent is another matter: a connection that ends takes with it what its maker has not read,
  // and the protocol waits for goodbyes.
  @Test("What was sent before closing arrives", arguments: Meeting.Medium.allCases)
  func linger(_ medium: Meeting.Medium) throws {
    let meeting = try Meeting(medium)
    let server = try meeting.hub()
    let address = try server.listen(on: meeting.address)
    let transport = meeting.transport
    Thread.detachNewThread {
      guard let client = try? transport.makeHub(Meeting.limits), let peer = try? client.connect(to: address) else {
        return
      }
      // The first leaves while the connection is still being made.
      for each in 0..<100 { _ = try? client.send(numbered(each), to: peer) }
      client.close(lingerMilliseconds: Meeting.patience)
    }
    for expected in 0..<100 { #expect(try number(of: server.message().frames) == expected) }
  }

  @Test("Closing ends soon where nobody will ever listen", arguments: Meeting.Medium.named)
  func lingerForNobody(_ medium: Meeting.Medium) throws {
    let meeting = try Meeting(medium)
    let client = try meeting.hub()
    _ = try client.send(numbered(0), to: client.connect(to: meeting.address))
    // It returns: the wait is bounded.
    client.close(lingerMilliseconds: 20)
    client.close(lingerMilliseconds: 20)
  }

  @Test("A peer that leaves while its messages wait ends nobody's process", arguments: [Meeting.Medium.tcp, .ipc])
  func leavesBehindAFullQueue(_ medium: Meeting.Medium) throws {
    let meeting = try Meeting(medium)
    let small = HubLimits(maximumFrameBytes: 1 << 20, maximumFrames: 4, maximumQueuedMessages: 2)
    let server = try meeting.hub(small)
    let client = try meeting.hub()
    let peer = try client.connect(to: try server.listen(on: meeting.address))
    _ = try client.send(numbered(0), to: peer)
    #expect(try number(of: server.message(while: client).frames) == 0)
    for each in 1...50 { _ = try client.send(numbered(each), to: peer) }
    client.close(lingerMilliseconds: Meeting.patience)
    // libzmq's heartbeats, two seconds after the last, would find the connection in a state that they assert away.
    // Nothing shows that the moment has passed but the clock.
    let other = try meeting.hub()
    #expect(try other.receive(timeoutMilliseconds: 3000).isTimeout)
    // What had come is there still.
    #expect(try number(of: server.message().frames) == 1)
  }

  @Test("Closing while another thread sends harms neither", arguments: Meeting.Medium.allCases)
  func closeWhileSending(_ medium: Meeting.Medium) throws {
    for _ in 0..<5 {
      let meeting = try Meeting(medium)
      let server = try meeting.hub()
      let address = try server.listen(on: meeting.address)
      let transport = meeting.transport
      let isClosed = DispatchSemaphore(value: 0)
      let ended = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        defer { ended.signal() }
        guard let client = try? transport.makeHub(Meeting.limits), let peer = try? client.connect(to: address) else {
          return
        }
        let payload = Frame(copying: [UInt8](repeating: 1, count: 10_000))
        while isClosed.wait(timeout: .now()) == .timedOut {
          do {
            _ = try client.send([payload, payload], to: peer)
            _ = try client.receive(timeoutMilliseconds: 0)
          } catch {
            Issue.record(error)
          }
        }
        client.close(lingerMilliseconds: 0)
      }
      for _ in 0..<20 { _ = try server.message() }
      server.close(lingerMilliseconds: 0)
      isClosed.signal()
      ended.wait()
    }
  }

  @Test("A path is free as soon as its hub is closed, and its file is gone")
  func pathAgain() throws {
    let meeting = try Meeting(.ipc)
    for round in 0..<20 {
      let server = try meeting.hub()
      let client = try meeting.hub()
      _ = try server.listen(on: meeting.address)
      _ = try client.send(numbered(round), to: client.connect(to: meeting.address))
      #expect(try number(of: server.message(while: client).frames) == round)
      client.close(lingerMilliseconds: 0)
      server.close(lingerMilliseconds: 0)
      #expect(try FileManager.default.contentsOfDirectory(atPath: meeting.folder).isEmpty)
    }
  }

  @Test("A dead process's socket file is replaced; a file of another kind is not touched")
  func staleFile() throws {
    let meeting = try Meeting(.ipc)
    let path = "\(meeting.folder)/socket"
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &name) { name in
      name.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(bound == 0)
    close(descriptor)
    try #require(FileManager.default.fileExists(atPath: path))
    let server = try meeting.hub()
    let client = try meeting.hub()
    _ = try server.listen(on: .ipc(path: path))
    _ = try client.send(numbered(1), to: client.connect(to: .ipc(path: path)))
    #expect(try number(of: server.message(while: client).frames) == 1)

    let plain = "\(meeting.folder)/plain"
    try Data("kept".utf8).write(to: URL(fileURLWithPath: plain))
    let other = try meeting.hub()
    #expect { try other.listen(on: .ipc(path: plain)) } throws: {
      "\($0)" == "ipc://\(plain) cannot be used: a file of another kind is there"
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: plain)) == Data("kept".utf8))
  }

  @Test(
    "Nothing came is said when the time is over; wakes that nobody waited for are one",
    arguments: Meeting.Medium.allCases)
  func timeoutAndWakes(_ medium: Meeting.Medium) throws {
    let meeting = try Meeting(medium)
    let server = try meeting.hub()
    let client = try meeting.hub()
    #expect(try server.receive(timeoutMilliseconds: 0).isTimeout)
    server.waker.wake()
    server.waker.wake()
    #expect(try server.receive(timeoutMilliseconds: Meeting.patience).isWoken)
    #expect(try server.receive(timeoutMilliseconds: 1).isTimeout)
    // A wake does not swallow a message that came at the same time.
    let peer = try client.connect(to: try server.listen(on: meeting.address))
    _ = try client.send(numbered(3), to: peer)
    server.waker.wake()
    #expect(try server.receive(timeoutMilliseconds: Meeting.patience).isWoken)
    #expect(try number(of: server.message(while: client).frames) == 3)
    // A waker may outlive its hub.
    let waker = server.waker
    server.close(lingerMilliseconds: 0)
    waker.wake()
  }

  @Test("A hub that a second thread uses ends the process", arguments: [Meeting.Medium.inproc, .inProcess])
  func oneThread(_ medium: Meeting.Medium) async {
    await #expect(processExitsWith: .failure) { [medium] in
      // No meeting: a process that ends like this clears nothing away.
      let transport: any Transport = medium == .inProcess ? InProcessTransport() : ZeroMQTransport()
      let hub = Handed(try transport.makeHub(Meeting.limits))
      _ = try hub.hub.receive(timeoutMilliseconds: 0)
      let ended = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        _ = try? hub.hub.receive(timeoutMilliseconds: 0)
        ended.signal()
      }
      ended.wait()
    }
  }

  private final class Handed: @unchecked Sendable {
    // Unchecked: the test does what must not be done.
    let hub: any Hub
    init(_ hub: any Hub) { self.hub = hub }
  }
}

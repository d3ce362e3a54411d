import Foundation
import Glibc
import Testing
import Transport

/// Peers that are gone, and what is left of them.
@Suite(.timeLimit(.minutes(30))) struct LetGoTests {
  /// Descriptors that this process has open.
  private static var descriptors: Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
  }

  @Test("A thousand peers that came and went leave no descriptor, thread or route behind", arguments: ["tcp", "ipc"])
  func thousandPeers(_ kind: String) async {
    // A process of its own: descriptors are the whole process's.
    await #expect(processExitsWith: .success) { [kind] in
      let folder = Folder()
      let transport = try ZeroMQTransport.holder()
      let center = try transport.makeHub(Meeting.limits)
      let address = try center.listen(
        on: kind == "tcp" ? .tcp(host: "127.0.0.1", port: 0) : .ipc(path: "\(folder.path)/center"))
      let other = try transport.makeHub(Meeting.limits)
      func meet() throws {
        let peer = try other.connect(to: address)
        _ = try other.send(numbered(1), to: peer)
        let from = try center.message(while: other).peer
        _ = try center.send(numbered(2), to: from)
        _ = try other.message(while: center)
        other.letGo(of: peer)
        center.letGo(of: from)
        try #require(center.send(numbered(3), to: from) == .unreachable)
      }
      for _ in 0..<20 { try meet() }
      let before = Self.descriptors
      for _ in 0..<1000 { try meet() }
      // What was closed last may still be on its way out.
      var after = Self.descriptors
      for _ in 0..<Meeting.patience where after > before + 16 {
        _ = try center.receive(timeoutMilliseconds: 1)
        after = Self.descriptors
      }
      print("descriptors: \(before), \(after)")
      try #require(after <= before + 16)
      for hub in [center, other] { hub.close(lingerMilliseconds: 0) }
    }
  }

  @Test("Places of listeners that are gone are let go too: nobody is called there any more")
  func goneListeners() async {
    await #expect(processExitsWith: .success) {
      let transport = try ZeroMQTransport.holder()
      let hub = try transport.makeHub(Meeting.limits)
      let before = Self.descriptors
      for _ in 0..<200 {
        let listener = try transport.makeHub(Meeting.limits)
        let peer = try hub.connect(to: listener.listen(on: .tcp(host: "127.0.0.1", port: 0)))
        _ = try hub.send(numbered(1), to: peer)
        _ = try listener.message(while: hub)
        listener.close(lingerMilliseconds: 0)
        hub.letGo(of: peer)
      }
      var after = Self.descriptors
      for _ in 0..<Meeting.patience where after > before + 16 {
        _ = try hub.receive(timeoutMilliseconds: 1)
        after = Self.descriptors
      }
      try #require(after <= before + 16, "\(before), \(after)")
      hub.close(lingerMilliseconds: 0)
    }
  }

  @Test("Routes of connections that are over are forgotten when others come")
  func routes() {
    var table = RouteTable(maximumPeers: 100)
    var number: UInt64 = 0
    for id in 0..<1000 {
      let peer = table.peer(for: [UInt8](String(id).utf8), name: nil) {
        number += 1
        return Peer(rawValue: number)
      }
      if id % 2 == 0 { table.forget(peer) }
    }
    #expect(table.count <= 100)
  }
}

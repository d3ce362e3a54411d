import ParameterServer
import Runtime
import Testing
import Transport

/// A key says who may say what.
@Suite struct SenderCheckTests {
  private static let token = JobToken([UInt8](repeating: 7, count: JobToken.byteCount))!

  private func refusal(
    _ role: Role, _ number: UInt32, _ message: Message = .alive, key name: String?
  ) throws -> Refusal? {
    let envelope = Envelope(
      token: Self.token, view: .none, sender: Member(role, number), incarnation: Incarnation(1), message: message)
    let identity = try name.map { try #require(PeerIdentity(name: $0)) }
    return SenderCheck.refusal(of: envelope, provedBy: identity)
  }

  @Test(
    "Who says what its key is of is heard",
    arguments: [
      (.coordinator, 0, "coordinator"), (.server, 3, "server.3"), (.worker, 12, "worker.12"), (.client, 0, "client"),
      (.worker, Member.unassigned, "worker.12"),
    ] as [(Role, UInt32, String)])
  func honest(_ role: Role, _ number: UInt32, _ name: String) throws {
    #expect(try refusal(role, number, key: name) == nil)
    #expect(try refusal(role, number, key: nil) == nil)
  }

  @Test(
    "Another role or another number than the key's is refused",
    arguments: [
      (.server, 0, "worker.0"), (.worker, 0, "server.0"), (.coordinator, 0, "worker.0"), (.coordinator, 0, "client"),
      (.worker, 1, "worker.0"), (.server, 0, "server.1"), (.server, Member.unassigned, "worker.0"),
      (.worker, 0, "client"), (.client, 0, "worker.0"), (.client, 0, "coordinator"),
    ] as [(Role, UInt32, String)])
  func posing(_ role: Role, _ number: UInt32, _ name: String) throws {
    #expect(try refusal(role, number, key: name)?.reason == .wrongKey)
  }

  @Test("A place is asked for by the key's own name, and the refusal says whose key it is")
  func asking() throws {
    let hello = { (role: Role, name: String) in Message.hello(Hello(role: role, name: name)) }
    let unassigned = Member.unassigned
    #expect(try refusal(.worker, unassigned, hello(.worker, "worker.1"), key: "worker.1") == nil)
    #expect(try refusal(.worker, 1, hello(.worker, "worker.1"), key: "worker.1") == nil)
    #expect(try refusal(.worker, unassigned, hello(.worker, ""), key: "worker.1")?.reason == .wrongKey)
    #expect(try refusal(.worker, unassigned, hello(.worker, "worker.2"), key: "worker.1")?.reason == .wrongKey)
    let server = try refusal(.worker, unassigned, hello(.server, "server.0"), key: "worker.1")
    #expect(
      server?.explanation
        == "the key is worker.1's, and the message is of a server that asks for the place server.0")
  }

  @Test("Only a client asks how a job does, or changes its mode")
  func asked() throws {
    #expect(try refusal(.client, 0, .statusRequest, key: "client") == nil)
    #expect(try refusal(.client, 0, .setMode(.async), key: "client") == nil)
    #expect(try refusal(.worker, 1, .setMode(.async), key: "worker.1")?.reason == .wrongKey)
    #expect(try refusal(.client, 0, .setMode(.async), key: "worker.1")?.reason == .wrongKey)
  }
}

import ParameterServer
import Testing

/// What a server refuses: with an answer, counted, and its payload let go of.
@Suite struct ServerFenceTests {
  private let push = Message.push(Push(chunk: 0, step: 0, node: ShardNode(level: 0, index: 0), basis: 0))

  private func expectRefusal(
    _ reason: RefusalReason, _ stage: ServerStage, _ sent: (effects: [ServerEffect], handle: GradientHandle)
  ) {
    #expect(sent.effects.refusals == [reason])
    #expect(sent.effects.released == [sent.handle])
    #expect(sent.effects.count == 2)
    #expect(stage.server.refusals[reason] == 1 && stage.server.refusals.total == 1)
    #expect(stage.server.version(of: 0) == 0)
  }

  @Test func anotherJobsToken() {
    var stage = ServerStage()
    let sent = stage.send(push, bytes: stage.view.rules.chunks.bytes(of: 0), token: ClusterSettings.otherToken)
    expectRefusal(.wrongJob, stage, sent)
  }

  @Test func aDeadIncarnationsPush() {
    var stage = ServerStage()
    let sent = stage.send(push, bytes: stage.view.rules.chunks.bytes(of: 0), incarnation: Incarnation(1))
    expectRefusal(.deadIncarnation, stage, sent)
  }

  @Test(arguments: [0, 2, 4, UInt64.max]) func aPushOfAnotherView(view: UInt64) {
    var stage = ServerStage()
    let sent = stage.send(push, bytes: stage.view.rules.chunks.bytes(of: 0), view: ViewNumber(view))
    expectRefusal(.oldView, stage, sent)
  }

  @Test(arguments: [Member(.worker, 3), Member(.worker, Member.unassigned), .coordinator, Member(.server, 9)])
  func aSenderWithoutAPlace(sender: Member) {
    var stage = ServerStage()
    let sent = stage.send(push, bytes: stage.view.rules.chunks.bytes(of: 0), sender: sender)
    expectRefusal(.unknownMember, stage, sent)
  }

  @Test func anotherServersPush() {
    var stage = ServerStage()
    let sent = stage.send(
      push, bytes: stage.view.rules.chunks.bytes(of: 0), sender: Member(.server, 1),
      incarnation: Actor.server(1).incarnation)
    expectRefusal(.misplaced, stage, sent)
  }

  @Test(arguments: [nil, 0, 3, 1 << 30]) func aPayloadOfAnotherLength(bytes: Int?) {
    var stage = ServerStage()
    let sent = stage.send(push, bytes: bytes)
    #expect(sent.effects.refusals == [.malformed])
    #expect(sent.effects.released == (bytes == nil ? [] : [sent.handle]))
    #expect(stage.server.refusals[.malformed] == 1)
  }

  @Test func aChunkThatIsElsewhere() throws {
    let theirs = try #require(ServerStage().view.servers[1].chunks.first)
    for chunk in [theirs, UInt32(ServerStage().view.rules.chunks.count), .max] {
      var stage = ServerStage()
      let push = Push(chunk: chunk, step: 0, node: ShardNode(level: 0, index: 0), basis: 0)
      let sent = stage.send(.push(push), bytes: 64)
      expectRefusal(.misplaced, stage, sent)
      #expect(stage.pull(chunk, version: 0).refusals == [.misplaced])
    }
  }

  @Test func whatOnlyOthersTake() {
    for message in [.leaseRequest, .alive, .viewAccepted, .stop(.completed), .leaving(""), .view(ServerStage().view)]
      as [Message]
    {
      var stage = ServerStage()
      let sent = stage.send(message, bytes: 5)
      expectRefusal(.misplaced, stage, sent)
      #expect(stage.push(0, 0).effects.isEmpty, "it serves on")
    }
  }

  @Test func bytesThatAreNoMessage() {
    var stage = ServerStage()
    let refusal = Refusal(.malformed, "too long")
    let effects = stage.handle(.unreadable(refusal, from: .connection(Actor.worker(0).connection)))
    #expect(effects.messages == [.refused(refusal)])
    #expect(stage.handle(.unreadable(refusal, from: .coordinator)).isEmpty)
    #expect(stage.server.refusals[.malformed] == 2)
  }

  @Test func whatComesBeforeTheParameters() {
    var stage = ServerStage(isInitialised: false)
    let push = stage.push(0, 0)
    #expect(push.effects.refusals == [.misplaced] && push.effects.released == [push.handle])
    #expect(stage.pull(version: 0).refusals == [.misplaced])
    #expect(stage.fromCoordinator(.pull(Pull(chunk: 0, version: 0))).isEmpty)
    #expect(stage.server.refusals[.misplaced] == 3)
  }

  @Test func whatComesBeforeTheView() {
    var server = Server(name: "", token: ClusterSettings.token, incarnation: Incarnation(1))
    let envelope = Envelope(
      token: ClusterSettings.token, view: ViewNumber(1), sender: Member(.worker, 0), incarnation: Incarnation(2),
      message: push)
    let payload = ReceivedPayload(handle: GradientHandle(4), bytes: 8)
    let effects = server.handle(
      .message(envelope, from: .connection(Connection(1)), payload: payload), at: Moment(milliseconds: 1))
    #expect(effects.refusals == [.misplaced] && effects.released == [GradientHandle(4)])
  }

  @Test func theCoordinatorsMessageWithAnotherToken() {
    var stage = ServerStage()
    #expect(stage.fromCoordinator(.stop(.completed), token: ClusterSettings.otherToken).isEmpty)
    #expect(stage.server.refusals[.wrongJob] == 1)
    #expect(stage.push(0, 0).effects.isEmpty, "it serves on")
  }

  @Test func payloadsThatComeAfterTheEnd() {
    var stage = ServerStage()
    #expect(stage.fromCoordinator(.stop(.completed)).stops == [.completed])
    let push = stage.push(0, 0)
    #expect(push.effects == [.release(push.handle)])
    #expect(stage.fromCoordinator(.stop(.completed)).isEmpty)
  }
}

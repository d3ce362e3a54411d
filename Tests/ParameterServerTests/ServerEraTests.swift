import ParameterServer
import Testing

/// What a server's chunks begin with, its snapshots, and views that follow each other.
@Suite struct ServerEraTests {
  private let rules = Job.rules(every: 2)

  private func restored(_ number: UInt64 = 1, era: UInt32 = 1, step: Int = 4, chunks: [[UInt32]] = [[0, 1]]) -> View {
    Job.view(rules, number, era: era, origin: .checkpoint(step: step), chunks: chunks)
  }

  private func restore(_ chunk: UInt32, _ closed: UInt64 = 4) -> Message {
    .restore(ChunkPosition(chunk: chunk, version: closed, closed: closed))
  }

  @Test func theFirstParametersAreMadeBeforeTheViewIsAccepted() {
    var bench = ServerBench(unstarted: Job.view(rules))
    bench.join()
    let adopted = bench.adopt(bench.view)
    #expect(adopted.contains(.initialise(chunks: [0, 1], era: 1)) && adopted.accepted.isEmpty)
    #expect(bench.push(0, node(2, 0)).refusals == [.misplaced])
    #expect(bench.handle(.initialised(chunks: [0, 1], era: 1)).accepted == [0])
  }

  @Test func aViewIsAcceptedOnceTheLastOfItsChunksIsFilled() {
    var bench = ServerBench(unstarted: Job.view(rules))
    bench.join()
    _ = bench.adopt(bench.view)
    #expect(bench.handle(.initialised(chunks: [1], era: 1)).accepted.isEmpty)
    #expect(bench.server.position(of: 0) == nil && bench.server.position(of: 1)?.version == 0)
    // The coordinator tells the view once more, and signs of life are due, while the rest is filled.
    #expect(bench.adopt(bench.view).accepted.isEmpty)
    #expect(bench.tick().signsOfLife == 1)
    #expect(bench.handle(.initialised(chunks: [0], era: 1)).accepted == [0])
    #expect(bench.handle(.initialised(chunks: [0, 1], era: 1)).accepted.isEmpty, "filled twice, for two views")
  }

  @Test func chunksThatAreFilledForAViewOfBeforeCountWhereTheyAreStillWanted() {
    var bench = ServerBench(unstarted: Job.view(rules, chunks: [[0], [1]]))
    bench.join()
    _ = bench.adopt(bench.view)
    // The other server is gone before anybody works: its chunk comes here, and then goes to a third.
    #expect(bench.adopt(Job.view(rules, 2, chunks: [[0, 1]])).contains(.initialise(chunks: [0, 1], era: 1)))
    #expect(bench.adopt(Job.view(rules, 3, chunks: [[0], [1]])).contains(.initialise(chunks: [0], era: 1)))
    let filled = bench.handle(.initialised(chunks: [0, 1], era: 1))
    #expect(filled.accepted == [0] && filled.contains(.drop(chunk: 1)))
  }

  @Test func whatWasFilledForAnEarlierEraIsVoid() {
    var bench = ServerBench(unstarted: Job.view(rules))
    bench.join()
    _ = bench.adopt(bench.view)
    #expect(bench.adopt(Job.view(rules, 2, era: 2)).contains(.initialise(chunks: [0, 1], era: 2)))
    #expect(bench.handle(.initialised(chunks: [0, 1], era: 1)).isEmpty)
    #expect(bench.handle(.initialised(chunks: [0, 1], era: 2)).accepted == [0])
  }

  @Test func aCheckpointIsInstalledBeforeTheViewIsAccepted() {
    var bench = ServerBench(restored())
    #expect(bench.fromCoordinator(restore(0), bytes: 192).accepted.isEmpty)
    #expect(bench.fromCoordinator(restore(0), bytes: 192).released.count == 1, "it came twice")
    #expect(bench.fromCoordinator(restore(1), bytes: 192).accepted == [4])
    #expect(bench.pull(1, closed: 0).answers == [Answer(version: 4, closed: 4)])
    #expect(bench.ledger.held.isEmpty)
  }

  @Test func whatWasNotRestoredIsAskedFor() {
    var bench = ServerBench(restored())
    _ = bench.fromCoordinator(restore(0), bytes: 192)
    #expect(bench.tick().lost == [1])
    _ = bench.fromCoordinator(restore(1), bytes: 192)
    #expect(bench.tick().lost.isEmpty)
  }

  @Test func aViewIsAcceptedAgainUntilAWorkerHasCome() {
    var bench = ServerBench(Job.view(rules))
    #expect(bench.tick().accepted == [0], "the first may be lost")
    _ = bench.pull(closed: 0)
    #expect(bench.tick().accepted.isEmpty)
    #expect(bench.adopt(Job.view(rules, 2, isBeginning: false)).accepted == [0])
    #expect(bench.tick().accepted == [0])
  }

  @Test func aStateThatNoJobHasIsNotInstalled() {
    var bench = ServerBench(restored())
    for position in [
      ChunkPosition(chunk: 0, version: .max, closed: 4), ChunkPosition(chunk: 0, version: 4, closed: .max),
      ChunkPosition(chunk: 9, version: 4, closed: 4),
    ] { _ = bench.fromCoordinator(.restore(position), bytes: 192) }
    #expect(bench.ledger.held.isEmpty && bench.server.position(of: 0) == nil)
  }

  @Test func aServerThatIsGivenMoreWhileTheEraBeginsIsGivenItsStateToo() {
    var bench = ServerBench(restored(chunks: [[0], [1]]))
    _ = bench.fromCoordinator(restore(0), bytes: 192)
    let adopted = bench.adopt(restored(2))
    #expect(adopted.lost.isEmpty && adopted.accepted.isEmpty)
    #expect(bench.fromCoordinator(restore(1), bytes: 192).accepted == [4])
  }

  @Test func aNewEraForgetsEverything() {
    var bench = ServerBench(Job.view(rules))
    _ = bench.push(0, node(2, 0))
    _ = bench.push(0, node(1, 0), chunk: 1)
    let adopted = bench.adopt(restored(2, era: 2))
    #expect(adopted.contains(.drop(chunk: 0)) && adopted.contains(.drop(chunk: 1)))
    #expect(bench.ledger.held.isEmpty && bench.server.position(of: 0) == nil)
    #expect(bench.applied(0, 1).isEmpty, "of an era that is over")
    _ = bench.fromCoordinator(restore(0), bytes: 192)
    _ = bench.fromCoordinator(restore(1), bytes: 192)
    #expect(bench.push(4, node(2, 0), basis: 4).updates.map(\.version) == [5])
  }

  @Test func aChunkWithoutStateAfterTheBeginningIsLost() {
    var bench = ServerBench(Job.view(rules, chunks: [[0], [1]]))
    let adopted = bench.adopt(Job.view(rules, 2, isBeginning: false))
    #expect(adopted.lost == [1] && adopted.accepted.isEmpty)
    #expect(bench.tick().lost == [1])
    #expect(bench.pull(1, closed: 0).refusals == [.misplaced])
  }

  // MARK: Views

  @Test func aViewDropsPartsAndWaitersAndKeepsTheUpdate() {
    var bench = ServerBench(Job.view(rules))
    _ = bench.push(0, node(1, 0))
    _ = bench.push(0, node(2, 0), chunk: 1)
    let adopted = bench.adopt(Job.view(rules, 2, isBeginning: false))
    #expect(adopted.released == [GradientHandle(0)] && adopted.accepted == [1], "the update under way counts")
    #expect(bench.applied(1, 1).answers.isEmpty, "its sender asks again")
    #expect(bench.push(0, node(2, 0), chunk: 1).answers == [Answer(version: 1, closed: 1)])
    #expect(bench.push(0, node(1, 0)).updates.isEmpty)
    #expect(bench.push(0, node(1, 1)).updates.count == 1)
  }

  @Test func queuedPushesAreSentAgainInANewView() {
    let rules = Job.rules(.async)
    var bench = ServerBench(Job.view(rules))
    _ = bench.push(0, node(0, 0), awaits: 0)
    _ = bench.push(0, node(0, 1), awaits: 0)
    #expect(bench.adopt(Job.view(rules, 2, isBeginning: false)).released == [GradientHandle(1)])
    #expect(bench.applied(0, 1).updates.isEmpty)
    #expect(bench.push(0, node(0, 1), awaits: 0).updates.map(\.unit) == [1])
    #expect(bench.push(0, node(0, 0), awaits: 0).updates.isEmpty, "it is applied already")
  }

  @Test func whatBelongsToAnotherViewOrLifeIsRefused() {
    var bench = ServerBench(Job.view(rules))
    let push = Message.push(Push(chunk: 0, step: 0, node: node(2, 0), basis: 0, awaits: 1))
    func envelope(_ view: UInt64, _ sender: Member, _ life: UInt64, _ token: JobToken = Job.token) -> Envelope {
      Envelope(
        token: token, view: ViewNumber(view), sender: sender, incarnation: Incarnation(life), message: push)
    }
    for (envelope, reason) in [
      (envelope(0, worker(0), 300), .oldView), (envelope(2, worker(0), 300), .oldView),
      (envelope(1, worker(0), 301), .deadIncarnation), (envelope(1, worker(5), 300), .unknownMember),
      (envelope(1, .coordinator, 1), .unknownMember), (envelope(1, worker(0), 300, Job.otherToken), .wrongJob),
      (envelope(1, server(0), 200), .misplaced),
    ] as [(Envelope, RefusalReason)] {
      let payload = bench.arrive(64)
      let effects = bench.handle(.message(envelope, from: .connection(Connection(5)), payload: payload))
      #expect(effects.refusals == [reason] && effects.released == [payload.handle])
    }
    #expect(bench.ledger.held.isEmpty && bench.server.refusals.total == 7)
  }

  // MARK: Snapshots

  @Test func cutsAreSnapshottedAndSentUntilTheyAreTaken() {
    var bench = ServerBench(Job.view(rules))
    #expect(bench.close(0).snapshots.isEmpty)
    #expect(bench.close(1).snapshots.map(\.closed) == [2])
    let again = bench.tick().messages.contains { if case .snapshot(let it) = $0 { it.version == 2 } else { false } }
    #expect(again)
    #expect(bench.fromCoordinator(.snapshotTaken(chunk: 0, version: 1)).isEmpty, "of another snapshot")
    #expect(bench.fromCoordinator(.snapshotTaken(chunk: 0, version: 2)) == [.forgetSnapshot(chunk: 0)])
    #expect(!bench.tick().messages.contains { if case .snapshot = $0 { true } else { false } })
  }

  @Test func aCutThatIsCommandedComesOnce() {
    let rules = Job.rules()
    var bench = ServerBench(Job.view(rules))
    _ = bench.fromCoordinator(.cut(3))
    _ = bench.close(0)
    #expect(bench.close(1).snapshots.isEmpty)
    #expect(bench.close(2).snapshots.map(\.closed) == [3])
    #expect(bench.close(3).snapshots.isEmpty)
    for step in 4..<7 { #expect(bench.close(step).snapshots.isEmpty) }
    #expect(bench.close(7).snapshots.map(\.closed) == [8], "the last step is always one")
  }

  @Test func theLastCutIsMadeAgainInANewView() {
    let rules = Job.rules(steps: 1)
    var bench = ServerBench(Job.view(rules, chunks: [[0], [1]]))
    _ = bench.close(0)
    _ = bench.fromCoordinator(.snapshotTaken(chunk: 0, version: 1))
    let view = Job.view(rules, 2, isBeginning: false, chunks: [[0], [1]], lives: [server(1): 999])
    #expect(bench.adopt(view).snapshots.map(\.closed) == [1], "the coordinator may not have stored it")
  }
}

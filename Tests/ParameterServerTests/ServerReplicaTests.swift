import ParameterServer
import Testing

/// A primary and its replica.
@Suite struct ServerReplicaTests {
  private let rules = Job.rules()

  /// Server 0 serves chunk 0 and server 1 chunk 1; each keeps the other's replica.
  private func view(_ number: UInt64 = 1, isBeginning: Bool = true, lives: [Member: UInt64] = [:]) -> View {
    Job.view(rules, number, isBeginning: isBeginning, chunks: [[0], [1]], replicas: [[1], [0]], lives: lives)
  }

  /// Server 1 is gone.
  private func alone(_ number: UInt64) -> View {
    Job.view(rules, number, isBeginning: false, chunks: [[0, 1]])
  }

  private func update(_ version: UInt64, chunk: UInt32 = 1) -> Message {
    .replicate(
      Update(
        chunk: chunk, version: version, closed: version, unit: nil, kind: .summed, step: version - 1, staleness: 0,
        basis: version - 1, worker: nil, samples: 8, shards: 4))
  }

  private func confirm(_ version: UInt64) -> Message { .replicated(chunk: 0, version: version) }

  @Test func anUpdateIsSeenOnceTheReplicaHasIt() {
    var bench = ServerBench(view())
    let ordered = bench.push(0, node(2, 0))
    #expect(ordered.replicated.map(\.version) == [1] && ordered.updates.count == 1)
    #expect(bench.applied(0, 1).answers.isEmpty)
    #expect(bench.pull(closed: 0, exact: true).answers == [Answer(version: 0, closed: 0)])
    let confirmed = bench.send(confirm(1), from: server(1))
    #expect(confirmed.answers == [Answer(version: 1, closed: 1)] && bench.ledger.held.isEmpty)
  }

  @Test func aConfirmationBeforeTheOwnUpdateIsNotEnough() {
    var bench = ServerBench(view())
    _ = bench.push(0, node(2, 0))
    #expect(bench.send(confirm(1), from: server(1)).answers.isEmpty)
    #expect(bench.applied(0, 1).answers.count == 1)
  }

  @Test func onlyTheReplicaConfirms() {
    var bench = ServerBench(Job.view(rules, chunks: [[0], [1], []], replicas: [[], [0], [1]]))
    _ = bench.push(0, node(2, 0))
    _ = bench.applied(0, 1)
    #expect(bench.send(confirm(1), from: server(2)).answers.isEmpty)
    #expect(bench.send(confirm(1), from: server(1)).answers == [Answer(version: 1, closed: 1)])
  }

  @Test func whatWasNotOrderedIsNotMade() {
    var bench = ServerBench(Job.view(rules))
    #expect(bench.handle(.applied(chunk: 0, version: 1)).isEmpty)
    _ = bench.push(0, node(2, 0))
    for (chunk, version) in [(0, 0), (0, 2), (1, 1), (7, 1)] as [(Int, UInt64)] {
      #expect(bench.handle(.applied(chunk: chunk, version: version)).isEmpty)
    }
    #expect(bench.applied(0, 1).answers == [Answer(version: 1, closed: 1)])
  }

  @Test func anUnconfirmedUpdateIsSentAgain() {
    var bench = ServerBench(view())
    _ = bench.push(0, node(2, 0))
    #expect(bench.tick().replicated.map(\.version) == [1])
    _ = bench.applied(0, 1)
    _ = bench.send(confirm(1), from: server(1))
    #expect(bench.tick().replicated.isEmpty)
  }

  @Test func aReplicaMakesUpdatesInOrderAndConfirmsThem() {
    var bench = ServerBench(view())
    #expect(bench.send(update(2), from: server(1), bytes: 64).released == [GradientHandle(0)], "one is missing")
    #expect(bench.send(update(1), from: server(1), bytes: 64).updates.map(\.version) == [1])
    #expect(bench.send(update(1), from: server(1), bytes: 64).confirmed.isEmpty, "it is under way")
    #expect(bench.applied(1, 1).confirmed == [1])
    #expect(bench.send(update(1), from: server(1), bytes: 64).confirmed == [1], "its confirmation was lost")
    #expect(bench.server.position(of: 1)?.version == 1 && bench.ledger.held.isEmpty)
    #expect(bench.pull(1, closed: 0).refusals == [.misplaced], "workers do not reach a replica")
  }

  @Test func aReplicaTakesOnlyFromItsPrimaryWhatCanBe() {
    var bench = ServerBench(view())
    #expect(bench.send(update(1, chunk: 0), from: server(1), bytes: 64).refusals == [.misplaced])
    #expect(bench.send(update(1, chunk: 7), from: server(1), bytes: 64).refusals == [.misplaced])
    #expect(bench.send(update(1), from: server(1), bytes: 60).refusals == [.malformed])
    #expect(bench.send(update(1), from: server(1)).refusals == [.malformed])
    let single = Update(
      chunk: 1, version: 1, closed: 0, unit: .max, kind: .single, step: 0, staleness: 0, basis: 0, worker: 0,
      samples: 8, shards: 4)
    #expect(bench.send(.replicate(single), from: server(1), bytes: 64).refusals == [.outOfBounds])
    for position in [
      ChunkPosition(chunk: 1, version: .max, closed: 1), ChunkPosition(chunk: 1, version: 1, closed: 9),
      ChunkPosition(chunk: 1, version: 1, closed: 1, covered: UnitSet(ranges: [5..<Int.max])!),
    ] {
      #expect(bench.send(.replica(position), from: server(1), bytes: 64).refusals == [.outOfBounds])
    }
    #expect(bench.ledger.held.isEmpty && bench.server.position(of: 1)?.version == 0)
  }

  @Test func aLostReplicaIsNoLongerWaitedFor() {
    var bench = ServerBench(view())
    _ = bench.push(0, node(2, 0))
    _ = bench.applied(0, 1)
    let adopted = bench.adopt(alone(2))
    #expect(adopted.lost == [], "chunk 1 was its replica")
    #expect(bench.server.position(of: 0)?.version == 1 && bench.server.serves(1))
    // Those who wait ask again in the new view.
    #expect(bench.push(0, node(2, 0)).answers == [Answer(version: 1, closed: 1)])
  }

  @Test func aPromotedReplicaGoesOnWhereItIs() {
    var bench = ServerBench(view())
    _ = bench.send(update(1), from: server(1), bytes: 64)
    _ = bench.applied(1, 1)
    _ = bench.send(update(2), from: server(1), bytes: 64)
    // Promoted with an update under way, which counts.
    #expect(bench.adopt(alone(2)).accepted == [2])
    #expect(bench.push(1, node(2, 0), chunk: 1).updates.isEmpty, "it is under way already")
    #expect(bench.applied(1, 2).answers == [Answer(version: 2, closed: 2)])
    #expect(bench.pull(1, closed: 1, exact: true).answers == [Answer(version: 1, closed: 1)])
    #expect(bench.ledger.held.isEmpty)
  }

  @Test func aNewReplicaGetsTheStateAndThenUpdates() {
    var bench = ServerBench(view())
    _ = bench.close(0)
    _ = bench.send(confirm(1), from: server(1))
    let adopted = bench.adopt(view(2, isBeginning: false, lives: [server(1): 999]))
    #expect(adopted.states.map(\.version) == [1] && adopted.states.map(\.chunk) == [0])
    // The update that is ordered meanwhile waits for the state's confirmation.
    #expect(bench.push(1, node(2, 0)).replicated.isEmpty)
    #expect(bench.send(confirm(1), from: server(1)).replicated.map(\.version) == [2])
    #expect(bench.applied(0, 2).answers.isEmpty)
    #expect(bench.send(confirm(2), from: server(1)).answers.count == 1)
  }

  @Test func aStateThatIsSentAfterAnUpdateHoldsIt() {
    var bench = ServerBench(view())
    _ = bench.push(0, node(2, 0))
    let adopted = bench.adopt(view(2, isBeginning: false, lives: [server(1): 999]))
    #expect(adopted.states.isEmpty, "half an update cannot be sent")
    #expect(bench.applied(0, 1).states.map(\.version) == [1])
    #expect(bench.tick().states.map(\.closed) == [1], "again, as long as it is not confirmed")
    #expect(bench.server.position(of: 0)?.version == 0)
    _ = bench.send(confirm(1), from: server(1))
    #expect(bench.server.position(of: 0)?.version == 1)
  }

  @Test func aNewReplicaInstallsTheStateOnce() {
    var bench = ServerBench(unstarted: view(2, isBeginning: false, lives: [server(1): 999]), number: 1)
    bench.join()
    // It serves chunk 1 in this view, and has nothing of it.
    #expect(bench.adopt(bench.view).lost == [1])
    let state = Message.replica(ChunkPosition(chunk: 0, version: 3, closed: 3))
    #expect(bench.send(state, from: server(0), bytes: 192).confirmed == [3])
    #expect(bench.send(state, from: server(0), bytes: 192).confirmed == [3])
    #expect(bench.server.position(of: 0)?.version == 3 && bench.ledger.held.isEmpty)
  }

  @Test func aReplicaForgetsWhatItHasOfAnotherPrimary() {
    var bench = ServerBench(view())
    _ = bench.send(update(1), from: server(1), bytes: 64)
    // Another life of server 1 serves chunk 1: what is here may differ from what is there.
    let adopted = bench.adopt(view(2, isBeginning: false, lives: [server(1): 999]))
    #expect(adopted.contains(.drop(chunk: 1)) && bench.server.position(of: 1) == nil)
    #expect(bench.applied(1, 1).confirmed.isEmpty, "it was given up")
    #expect(bench.ledger.held.isEmpty)
  }

  @Test func theSamePairGoesOnThroughAView() {
    var bench = ServerBench(view())
    _ = bench.push(0, node(2, 0))
    let adopted = bench.adopt(view(2, isBeginning: false))
    #expect(adopted.states.isEmpty && adopted.replicated.map(\.version) == [1])
    _ = bench.applied(0, 1)
    _ = bench.send(confirm(1), from: server(1))
    #expect(bench.server.position(of: 0)?.version == 1)
  }
}

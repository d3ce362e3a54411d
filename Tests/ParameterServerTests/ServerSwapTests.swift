import ParameterServer
import Testing

/// A primary and its replica that swap their roles.
@Suite struct ServerSwapTests {
  private let rules = Job.rules()

  /// Server 0 serves chunk 0 and server 1 chunk 1; each keeps the other's replica.
  private func view(_ number: UInt64 = 1, isBeginning: Bool = true) -> View {
    Job.view(rules, number, isBeginning: isBeginning, chunks: [[0], [1]], replicas: [[1], [0]])
  }

  private func swapped(_ number: UInt64, lives: [Member: UInt64] = [:]) -> View {
    Job.view(rules, number, isBeginning: false, chunks: [[1], [0]], replicas: [[0], [1]], lives: lives)
  }

  private func replicate(_ version: UInt64, chunk: UInt32) -> Message {
    .replicate(
      Update(
        chunk: chunk, version: version, closed: version, unit: nil, kind: .summed, step: version - 1, staleness: 0,
        basis: version - 1, worker: nil, samples: 8, shards: 4))
  }

  private func confirm(_ version: UInt64, chunk: UInt32) -> Message { .replicated(chunk: chunk, version: version) }

  private func state(_ version: UInt64, chunk: UInt32) -> Message {
    .replica(ChunkPosition(chunk: chunk, version: version, closed: version))
  }

  /// The chunk that it served has one update, and another under way that server 1 has not confirmed.
  private func ahead(isApplied: Bool) -> ServerBench {
    var bench = ServerBench(view())
    _ = bench.close(0)
    _ = bench.send(confirm(1, chunk: 0), from: server(1))
    _ = bench.push(1, node(2, 0))
    if isApplied { _ = bench.applied(0, 2) }
    return bench
  }

  @Test func withoutAnUpdateUnderWayNoStateMoves() {
    var bench = ServerBench(view())
    _ = bench.close(0)
    _ = bench.send(confirm(1, chunk: 0), from: server(1))
    _ = bench.send(replicate(1, chunk: 1), from: server(1), bytes: 64)
    _ = bench.applied(1, 1)
    let adopted = bench.adopt(swapped(2))
    #expect(adopted.states.isEmpty && adopted.lost.isEmpty && !adopted.contains(.drop(chunk: 0)))
    #expect(adopted.accepted == [1] && bench.server.serves(1) && !bench.server.serves(0))
    // What it was the primary of it now repeats, and what it repeated it now makes.
    #expect(bench.send(replicate(2, chunk: 0), from: server(1), bytes: 64).updates.map(\.version) == [2])
    #expect(bench.applied(0, 2).confirmed == [2])
    let ordered = bench.push(1, node(2, 0), chunk: 1)
    #expect(ordered.updates.map(\.version) == [2] && ordered.replicated.map(\.version) == [2])
    #expect(bench.applied(1, 2).answers.isEmpty, "nothing is published before the replica has it")
    #expect(bench.send(confirm(2, chunk: 1), from: server(1)).answers == [Answer(version: 2, closed: 2)])
    #expect(bench.pull(0, closed: 0).refusals == [.misplaced] && bench.ledger.held.isEmpty)
  }

  @Test(arguments: [true, false]) func anUpdateThatIsAheadIsReplacedByThePrimarysState(isApplied: Bool) {
    var bench = ahead(isApplied: isApplied)
    let adopted = bench.adopt(swapped(2))
    #expect(!adopted.contains(.drop(chunk: 0)), "it is the second copy of what was published")
    #expect(adopted.lost == (isApplied ? [0] : []), "half an update cannot be replaced")
    if !isApplied {
      #expect(bench.send(state(1, chunk: 0), from: server(1), bytes: 192).confirmed.isEmpty)
      #expect(bench.applied(0, 2).lost == [0])
    }
    #expect(bench.server.position(of: 0)?.version == 1)
    let again = bench.send(replicate(2, chunk: 0), from: server(1), bytes: 64)
    #expect(again.lost == [0] && again.updates.isEmpty && again.confirmed.isEmpty)
    #expect(bench.tick().lost == [0], "again, as long as it does not come")
    #expect(bench.send(state(1, chunk: 0), from: server(1), bytes: 192).confirmed == [1])
    #expect(bench.send(replicate(2, chunk: 0), from: server(1), bytes: 64).updates.map(\.version) == [2])
    #expect(bench.applied(0, 2).confirmed == [2] && bench.ledger.held.isEmpty)
  }

  @Test func theSecondCopyServesWhereTheNewPrimaryIsLost() {
    var bench = ahead(isApplied: true)
    _ = bench.adopt(swapped(2))
    let alone = bench.adopt(Job.view(rules, 3, isBeginning: false, chunks: [[0, 1]]))
    #expect(alone.lost.isEmpty && bench.server.position(of: 0)?.version == 2, "nobody has seen another")
    #expect(bench.push(1, node(2, 0)).answers == [Answer(version: 2, closed: 2)])
    #expect(bench.ledger.held.isEmpty)
  }

  @Test func aReplicaThatLacksTheStateIsSentIt() {
    var bench = ServerBench(view())
    _ = bench.send(replicate(1, chunk: 1), from: server(1), bytes: 64)
    // It has the update that its former primary made; whether that knows is not known.
    let adopted = bench.adopt(swapped(2))
    #expect(adopted.states.isEmpty)
    #expect(bench.send(.stateLost(chunk: 1), from: server(1)).states.isEmpty, "half an update cannot be sent")
    #expect(bench.applied(1, 1).states.map(\.version) == [1])
    #expect(bench.send(.stateLost(chunk: 1), from: server(1)).states.isEmpty, "it is on its way")
    _ = bench.send(confirm(1, chunk: 1), from: server(1))
    #expect(bench.server.position(of: 1)?.version == 1)
    #expect(bench.send(.stateLost(chunk: 0), from: server(1)).states.isEmpty, "that is its own")
    #expect(bench.send(.stateLost(chunk: 9), from: server(1)).states.isEmpty)
    #expect(bench.send(.stateLost(chunk: 1), from: worker(0)).refusals == [.misplaced])
  }

  @Test func anotherLifeTakesNoPartInASwap() {
    var bench = ahead(isApplied: true)
    let adopted = bench.adopt(swapped(2, lives: [server(1): 999]))
    #expect(adopted.contains(.drop(chunk: 0)) && adopted.states.map(\.chunk) == [1])
    #expect(bench.server.position(of: 0) == nil)
  }

  @Test func whatIsBehindIsToldTheCoordinator() {
    func behind(_ effects: [ServerEffect]) -> UInt64? {
      effects.messages.compactMap { if case .progress(let progress) = $0 { progress.behind } else { nil } }.last
    }
    var bench = ahead(isApplied: true)
    #expect(behind(bench.tick()) == 0, "an update under way is no lack of state")
    _ = bench.adopt(swapped(2))
    #expect(behind(bench.tick()) == 1)
    _ = bench.send(state(1, chunk: 0), from: server(1), bytes: 192)
    #expect(behind(bench.tick()) == 0)
    var other = ServerBench(view())
    _ = other.adopt(
      Job.view(
        rules, 2, isBeginning: false, chunks: [[0], [1]], replicas: [[1], [0]], lives: [server(1): 999]))
    #expect(behind(other.tick()) == 1, "the state of chunk 0 is not confirmed; that of chunk 1 is the other's matter")
    _ = other.send(confirm(0, chunk: 0), from: server(1))
    #expect(behind(other.tick()) == 0)
  }
}

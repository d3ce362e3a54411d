import ParameterServer
import Testing

/// Clipping by the norm of the whole gradient: server 0 serves chunk 0 and adds, server 1 serves chunk 1.
@Suite struct ServerNormTests {
  private let rules = Job.rules(clips: true)

  private func view(_ number: UInt64 = 1, replicas: [[UInt32]] = [], lives: [Member: UInt64] = [:]) -> View {
    Job.view(rules, number, isBeginning: number == 1, chunks: [[0], [1]], replicas: replicas, lives: lives)
  }

  /// The two have changed places: server 1 adds.
  private func swapped(_ number: UInt64) -> View {
    Job.view(rules, number, isBeginning: false, chunks: [[1], [0]], replicas: [[0], [1]])
  }

  private func part(_ chunk: UInt32 = 1, _ step: UInt64 = 0) -> Message { .norm(chunk: chunk, step: step) }

  private func scale(_ step: UInt64, _ bits: UInt64) -> Message { .scale(step: step, bits: bits) }

  // MARK: The server that adds

  @Test func nothingIsAppliedBeforeTheScale() {
    var bench = ServerBench(view())
    let pushed = bench.push(0, node(2, 0))
    #expect(pushed.updates.isEmpty && pushed.added.isEmpty && pushed.measured.keys.sorted() == [0])
    #expect(bench.pull(closed: 0, exact: true).answers == [Answer(version: 0, closed: 0)])
    let whole = bench.send(part(), from: server(1), bytes: 8)
    #expect(whole.added.count == 1 && whole.added.first?.first == pushed.measured[0] && whole.updates.isEmpty)
    let scaled = bench.handle(.scaled(order: 1, scale: 42))
    #expect(scaled.updates.map(\.scale) == [42] && scaled.updates.map(\.version) == [1])
    #expect(scaled.scales == [[1, 0, 42]] && scaled.released.count == 2)
    #expect(bench.applied(0, 1).answers == [Answer(version: 1, closed: 1)] && bench.ledger.held.isEmpty)
  }

  @Test func partsComeInAnyOrderAndAreAddedInTheOrderOfTheChunks() {
    var bench = ServerBench(view())
    #expect(bench.send(part(), from: server(1), bytes: 8).added.isEmpty)
    let whole = bench.push(0, node(2, 0))
    #expect(whole.added == [[whole.measured[0]!, GradientHandle(0)]])
  }

  @Test func aPartThatComesTwiceIsDropped() {
    var bench = ServerBench(view())
    _ = bench.send(part(), from: server(1), bytes: 8)
    #expect(bench.send(part(), from: server(1), bytes: 8).released == [GradientHandle(1)])
    #expect(bench.push(0, node(2, 0)).added.map(\.count) == [2])
    #expect(bench.send(part(), from: server(1), bytes: 8).released.count == 1, "they are being added")
    #expect(bench.handle(.scaled(order: 7, scale: 1)).updates.isEmpty, "no such order was given")
    _ = bench.handle(.scaled(order: 1, scale: 42))
    #expect(bench.handle(.scaled(order: 1, scale: 43)).updates.isEmpty)
  }

  @Test func whoAsksAgainIsToldTheScale() {
    var bench = ServerBench(view())
    _ = bench.push(0, node(2, 0)) + bench.send(part(), from: server(1), bytes: 8)
    _ = bench.handle(.scaled(order: 1, scale: 42)) + bench.applied(0, 1)
    let again = bench.send(part(), from: server(1), bytes: 8)
    #expect(again.scales == [[1, 0, 42]] && again.added.isEmpty && bench.ledger.held.isEmpty)
    // The next step is another round.
    #expect(bench.push(1, node(2, 0)).updates.isEmpty)
    #expect(bench.send(part(1, 1), from: server(1), bytes: 8).added.count == 1)
    #expect(bench.send(part(1, 0), from: server(1), bytes: 8).scales.isEmpty, "that step is over everywhere")
    #expect(bench.handle(.scaled(order: 2, scale: 43)).updates.map(\.scale) == [43])
  }

  @Test func partsThatCannotBeAreRefused() {
    var bench = ServerBench(view())
    #expect(bench.send(part(0), from: server(1), bytes: 8).refusals == [.misplaced])
    #expect(bench.send(part(2), from: server(1), bytes: 8).refusals == [.misplaced])
    #expect(bench.send(part(1, 8), from: server(1), bytes: 8).refusals == [.misplaced])
    #expect(bench.send(part(), from: server(1), bytes: 16).refusals == [.malformed])
    #expect(bench.send(part(), from: server(1)).refusals == [.malformed])
    #expect(bench.send(part(), from: worker(0), bytes: 8).refusals == [.misplaced])
    #expect(bench.send(scale(8, 1), from: server(1)).refusals == [.misplaced])
    #expect(bench.ledger.held.isEmpty)
  }

  // MARK: The others

  @Test func aPartIsSentUntilTheScaleIsThere() {
    var bench = ServerBench(view(), number: 1)
    let pushed = bench.push(0, node(2, 0), chunk: 1)
    #expect(pushed.norms == [[1, 0]] && pushed.updates.isEmpty)
    #expect(bench.tick().norms == [[1, 0]])
    #expect(bench.push(0, node(2, 0), chunk: 1).measured.isEmpty, "the round is whole already")
    #expect(bench.send(scale(1, 9), from: server(0)).updates.isEmpty, "a scale of another step")
    #expect(bench.send(scale(0, 9), from: worker(0)).refusals == [.misplaced])
    #expect(bench.send(scale(0, 42), from: server(0)).updates.map(\.scale) == [42])
    #expect(bench.send(scale(0, 42), from: server(0)).updates.isEmpty)
    #expect(bench.tick().norms.isEmpty)
    #expect(bench.applied(1, 1).answers.count == 1 && bench.ledger.held.isEmpty)
  }

  @Test func aStepThatCanSpareShardsCountsWhatComesWhileItWaits() {
    var bench = ServerBench(Job.view(Job.rules(.backup(1), clips: true), chunks: [[0], [1]]))
    for index in 0..<3 as Range<UInt32> { _ = bench.push(0, node(0, index)) }
    #expect(bench.push(0, node(0, 3)).measured.isEmpty && bench.server.counts.late == 1)
    _ = bench.send(part(), from: server(1), bytes: 8)
    let update = bench.handle(.scaled(order: 1, scale: 42)).updates.first
    #expect(update?.samples == 6 && update?.scale == 42)
  }

  @Test func onlyWhatIsSummedOfTheParametersWaits() {
    var buffers = ServerBench(Job.view(Job.rules(buffers: 1, clips: true), chunks: [[0, 1, 2]]))
    #expect(buffers.push(0, node(2, 0), chunk: 2).updates.map(\.scale) == [nil])
    _ = buffers.push(0, node(2, 0), chunk: 1)
    #expect(buffers.push(0, node(2, 0)).added.map(\.count) == [2])
    #expect(buffers.handle(.scaled(order: 1, scale: 5)).updates.map(\.chunk) == [1, 0])
    for mode in [Consistency.async, .ssp(2), .local(2)] {
      var bench = ServerBench(Job.view(Job.rules(mode, clips: true), chunks: [[0], [1]]))
      let shard = mode.isSummed ? node(2, 0) : node(0, 0)
      #expect(bench.push(0, shard, awaits: 0).updates.map(\.scale) == [nil], "\(mode)")
    }
  }

  // MARK: Other views

  @Test func aViewMakesVoidWhatWasMeasured() {
    var bench = ServerBench(view())
    _ = bench.push(0, node(2, 0)) + bench.send(part(), from: server(1), bytes: 8)
    _ = bench.adopt(view(2))
    #expect(bench.ledger.held.isEmpty)
    #expect(bench.handle(.scaled(order: 1, scale: 42)).updates.isEmpty)
    // Pushes are sent again, and measured again.
    #expect(bench.push(0, node(2, 0)).measured.count == 1)
    #expect(bench.send(part(), from: server(1), bytes: 8).added.count == 1)
    #expect(bench.handle(.scaled(order: 1, scale: 42)).updates.isEmpty, "an answer to the order before")
    #expect(bench.handle(.scaled(order: 2, scale: 42)).updates.map(\.scale) == [42])
  }

  @Test func aScaleThatWasUsedIsToldToWhoAddsInALaterView() {
    var bench = ServerBench(view(), number: 1)
    _ = bench.push(0, node(2, 0), chunk: 1)
    _ = bench.send(scale(0, 42), from: server(0)) + bench.applied(1, 1)
    // Another life of server 0 may not know it.
    let adopted = bench.adopt(view(2, lives: [server(0): 999]))
    #expect(adopted.scales == [[0, 0, 42]])
    #expect(bench.tick().scales == [[0, 0, 42]], "again, until an answer comes")
    _ = bench.send(scale(0, 42), from: server(0))
    #expect(bench.tick().scales.isEmpty)
  }

  @Test func aScaleIsToldWhileItsUpdateIsUnderWay() {
    var bench = ServerBench(view(), number: 1)
    _ = bench.push(0, node(2, 0), chunk: 1) + bench.send(scale(0, 42), from: server(0))
    #expect(bench.adopt(view(2)).scales == [[0, 0, 42]])
  }

  @Test func aToldScaleIsTakenInPlaceOfPartsThatNeverCome() {
    var adder = ServerBench(view())
    #expect(adder.push(0, node(2, 0)).added.isEmpty)
    let told = adder.send(scale(0, 42), from: server(1))
    #expect(told.updates.map(\.scale) == [42] && told.scales == [[1, 0, 42]], "which is the answer, too")
    #expect(adder.send(scale(0, 43), from: server(1)).scales == [[1, 0, 42]], "the first one counts")
    _ = adder.applied(0, 1)
    #expect(adder.ledger.held.isEmpty)
    // Before its own round is whole, likewise.
    var early = ServerBench(view())
    _ = early.send(scale(0, 42), from: server(1))
    #expect(early.push(0, node(2, 0)).updates.map(\.scale) == [42])
  }

  @Test func whoAddsKnowsWhatItsOwnChunksWereUpdatedBy() {
    var bench = ServerBench(view())
    _ = bench.push(0, node(2, 0)) + bench.send(part(), from: server(1), bytes: 8)
    _ = bench.handle(.scaled(order: 1, scale: 42)) + bench.applied(0, 1)
    #expect(bench.adopt(view(2, lives: [server(1): 999])).scales.isEmpty)
    #expect(bench.send(part(), from: server(1), bytes: 8).scales == [[1, 0, 42]])
  }

  // MARK: Replicas

  private func update(_ scale: UInt64?) -> Message {
    .replicate(
      Update(
        chunk: 1, version: 1, closed: 1, unit: nil, kind: .summed, step: 0, staleness: 0, basis: 0, worker: nil,
        samples: 8, shards: 4, scale: scale))
  }

  @Test func aReplicaIsSentTheScaleAndTellsItWhenItAdds() {
    var primary = ServerBench(view(replicas: [[1], [0]]))
    _ = primary.push(0, node(2, 0))
    #expect(primary.send(part(), from: server(1), bytes: 8).replicated.isEmpty)
    #expect(primary.tick().replicated.isEmpty, "nothing is sent to the replica before the scale")
    #expect(primary.handle(.scaled(order: 1, scale: 42)).replicated.map(\.scale) == [42])
    var replica = ServerBench(view(replicas: [[1], [0]]))
    #expect(replica.send(update(nil), from: server(1), bytes: 64).refusals == [.outOfBounds])
    #expect(replica.send(update(42), from: server(1), bytes: 64).updates.map(\.scale) == [42])
    _ = replica.applied(1, 1)
    // It is promoted to chunk 1, and server 1, which adds now, is behind.
    #expect(replica.adopt(swapped(2)).scales == [[1, 0, 42]])
  }

  @Test func aStateTravelsWithItsScale() {
    var primary = ServerBench(view(replicas: [[1], [0]]))
    _ = primary.push(0, node(2, 0)) + primary.send(part(), from: server(1), bytes: 8)
    _ = primary.handle(.scaled(order: 1, scale: 42)) + primary.applied(0, 1)
    let adopted = primary.adopt(view(2, replicas: [[1], [0]], lives: [server(1): 999]))
    #expect(adopted.states.map(\.scale) == [42], "its update is made, and not yet confirmed")
    _ = primary.send(.replicated(chunk: 0, version: 1), from: server(1))
    #expect(primary.adopt(view(3, replicas: [[1], [0]], lives: [server(1): 1000])).states.map(\.scale) == [42])

    var replica = ServerBench(unstarted: view(2, replicas: [[1], [0]], lives: [server(1): 999]), number: 1)
    replica.join()
    _ = replica.adopt(replica.view)
    let state = ChunkPosition(chunk: 0, version: 1, closed: 1, scale: 42)
    #expect(replica.send(.replica(state), from: server(0), bytes: 192).confirmed == [1])
    let promoted = Job.view(
      rules, 3, isBeginning: false, chunks: [[], [0], [1]], lives: [server(1): 999])
    _ = replica.adopt(promoted)
    #expect(replica.send(part(), from: server(2), bytes: 8).scales == [[2, 0, 42]])
  }

  @Test func anUpdateThatWaitsIsNoneYet() {
    var bench = ServerBench(view(replicas: [[1], [0]]))
    _ = bench.push(0, node(2, 0))
    // A new replica is sent the state as it is.
    let adopted = bench.adopt(view(2, replicas: [[1], [0]], lives: [server(1): 999]))
    #expect(adopted.states.map(\.version) == [0] && adopted.accepted == [0])
    _ = bench.push(0, node(2, 0)) + bench.send(part(), from: server(1), bytes: 8)
    #expect(bench.tick().states.map(\.version) == [0])
    #expect(bench.handle(.scaled(order: 1, scale: 42)).replicated.isEmpty, "its state is not confirmed")
    #expect(bench.send(.replicated(chunk: 0, version: 0), from: server(1)).replicated.map(\.scale) == [42])
  }

  @Test func anEraKeepsNoScale() {
    var bench = ServerBench(view(), number: 1)
    _ = bench.push(0, node(2, 0), chunk: 1)
    _ = bench.send(scale(0, 42), from: server(0)) + bench.applied(1, 1)
    let restored = Job.view(rules, 2, era: 2, origin: .checkpoint(step: 0), chunks: [[0], [1]])
    #expect(bench.adopt(restored).scales.isEmpty && bench.ledger.held.isEmpty)
    #expect(bench.tick().scales.isEmpty)
  }
}

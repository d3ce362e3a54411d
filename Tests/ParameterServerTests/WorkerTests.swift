import ParameterServer
import Testing

@Suite struct WorkerTests {
  @Test func aStepBeginsWhenEveryChunkIsThere() throws {
    var stage = WorkerStage()
    #expect(stage.beginning.pulls == stage.chunks.map { Pull(chunk: $0, version: 0) })
    #expect(stage.beginning.readAhead.map(\.step) == [0, 1])
    for chunk in stage.chunks.dropLast() { #expect(stage.parameters(chunk, version: 0).effects.orders.isEmpty) }
    let order = try #require(stage.parameters(stage.chunks.last!, version: 0).effects.orders.first)
    #expect(order.step == 0 && order.nodes == [ShardNode(level: 1, index: 0)])
    let effects = stage.compute(order)
    #expect(effects.pushes.map(\.chunk) == stage.chunks.reversed())
    #expect(effects.pushes.allSatisfy { $0.step == 0 && $0.basis == 0 && $0.node == order.nodes[0] })
    #expect(stage.allParameters(version: 1).orders.map(\.step) == [1])
  }

  @Test func eachPushGoesToTheServerOfItsChunk() throws {
    var stage = WorkerStage()
    let order = try #require(stage.allParameters(version: 0).orders.first)
    let holders = try #require(stage.view.serverOfChunk)
    for case .send(let envelope, let destination, let part) in stage.compute(order) {
      guard case .push(let push) = envelope.message else { continue }
      #expect(destination == .server(Member(.server, UInt32(holders[Int(push.chunk)]))))
      #expect(part?.chunk == Int(push.chunk) && part?.node == push.node && part?.step == 0)
      #expect(envelope.view == stage.view.number && envelope.sender == Member(.worker, 0))
    }
  }

  @Test func anAnswerThatComesTwiceIsDropped() {
    var stage = WorkerStage()
    let first = stage.parameters(0, version: 0)
    #expect(first.effects.installed == [first.handle])
    let second = stage.parameters(0, version: 0)
    #expect(second.effects == [.release(second.handle)])
    #expect(stage.worker.refusals.total == 0)
  }

  @Test func anAnswerThatWasOvertakenIsDropped() throws {
    var stage = WorkerStage()
    let order = try #require(stage.allParameters(version: 0).orders.first)
    _ = stage.compute(order)
    let old = stage.parameters(0, version: 0)
    #expect(old.effects == [.release(old.handle)], "it asked for version 1")
    let new = stage.parameters(0, version: 1)
    #expect(new.effects.installed == [new.handle])
  }

  @Test func anAnswerFromAnotherServerIsRefused() {
    var stage = WorkerStage()
    let holder = stage.view.serverOfChunk![0]
    let wrong = stage.parameters(0, version: 0, server: 1 - holder)
    #expect(wrong.effects == [.release(wrong.handle)])
    #expect(stage.worker.refusals[.misplaced] == 1)
    let message = Message.parameters(Parameters(chunk: 0, version: 0))
    let disguised = stage.send(message, server: holder, bytes: 64, through: 1 - holder)
    #expect(disguised.effects == [.release(disguised.handle)])
    #expect(stage.worker.refusals[.unknownMember] == 1)
    let right = stage.parameters(0, version: 0)
    #expect(right.effects.installed == [right.handle])
  }

  @Test func whatServersMayNotSayIsRefusedAndCounted() {
    var stage = WorkerStage()
    let message = Message.parameters(Parameters(chunk: 0, version: 0))
    let holder = stage.view.serverOfChunk![0]
    let bytes = stage.view.rules.chunks.bytes(of: 0)
    let sent = [
      stage.send(message, server: holder, bytes: bytes, token: ClusterSettings.otherToken),
      stage.send(message, server: holder, bytes: bytes, incarnation: Incarnation(1)),
      stage.send(message, server: holder, bytes: bytes, view: ViewNumber(2)),
      stage.send(message, server: 7, bytes: bytes),
      stage.send(message, server: holder, bytes: bytes - 4),
      stage.send(.parameters(Parameters(chunk: .max, version: 0)), server: holder, bytes: bytes),
    ]
    for sent in sent { #expect(sent.effects == [.release(sent.handle)]) }
    #expect(stage.send(message, server: holder).effects.isEmpty, "without a payload")
    for (reason, count) in [
      (.wrongJob, 1), (.deadIncarnation, 1), (.oldView, 1), (.unknownMember, 1), (.malformed, 2), (.misplaced, 1),
    ] as [(RefusalReason, UInt64)] { #expect(stage.worker.refusals[reason] == count, "\(reason)") }
    #expect(stage.handle(.unreadable(Refusal(.wrongProtocol, ""), from: .coordinator)).isEmpty)
    #expect(stage.fromCoordinator(.stop(.completed), token: ClusterSettings.otherToken).isEmpty)
    #expect(stage.worker.refusals[.wrongProtocol] == 1 && stage.worker.refusals[.wrongJob] == 2)
  }

  @Test func aServersRefusalEndsTheJobWithItsWords() {
    var stage = WorkerStage()
    let effects = stage.send(.refused(Refusal(.misplaced, "step 7 has not begun")), server: 1).effects
    #expect(effects.messages == [.leaving("server.1 refused a message: step 7 has not begun")])
    #expect(effects.stops == [.failed("server.1 refused a message: step 7 has not begun")])
  }

  /// Shard 0 of four has no sample in steps of two: its worker only follows the versions.
  @Test func aWorkerWithoutSamplesFollowsHoweverFarTheOthersAre() {
    var stage = WorkerStage(workers: 4, number: 0, samples: 2, batch: 2)
    let steps = UInt64(stage.view.rules.steps)
    #expect(steps == 2)
    #expect(stage.beginning.readAhead.isEmpty)
    let waiting = stage.allParameters(version: 0)
    #expect(waiting.orders.isEmpty)
    #expect(waiting.pulls.map(\.version) == stage.chunks.map { _ in 1 })
    // The others were quicker: every chunk has its last version already.
    let effects = stage.allParameters(version: steps)
    #expect(effects.pulls.isEmpty && effects.isFinished)
  }

  @Test func aWorkerWithoutSamplesWaitsOnlyForWhatIsOld() {
    var stage = WorkerStage(workers: 4, number: 0, samples: 2, batch: 2)
    _ = stage.allParameters(version: 0)
    _ = stage.parameters(0, version: 2)
    var effects: [WorkerEffect] = []
    for chunk in stage.chunks.dropFirst() { effects += stage.parameters(chunk, version: 1).effects }
    #expect(effects.pulls == stage.chunks.dropFirst().map { Pull(chunk: $0, version: 2) })
    effects = []
    for chunk in stage.chunks.dropFirst() { effects += stage.parameters(chunk, version: 2).effects }
    #expect(effects.isFinished)
  }

  @Test func aWorkerBeyondTheShardsStandsBy() {
    var stage = WorkerStage(workers: 6, number: 5)
    #expect(stage.beginning.isFinished && stage.beginning.pulls.isEmpty && stage.beginning.readAhead.isEmpty)
    #expect(stage.fromCoordinator(.stop(.completed)).stops == [.completed])
  }

  // MARK: Units of work

  @Test func unitsAreComputedOneAfterTheOther() throws {
    var stage = WorkerStage(.async)
    #expect(stage.beginning.messages.contains(.leaseRequest))
    #expect(stage.allParameters(version: 4).orders.isEmpty)
    let granted = stage.fromCoordinator(.leases(Leases(first: 4, count: 2)))
    #expect(granted.readAhead.map(\.step) == [1, 1])
    let first = try #require(granted.orders.first)
    #expect(first.step == 1 && first.nodes == [ShardNode(level: 0, index: 0)])
    #expect(granted.messages == [.leaseRequest], "more is asked for while there is work")
    #expect(stage.compute(first).pushes.allSatisfy { $0.basis == 4 && $0.step == 1 })
    #expect(stage.allParameters(version: 9).orders.map(\.nodes) == [[ShardNode(level: 0, index: 1)]])
  }

  @Test func aGrantThatComesTwiceIsWorkForOnce() throws {
    var stage = WorkerStage(.async)
    _ = stage.allParameters(version: 0)
    let order = try #require(stage.fromCoordinator(.leases(Leases(first: 0, count: 1))).orders.first)
    #expect(stage.fromCoordinator(.leases(Leases(first: 0, count: 1))).readAhead.isEmpty)
    _ = stage.fromCoordinator(.leases(Leases(first: 1, count: 0)))
    _ = stage.compute(order)
    let effects = stage.allParameters(version: 1)
    #expect(effects.orders.isEmpty && effects.isFinished)
  }

  @Test func theLastWordMayOvertakeAGrant() throws {
    var stage = WorkerStage(.async)
    _ = stage.allParameters(version: 0)
    #expect(!stage.fromCoordinator(.leases(Leases(first: 2, count: 0))).isFinished, "two units are on their way")
    let order = try #require(stage.fromCoordinator(.leases(Leases(first: 6, count: 2))).orders.first)
    _ = stage.compute(order)
    let last = try #require(stage.allParameters(version: 1).orders.first)
    _ = stage.compute(last)
    #expect(stage.allParameters(version: 2).isFinished)
  }

  @Test(arguments: [
    Leases(first: .max, count: 1), Leases(first: 0, count: .max), Leases(first: 1 << 63, count: 2),
    Leases(first: 23, count: 2), Leases(first: 25, count: 0), Leases(first: .max, count: 0),
  ]) func aGrantThatCannotBeIsRefused(leases: Leases) {
    var stage = WorkerStage(.async)
    #expect(stage.view.rules.units == 24)
    _ = stage.allParameters(version: 0)
    let effects = stage.fromCoordinator(.leases(leases))
    #expect(effects.isEmpty)
    #expect(stage.worker.refusals[.malformed] == 1)
  }

  @Test func emptyUnitsAreSkippedAndMoreIsAskedFor() {
    // Of four shards of two samples, 0 and 2 are empty.
    var stage = WorkerStage(.async, samples: 2, batch: 2)
    _ = stage.allParameters(version: 0)
    let empty = stage.fromCoordinator(.leases(Leases(first: 0, count: 1)))
    #expect(empty.orders.isEmpty && empty.messages == [.leaseRequest])
    #expect(
      stage.fromCoordinator(.leases(Leases(first: 1, count: 2))).orders.map(\.nodes) == [
        [ShardNode(level: 0, index: 1)]
      ])
  }

  @Test func epochsShorterThanASignOfLifeAreReported() {
    var stage = WorkerStage(.async, samples: 4, batch: 4, epochs: 5)
    var reported: [UInt32: UInt64] = [:]
    var effects = stage.allParameters(version: 0)
    effects += stage.fromCoordinator(.leases(Leases(first: 0, count: 20)))
    effects += stage.fromCoordinator(.leases(Leases(first: 20, count: 0)))
    var version: UInt64 = 0
    while let order = effects.orders.first {
      version += 1
      effects = stage.compute(order) + stage.allParameters(version: version)
      for case .progress(let progress) in effects.messages {
        #expect(progress.epochs.count <= Progress.maximumEpochs)
        for totals in progress.epochs { reported[totals.epoch] = totals.samples }
      }
      for case .finished(let finished) in effects.messages {
        for totals in finished.progress.epochs { reported[totals.epoch] = totals.samples }
      }
    }
    // Each shard counts two samples here.
    #expect(reported == [0: 8, 1: 8, 2: 8, 3: 8, 4: 8])
    #expect(effects.isFinished && stage.worker.shardCount == 20)
    #expect(stage.worker.shardsComputed == [5, 5, 5, 5])
  }
}

import ParameterServer
import Testing

/// What the coordinator does while a job runs and when it ends.
@Suite struct CoordinatorJobTests {
  private let server = Member(.server, 0)
  private let first = Member(.worker, 0)
  private let second = Member(.worker, 1)

  @Test func serversHaveTheViewBeforeWorkers() {
    var stage = CoordinatorStage(servers: 1, workers: 1)
    _ = stage.hello(.server, "", from: 1)
    _ = stage.hello(.worker, "", from: 2)
    #expect(stage.send(.viewAccepted, server, from: 1).isEmpty, "there is no view to accept")
    _ = stage.send(.ready(stage.serverReady), server, from: 1)
    let views = stage.send(.ready(stage.workerReady), first, from: 2)
    guard case .view(let view) = views.first else {
      Issue.record("no view is sent")
      return
    }
    #expect(views == [.view(view)], "to the server alone")
    #expect(stage.send(.ready(stage.serverReady), server, from: 1) == [.view(view)], "its view was lost")
    #expect(stage.send(.ready(stage.workerReady), first, from: 2) == [.alive], "a worker's turn has not come")
    #expect(stage.send(.viewAccepted, first, from: 2).isEmpty, "it is not the worker's to accept")
    #expect(stage.view == nil)
    #expect(stage.send(.viewAccepted, server, from: 1) == [.view(view)])
    #expect(stage.view == view)
    #expect(stage.send(.viewAccepted, server, from: 1).isEmpty)
    #expect(stage.send(.ready(stage.workerReady), first, from: 2) == [.view(view)], "its view was lost")
  }

  @Test func aReadyThatDiffersAfterTheBeginningTakesNobodyOut() {
    var stage = CoordinatorStage.training()
    let other = stage.changed(stage.workerReady, "job")
    #expect(stage.send(.ready(other), first, from: 2).refusals.isEmpty)
    stage.now += 10_000
    _ = stage.send(.progress(Progress(steps: 0, shards: 0, epochs: [])), server, from: 1)
    _ = stage.send(.progress(Progress(steps: 0, shards: 0, epochs: [])), second, from: 3)
    stage.now += 9999
    #expect(stage.tick().messages.stopped == [.failed("worker.0 (worker.0) has been silent for 10 s")].repeated(2))
  }

  @Test func silenceEndsTheJobAndNamesTheMember() {
    var stage = CoordinatorStage.training()
    stage.now += 6000
    #expect(stage.send(.progress(Progress(steps: 1, shards: 2, epochs: [])), first, from: 2) == [.alive])
    #expect(stage.send(.progress(Progress(steps: 1, shards: 2, epochs: [])), second, from: 3) == [.alive])
    stage.now += 3999
    #expect(stage.tick().messages.isEmpty)
    stage.now += 1
    let reason = StopReason.failed("server.0 (server.0) has been silent for 10 s")
    #expect(stage.tick().messages == [.stop(reason), .stop(reason)], "to the two that live")
    #expect(stage.stopped == nil, "they are waited for")
    _ = stage.send(.leaving("told to stop"), first, from: 2)
    _ = stage.send(.leaving("told to stop"), second, from: 3)
    #expect(stage.stopped == reason)
  }

  @Test func aMemberThatLeavesEndsTheJobWithItsWords() {
    var stage = CoordinatorStage.training()
    let reason = StopReason.failed("worker.1: the loss is not a number")
    #expect(stage.send(.leaving("the loss is not a number"), second, from: 3).stopped == [reason, reason])
    _ = stage.send(.leaving("told to stop"), server, from: 1)
    _ = stage.send(.leaving("told to stop"), server, from: 1)
    #expect(stage.stopped == nil)
    _ = stage.send(.leaving("told to stop"), first, from: 2)
    #expect(stage.stopped == reason)
    #expect(stage.coordinator.refusals.total == 0, "a goodbye that comes twice is nothing to refuse")
  }

  @Test func goodbyesAreNotWaitedForLonger() {
    var stage = CoordinatorStage.training()
    #expect(stage.handle(.interrupted).messages.stopped == [.interrupted, .interrupted, .interrupted])
    #expect(stage.handle(.interrupted).messages.isEmpty)
    stage.now += 1999
    #expect(stage.tick().messages.stopped.count == 3, "said again")
    #expect(stage.stopped == nil)
    stage.now += 1
    #expect(stage.tick().stops == [.interrupted])
    #expect(stage.handle(.failed("more")).isEmpty)
  }

  @Test func anInterruptionWithoutMembersEndsAtOnce() {
    var stage = CoordinatorStage(servers: 1, workers: 1)
    #expect(stage.handle(.interrupted).stops == [.interrupted])
  }

  @Test func whatIsRefusedIsCountedAndReported() {
    var stage = CoordinatorStage.training()
    #expect(stage.send(.leaseRequest, first, from: 2, token: ClusterSettings.otherToken).refusals == [.wrongJob])
    #expect(stage.send(.leaseRequest, first, from: 9).refusals == [.unknownMember], "another incarnation")
    #expect(stage.send(.leaseRequest, Member(.worker, 5), from: 2).refusals == [.unknownMember])
    #expect(stage.send(.leaseRequest, .coordinator, from: 2).refusals == [.unknownMember])
    #expect(stage.send(.alive, first, from: 2).refusals == [.misplaced])
    #expect(stage.handle(.unreadable(Refusal(.malformed, "?"), from: Connection(8))).messages.refusals == [.malformed])
    let payload = ReceivedPayload(handle: GradientHandle(7), bytes: 10)
    _ = stage.send(.leaseRequest, first, from: 9, payload: payload)
    #expect(stage.released == [payload.handle])
    #expect(stage.coordinator.refusals.total == 7)
    let reported = stage.reports.count { if case .refused = $0 { true } else { false } }
    #expect(reported == 7)
  }

  // MARK: Units of work

  @Test func everyUnitIsGrantedOnceAndTheLastWordSaysHowMany() {
    var stage = CoordinatorStage.training(.async)
    var granted: [UInt64: [Range<UInt64>]] = [:]
    var total: [UInt64: UInt64] = [:]
    while total.count < 2 {
      for process in [2, 3, 3] as [UInt64] {
        let answer = stage.send(.leaseRequest, process == 2 ? first : second, from: process)
        guard case .leases(let leases) = answer.first else {
          Issue.record("no grant: \(answer)")
          return
        }
        #expect(leases.count <= UInt32(Leases.maximumUnits))
        if leases.count == 0 { total[process] = leases.first }
        granted[process, default: []].append(leases.first..<leases.first + UInt64(leases.count))
      }
    }
    let units = granted.values.flatMap { $0 }.flatMap { Array($0) }
    #expect(units.sorted() == (0..<24).map { UInt64($0) })
    for (process, total) in total { #expect(granted[process]?.reduce(0) { $0 + UInt64($1.count) } == total) }
  }

  @Test func onlyWorkersAreGrantedUnits() {
    var stage = CoordinatorStage.training(.async)
    #expect(stage.send(.leaseRequest, server, from: 1).isEmpty)
    guard case .leases(let leases) = stage.send(.leaseRequest, first, from: 2).first else {
      Issue.record("no grant")
      return
    }
    #expect(leases.first == 0)
    var sync = CoordinatorStage.training(.sync)
    #expect(sync.send(.leaseRequest, first, from: 2).isEmpty)
  }

  // MARK: Reports

  @Test func totalsAreAddedWhateverOrderTheyComeIn() {
    var stage = CoordinatorStage.training()
    let report = { (samples: UInt64, epoch: UInt32) in
      Progress(
        steps: 2, shards: samples,
        epochs: [EpochTotals(epoch: epoch, samples: samples, lossSum: Double(samples), correct: 1)])
    }
    for (member, process) in [(first, UInt64(2)), (second, 3)] {
      _ = stage.send(.progress(report(9, 1)), member, from: process)
      _ = stage.send(.progress(report(4, 0)), member, from: process)
      _ = stage.send(.progress(report(3, 1)), member, from: process)
    }
    _ = stage.tick()
    #expect(stage.progress?.samples == 26 && stage.progress?.shards == 18 && stage.progress?.steps == 2)
    #expect(stage.progress?.epochs.map(\.epoch) == [0, 1])
    #expect(stage.progress?.epochs.map(\.lossSum) == [8, 18])
  }

  @Test func numbersThatCannotBeDoNotTrap() {
    var stage = CoordinatorStage.training()
    let totals = (0..<5).map { EpochTotals(epoch: $0, samples: .max, lossSum: .nan, correct: .max) }
    let lie = Progress(steps: .max, shards: .max, epochs: totals)
    for (member, process) in [(first, UInt64(2)), (second, 3), (server, 1)] {
      _ = stage.send(.progress(lie), member, from: process)
      _ = stage.send(.finished(Finished(progress: lie)), member, from: process)
    }
    _ = stage.tick()
    #expect(stage.coordinator.refusals.total == 0)
  }

  // MARK: The result

  private func collecting() -> CoordinatorStage {
    var stage = CoordinatorStage.training()
    let done = Message.finished(Finished(progress: Progress(steps: 6, shards: 12, epochs: [])))
    _ = stage.send(done, first, from: 2)
    _ = stage.send(done, second, from: 3)
    #expect(stage.send(.pull(Pull(chunk: 0, version: 0)), first, from: 2).refusals == [.misplaced])
    let pulls = stage.send(done, server, from: 1)
    #expect(pulls == (0..<UInt32(stage.view!.rules.chunks.count)).map { .pull(Pull(chunk: $0, version: 6)) })
    return stage
  }

  @Test func theResultIsCollectedOnce() {
    var stage = collecting()
    let rules = stage.view!.rules
    var handle: UInt64 = 0
    for chunk in (0..<rules.chunks.count).reversed() {
      for _ in 0..<2 {
        let payload = ReceivedPayload(handle: GradientHandle(handle), bytes: rules.chunks.bytes(of: chunk))
        handle += 1
        _ = stage.send(
          .parameters(Parameters(chunk: UInt32(chunk), version: 6)), server, from: 1, payload: payload)
      }
    }
    #expect(stage.collected == (0..<rules.chunks.count).reversed())
    #expect(stage.released.map(\.rawValue) == (0..<handle).filter { $0 % 2 == 1 })
    #expect(stage.handle(.stored).messages.stopped == [.completed, .completed, .completed])
  }

  @Test func whatIsNoPartOfTheResultIsLetGoOf() {
    var stage = collecting()
    let bytes = stage.view!.rules.chunks.bytes(of: 0)
    let cases: [(Member, UInt64, UInt32, UInt64, Int)] = [
      (server, 1, 0, 5, bytes), (server, 1, 0, 6, bytes - 4), (server, 1, .max, 6, bytes), (first, 2, 0, 6, bytes),
      (second, 3, 0, 6, bytes),
    ]
    for (index, (member, process, chunk, version, bytes)) in cases.enumerated() {
      let payload = ReceivedPayload(handle: GradientHandle(UInt64(index)), bytes: bytes)
      _ = stage.send(.parameters(Parameters(chunk: chunk, version: version)), member, from: process, payload: payload)
    }
    #expect(stage.collected.isEmpty && stage.released.map(\.rawValue) == [0, 1, 2, 3, 4])
    #expect(stage.handle(.stored).messages.isEmpty, "nothing was to be stored")
  }
}

extension Array {
  fileprivate func repeated(_ count: Int) -> [Element] { (0..<count).flatMap { _ in self } }
}

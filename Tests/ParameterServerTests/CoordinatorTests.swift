import ParameterServer
import Testing

/// What the coordinator answers while members join.
@Suite struct CoordinatorJoiningTests {
  @Test func placesAreGivenByNameOrInOrder() {
    var stage = CoordinatorStage(servers: 1, workers: 3)
    #expect(stage.hello(.worker, "worker.1", from: 1) == [.welcome(Welcome(member: Member(.worker, 1), job: "toy"))])
    #expect(stage.hello(.worker, "", from: 2).welcomed == Member(.worker, 0))
    #expect(stage.hello(.worker, "box", from: 3).welcomed == Member(.worker, 2))
    #expect(stage.hello(.server, "", from: 4).welcomed == Member(.server, 0))
  }

  @Test func aHelloThatComesTwiceGetsTheSamePlace() {
    var stage = CoordinatorStage(servers: 1, workers: 2)
    let first = stage.hello(.worker, "", from: 1)
    #expect(stage.hello(.worker, "", from: 1) == first)
    #expect(stage.hello(.worker, "", from: 2).welcomed == Member(.worker, 1))
    let joined = stage.reports.filter { if case .joined = $0 { true } else { false } }
    #expect(joined.count == 2, "reported once each")
  }

  @Test func aHelloThatComesAfterTheBeginningIsStillWelcome() {
    var stage = CoordinatorStage.training()
    #expect(stage.hello(.worker, "", from: 2).welcomed == Member(.worker, 0))
    #expect(stage.hello(.worker, "", from: 9).refusals == [.jobFull], "another process's is not")
  }

  @Test func takenNamesAreRefused() {
    var stage = CoordinatorStage(servers: 1, workers: 3)
    _ = stage.hello(.worker, "box", from: 1)
    #expect(stage.hello(.worker, "box", from: 2).refusals == [.nameTaken])
    #expect(stage.hello(.worker, "worker.0", from: 3).refusals == [.nameTaken], "box has that place")
    #expect(stage.coordinator.refusals[.nameTaken] == 2)
  }

  @Test func namesOfPlacesThatDoNotExistAreRefused() {
    for name in ["worker.2", "worker.99999999999999999999", "worker.01", "server.0", "coordinator.0"] {
      var stage = CoordinatorStage(servers: 1, workers: 2)
      let answer = stage.hello(.worker, name, from: 1)
      #expect(answer.refusals == [.misplaced], "\(name)")
      guard case .refused(let refusal) = answer.first else { continue }
      #expect(refusal.explanation == "the job has no place \(name) for a worker: there are worker.0 to worker.1")
    }
    for name in ["worker", "worker.", "worker.x", "a.1", "worker.1.2", "."] {
      var stage = CoordinatorStage(servers: 1, workers: 2)
      #expect(stage.hello(.worker, name, from: 1).welcomed == Member(.worker, 0), "\(name)")
    }
  }

  @Test func aFullJobTakesNobody() {
    var stage = CoordinatorStage(servers: 1, workers: 1)
    _ = stage.hello(.worker, "", from: 1)
    #expect(stage.hello(.worker, "", from: 2).refusals == [.jobFull])
    #expect(stage.hello(.coordinator, "", from: 3).refusals == [.misplaced])
  }

  @Test func aProcessThatDiedBeforeItWasReadyLeavesItsPlace() {
    var stage = CoordinatorStage(servers: 1, workers: 1)
    _ = stage.hello(.worker, "worker.0", from: 1)
    stage.now += 9999
    #expect(stage.hello(.worker, "worker.0", from: 2).refusals == [.nameTaken])
    stage.now += 1
    #expect(stage.hello(.worker, "worker.0", from: 2).welcomed == Member(.worker, 0))
    #expect(stage.send(.ready(stage.workerReady), Member(.worker, 0), from: 1).refusals == [.unknownMember])
  }

  @Test func aProcessThatReadsItsDataForLongKeepsItsPlace() {
    var stage = CoordinatorStage(servers: 1, workers: 2)
    _ = stage.hello(.worker, "", from: 1)
    stage.now += 60_000
    #expect(stage.hello(.worker, "", from: 2).welcomed == Member(.worker, 1))
    #expect(stage.hello(.server, "", from: 3).welcomed == Member(.server, 0))
    #expect(stage.send(.ready(stage.workerReady), Member(.worker, 0), from: 1) == [.alive])
  }

  @Test func aMemberThatWaitsForOthersHearsThatTheCoordinatorLives() {
    var stage = CoordinatorStage(servers: 1, workers: 2)
    _ = stage.hello(.worker, "", from: 1)
    for _ in 0..<20 {
      stage.now += 1000
      #expect(stage.send(.ready(stage.workerReady), Member(.worker, 0), from: 1) == [.alive])
    }
    #expect(stage.tick().stops.isEmpty)
  }

  @Test func whoIsMissingIsSaid() {
    var stage = CoordinatorStage(servers: 2, workers: 2)
    _ = stage.hello(.worker, "", from: 1)
    _ = stage.hello(.server, "server.1", from: 2)
    _ = stage.send(.ready(stage.serverReady), Member(.server, 1), from: 2)
    stage.now += 4999
    _ = stage.tick()
    #expect(stage.missing == nil)
    stage.now += 1
    _ = stage.tick()
    #expect(stage.missing == ["server.0", "worker.0", "worker.1"], "worker.0 has joined and is not ready")
    stage.reports = []
    stage.now += 4999
    _ = stage.tick()
    #expect(stage.missing == nil)
  }

  @Test(arguments: ["build of convoy", "network", "job"]) func digestsThatDifferAreRefused(kind: String) {
    for role in [Role.server, .worker] {
      var stage = CoordinatorStage(servers: 1, workers: 1)
      _ = stage.hello(role, "", from: 1)
      var ready = role == .server ? stage.serverReady : stage.workerReady
      ready = stage.changed(ready, kind)
      let answer = stage.send(.ready(ready), Member(role, 0), from: 1)
      #expect(answer.refusals == [.mismatch])
      guard case .refused(let refusal) = answer.first else { continue }
      #expect(refusal.explanation.contains("\(role).0 has another \(kind)"), "\(refusal.explanation)")
      #expect(stage.hello(role, "", from: 2).welcomed == Member(role, 0), "the place is free again")
    }
  }

  @Test func dataThatDiffersBetweenWorkersIsRefused() {
    for (data, samples) in [(UInt8(5), UInt64(20)), (4, 21)] {
      var stage = CoordinatorStage(servers: 1, workers: 2)
      _ = stage.hello(.worker, "", from: 1)
      _ = stage.hello(.worker, "", from: 2)
      #expect(stage.send(.ready(stage.workerReady), Member(.worker, 0), from: 1) == [.alive])
      var digests = stage.workerReady.digests
      digests.data = ClusterSettings.digest(data)
      let ready = Ready(digests: digests, samples: samples, engineFingerprint: "toy", address: "")
      #expect(stage.send(.ready(ready), Member(.worker, 1), from: 2).refusals == [.mismatch])
    }
  }

  @Test func dataThatDiffersFromTheCoordinatorsIsRefused() {
    var stage = CoordinatorStage(servers: 1, workers: 2, data: ClusterSettings.digest(9))
    _ = stage.hello(.worker, "", from: 1)
    _ = stage.hello(.server, "", from: 2)
    #expect(stage.send(.ready(stage.workerReady), Member(.worker, 0), from: 1).refusals == [.mismatch])
    #expect(stage.send(.ready(stage.serverReady), Member(.server, 0), from: 2) == [.alive], "a server reads none")
  }

  @Test func otherFingerprintsAreRefusedInSyncModeOnly() {
    for consistency in [Consistency.sync, .async] {
      var stage = CoordinatorStage(consistency, servers: 1, workers: 2)
      _ = stage.hello(.worker, "", from: 1)
      _ = stage.hello(.worker, "", from: 2)
      _ = stage.send(.ready(stage.workerReady), Member(.worker, 0), from: 1)
      let other = Ready(digests: stage.workerReady.digests, samples: 20, engineFingerprint: "other", address: "")
      let answer = stage.send(.ready(other), Member(.worker, 1), from: 2)
      #expect(answer.refusals == (consistency == .sync ? [.mismatch] : []))
    }
  }

  @Test func aJobWithoutAStepEnds() {
    var stage = CoordinatorStage(servers: 1, workers: 1)
    _ = stage.hello(.worker, "", from: 1)
    _ = stage.hello(.server, "", from: 2)
    _ = stage.send(.ready(stage.serverReady), Member(.server, 0), from: 2)
    let none = Ready(digests: stage.workerReady.digests, samples: 0, engineFingerprint: "toy", address: "")
    let answer = stage.send(.ready(none), Member(.worker, 0), from: 1)
    #expect(answer.stopped.count == 2)
  }
}

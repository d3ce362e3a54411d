import ParameterServer
import Testing

/// Named cases of whole clusters: odd counts, strangers, deaths, ends.
@Suite struct FaultTests {
  @Test(arguments: [1, 2, 3, 5, 7]) func oddNumbersOfWorkersGiveTheSameBytes(workers: Int) {
    var settings = ClusterSettings()
    settings.workers = workers
    settings.shards = 4
    settings.servers = 3
    settings.weather = Weather(order: .shuffled, duplicates: 10, delays: 10)
    var cluster = Cluster(settings)
    cluster.expectCompletion("\(workers) workers on 4 shards")
    let working = cluster.workers.count { !$0.computed.isEmpty }
    #expect(working == min(workers, 4), "those beyond the shards stand by")
    // Twenty samples in batches of eight: every shard has some in every step.
    let byShard = (0..<4).map { shard in
      cluster.workers.reduce(0) { $0 + ($1.machine.shardsComputed.isEmpty ? 0 : $1.machine.shardsComputed[shard]) }
    }
    #expect(byShard == Array(repeating: UInt64(settings.steps), count: 4))
  }

  @Test func samplesAreReadAheadInTheOrderOfTheSteps() {
    for seed in 0..<40 as Range<UInt64> {
      var cluster = Cluster(.random(seed % 2 == 0 ? .sync : .async, seed: seed))
      cluster.start()
      cluster.run()
      for worker in cluster.workers { #expect(worker.readAhead == worker.computed, "seed \(seed)") }
    }
  }

  @Test func aBatchSmallerThanTheShardsEnds() {
    for (samples, batch) in [(1, 1), (2, 2), (3, 8), (9, 8), (17, 8)] {
      for seed in 0..<30 as Range<UInt64> {
        var settings = ClusterSettings()
        settings.samples = samples
        settings.batch = batch
        settings.shards = 8
        settings.workers = 5
        settings.epochs = 3
        settings.seed = seed
        settings.weather.order = .inOrderPerConnection
        for consistency in [Consistency.sync, .async] {
          settings.consistency = consistency
          var cluster = Cluster(settings)
          cluster.expectCompletion("\(samples) samples in batches of \(batch)")
        }
      }
    }
  }

  @Test func membersThatStartMinutesApartFindEachOther() {
    var cluster = Cluster(ClusterSettings())
    cluster.start([.coordinator, .server(0)])
    cluster.run { $0.post.now > 90_000 }
    #expect(cluster.servers[0].stopped == nil)
    cluster.start([.worker(1)])
    cluster.run { $0.post.now > 180_000 }
    #expect(cluster.coordinator.stopped == nil && cluster.workers[1].stopped == nil)
    cluster.start([.worker(0)])
    cluster.expectEnd("the cluster")
    #expect(cluster.coordinator.stopped == .completed)
    let waiting: [[String]] = cluster.coordinator.reports.compactMap {
      if case .waiting(let missing) = $0 { missing } else { nil }
    }
    #expect(waiting.first == ["worker.0", "worker.1"] && waiting.last == ["worker.1"])
  }

  @Test func aMemberWithoutACoordinatorGivesUp() {
    var cluster = Cluster(ClusterSettings())
    cluster.kill(.coordinator)
    cluster.start()
    cluster.expectEnd("the cluster")
    let expected = StopReason.unreachable("the coordinator did not answer within 30 s")
    for actor in cluster.actors.dropFirst() { #expect(cluster.stopReason(of: actor) == expected) }
  }

  @Test func aDeathEndsTheJobAndIsNamed() {
    for seed in 0..<60 as Range<UInt64> {
      var settings = ClusterSettings.random(seed % 2 == 0 ? .sync : .async, seed: seed)
      settings.weather.order = seed % 3 == 0 ? .inOrder : .inOrderPerConnection
      var cluster = Cluster(settings)
      cluster.start()
      cluster.run { $0.coordinator.view != nil }
      let before = cluster.post.now
      let victim = cluster.actors[1 + Int(seed) % (cluster.actors.count - 1)]
      let member: Member =
        switch victim {
        case .server(let index): cluster.servers[index].machine.member
        case .worker(let index): cluster.workers[index].machine.member
        case .coordinator: .coordinator
        }
      cluster.kill(victim)
      cluster.expectEnd("seed \(seed)")
      guard case .failed(let text)? = cluster.coordinator.stopped else {
        Issue.record("seed \(seed): \(String(describing: cluster.coordinator.stopped))")
        continue
      }
      #expect(text.hasPrefix("\(member) ") && text.hasSuffix("has been silent for 10 s"), "\(text)")
      for actor in cluster.actors where actor != victim && actor != .coordinator {
        #expect(cluster.stopReason(of: actor) == .failed(text), "seed \(seed)")
      }
      #expect(cluster.post.now - before <= 15_000)
      #expect(cluster.violations == [])
    }
  }

  @Test func theCoordinatorsDeathEndsEveryMember() {
    for seed in 0..<20 as Range<UInt64> {
      var settings = ClusterSettings.random(seed % 2 == 0 ? .sync : .async, seed: seed)
      settings.epochs = 100_000
      settings.maximumSteps = nil
      var cluster = Cluster(settings)
      cluster.start()
      cluster.run { $0.coordinator.view != nil }
      let before = cluster.post.now
      cluster.kill(.coordinator)
      cluster.expectEnd("seed \(seed)")
      for actor in cluster.actors.dropFirst() {
        let expected = StopReason.failed("the coordinator has been silent for 10 s")
        #expect(cluster.stopReason(of: actor) == expected, "seed \(seed)")
      }
      #expect(cluster.post.now - before <= 15_000)
    }
  }

  @Test func aFailureOfAnyMemberEndsEveryoneWithItsWords() {
    for seed in 0..<40 as Range<UInt64> {
      var cluster = Cluster(.random(seed % 2 == 0 ? .sync : .async, seed: seed))
      cluster.start()
      cluster.run(deliveries: 100 + Int(seed)) { $0.coordinator.view != nil }
      guard !cluster.isOver, cluster.coordinator.view != nil, let worker = cluster.workers.last else { continue }
      cluster.post.follow(.worker(.failed("out of memory")), of: worker.actor)
      cluster.expectEnd("seed \(seed)")
      let text = "\(worker.machine.member): out of memory"
      #expect(cluster.coordinator.stopped == .failed(text), "seed \(seed)")
      for actor in cluster.actors.dropFirst() where actor != worker.actor {
        #expect(cluster.stopReason(of: actor) == .failed(text), "seed \(seed)")
      }
      #expect(cluster.violations == [])
    }
  }

  @Test func anInterruptionEndsEveryoneAtOnce() {
    for seed in 0..<40 as Range<UInt64> {
      var settings = ClusterSettings.random(seed % 2 == 0 ? .sync : .async, seed: seed)
      settings.epochs = 1000
      settings.maximumSteps = nil
      settings.weather.order = .inOrderPerConnection
      var cluster = Cluster(settings)
      cluster.start()
      cluster.run { $0.coordinator.joined == $0.actors.count - 1 }
      cluster.run(deliveries: 20 * Int(seed))
      let before = cluster.post.now
      cluster.post.follow(.coordinator(.interrupted), of: .coordinator)
      cluster.expectEnd("seed \(seed)")
      #expect(cluster.coordinator.stopped == .interrupted)
      for actor in cluster.actors.dropFirst() {
        #expect(cluster.stopReason(of: actor) == .interrupted, "seed \(seed)")
      }
      #expect(cluster.post.now - before <= 3000)
      #expect(cluster.violations == [])
    }
  }

  @Test func aStrangersMessagesChangeNothing() {
    var cluster = Cluster(ClusterSettings())
    cluster.start()
    cluster.run { $0.coordinator.view != nil }
    let payload = ToyPayload(value: 1, bytes: 64)
    for target in cluster.actors {
      for message in [.stop(.completed), .leaving("no"), .refused(Refusal(.wrongJob, ""))] as [Message] {
        let envelope = Envelope(
          token: ClusterSettings.otherToken, view: ViewNumber(1),
          sender: target == .coordinator ? Member(.worker, 0) : .coordinator,
          incarnation: Actor.coordinator.incarnation, message: message)
        cluster.hand(envelope, payload, from: target == .coordinator ? .worker(0) : .coordinator, to: target)
      }
    }
    let refused = cluster.servers[0].machine.refusals[.wrongJob] + cluster.workers[0].machine.refusals[.wrongJob]
    #expect(refused == 6 && cluster.coordinator.machine.refusals[.wrongJob] == 3)
    #expect(cluster.coordinator.stopped == nil)
  }
}

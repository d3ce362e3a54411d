import ParameterServer
import Testing

/// Whole jobs over a network that reorders, doubles and delays, against models that know no messages.
@Suite struct ClusterTests {
  @Test func synchronousJobsEndWithTheSequentialResult() {
    for seed in 0..<600 as Range<UInt64> {
      var cluster = Cluster(.random(.sync, seed: seed))
      cluster.expectCompletion("sync, seed \(seed)")
    }
  }

  @Test func asynchronousJobsApplyEveryUnitOnce() {
    for seed in 0..<600 as Range<UInt64> {
      var cluster = Cluster(.random(.async, seed: seed))
      cluster.expectCompletion("async, seed \(seed)")
    }
  }

  @Test(arguments: 1...5) func everyCountOfMembersGivesTheSequentialResult(workers: Int) {
    for servers in 1...3 {
      for shards in [1, 2, 4, 8] {
        // Batches of 16: the last has 8 samples, one, or it is the only one and has 3.
        for samples in [40, 17, 3] {
          var settings = ClusterSettings()
          settings.workers = workers
          settings.servers = servers
          settings.shards = shards
          settings.samples = samples
          settings.batch = 16
          settings.elements = 300
          settings.weather.order = .inOrderPerConnection
          var cluster = Cluster(settings)
          cluster.expectCompletion("\(workers) workers, \(servers) servers, \(shards) shards, \(samples) samples")
        }
      }
    }
  }

  @Test func theSameSeedRepeatsTheSameRun() {
    for seed in 0..<20 as Range<UInt64> {
      var first = Cluster(.random(.async, seed: seed))
      var second = Cluster(.random(.async, seed: seed))
      for _ in 0..<2 {
        first.start()
        second.start()
      }
      first.run()
      second.run()
      #expect(first.deliveries == second.deliveries)
      #expect(first.servers.flatMap(\.applied).map(\.order) == second.servers.flatMap(\.applied).map(\.order))
      #expect(first.coordinator.reports == second.coordinator.reports)
    }
  }
}

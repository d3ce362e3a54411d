import ParameterServer
import Testing

/// Whole jobs of the three machines, without threads or sockets.
@Suite struct ClusterTests {
  private func expectClean(_ cluster: TestCluster) {
    #expect(cluster.ended.count == 1 + cluster.servers.count + cluster.workers.count)
    #expect(cluster.ended.values.allSatisfy { $0 == .completed }, "\(cluster.ended)")
    for server in cluster.servers {
      #expect(server.wrongReleases == 0)
      #expect(server.gradients.isEmpty)
    }
    for worker in cluster.workers {
      #expect(worker.wrongReleases == 0)
      #expect(worker.payloads.isEmpty)
    }
  }

  @Test("A sync job ends in the sequential loop's bytes on any count of workers, servers and shards", arguments: 1...5)
  func sameBytes(_ workers: Int) {
    for servers in 1...3 {
      for shards in [1, 2, 4, 8] {
        // 40 samples in batches of 16: the last has 8. 17 in batches of 16: the last has one.
        for samples in [40, 17, 3] {
          let cluster = TestCluster(
            servers: servers, workers: workers, shards: shards, samples: samples, seed: UInt64(workers * 100 + servers))
          cluster.run()
          expectClean(cluster)
          let expected = Toy.sequential(cluster.rules)
          #expect(expected.indices.allSatisfy { cluster.final[$0] == expected[$0] })
        }
      }
    }
  }

  @Test("Messages that come twice or overtake each other change nothing", arguments: 0..<40)
  func faults(_ seed: Int) {
    let cluster = TestCluster(
      servers: 1 + seed % 3, workers: 1 + seed % 4, shards: 4, seed: UInt64(seed),
      faults: NetworkFaults(duplicates: 0.3, reorders: true))
    cluster.run()
    expectClean(cluster)
    let expected = Toy.sequential(cluster.rules)
    #expect(expected.indices.allSatisfy { cluster.final[$0] == expected[$0] })
    #expect(cluster.servers.reduce(0) { $0 + $1.machine.duplicates } > 0)
  }

  @Test("An async job applies each shard once to each chunk, whatever comes twice", arguments: 0..<20)
  func asynchronous(_ seed: Int) {
    let cluster = TestCluster(
      .async, servers: 2, workers: 1 + seed % 4, shards: 4, samples: 35, seed: UInt64(seed),
      faults: NetworkFaults(duplicates: 0.3, reorders: seed % 2 == 0))
    cluster.run()
    expectClean(cluster)
    let rules = cluster.rules
    for chunk in 0..<rules.chunks.count {
      let versions = cluster.applied.filter { $0.chunk == chunk }.map(\.version)
      #expect(versions == (0..<rules.finalVersion).map { $0 + 1 })
    }
    #expect(cluster.applied.allSatisfy { $0.staleness < $0.version })
    let computed = cluster.workers.reduce(0) { $0 + $1.machine.shardCount }
    #expect(computed == rules.finalVersion)
  }

  @Test("Workers beyond the shards stand by, and the job ends")
  func standBy() {
    let cluster = TestCluster(workers: 5, shards: 2)
    cluster.run()
    expectClean(cluster)
    #expect(cluster.workers.map(\.machine.shardCount).filter { $0 == 0 }.count == 3)
  }

  @Test("Uneven shards: three workers share four, and each shard is computed once a step")
  func unevenShards() {
    let cluster = TestCluster(workers: 3, shards: 4)
    cluster.run()
    expectClean(cluster)
    let byShard = (0..<4).map { shard in cluster.workers.reduce(0) { $0 + $1.machine.shardsComputed[shard] } }
    #expect(byShard == [UInt64](repeating: UInt64(cluster.rules.steps), count: 4))
  }

  @Test("The coordinator reports who joined, that training began, and the samples of every epoch")
  func reports() {
    let cluster = TestCluster()
    cluster.run()
    var joined = 0
    var trained: JobProgress?
    for report in cluster.reports {
      if case .joined = report { joined += 1 }
      if case .trained(let progress) = report { trained = progress }
    }
    #expect(joined == 4)
    #expect(trained?.epochs.map(\.samples) == [40, 40])
    #expect(trained?.shards == UInt64(cluster.rules.steps * 4))
  }
}

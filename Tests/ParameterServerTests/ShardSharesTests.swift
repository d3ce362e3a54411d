import Testing

import ParameterServer

@Suite struct ShardSharesTests {
  /// All ways to give so many shards to so many workers, at least one each.
  private func splits(_ shards: Int, _ workers: Int) -> [[Int]] {
    if workers == 1 { return [[shards]] }
    return (1...shards - workers + 1).flatMap { first in splits(shards - first, workers - 1).map { [first] + $0 } }
  }

  @Test func noOtherSplitIsFaster() {
    for seed in 0..<200 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let workers = Int.random(in: 1...4, using: &generator)
      let shards = [4, 8, 16][Int(seed % 3)]
      let rates: [UInt64?] = (0..<workers).map { _ in UInt64.random(in: 1...9, using: &generator) * 100 }
      let counts = ShardShares.shards(shards, rates: rates)
      #expect(counts.reduce(0, +) == shards && counts.allSatisfy { $0 > 0 })
      let best = splits(shards, workers).map { ShardShares.time($0, rates: rates) }.min()
      #expect(ShardShares.time(counts, rates: rates) == best, "\(shards), \(rates)")
    }
  }

  @Test func nodesCoverEveryShardOnce() throws {
    for shards in [1, 2, 8, 32] {
      let tree = try #require(ShardTree(shards: shards))
      for workers in 1...40 {
        let rates = (0..<workers).map { worker -> UInt64? in worker % 3 == 0 ? nil : UInt64(worker * 77 + 1) }
        let nodes = ShardShares.nodes(of: tree, rates: rates)
        #expect(nodes.joined().flatMap { Array($0.shards) } == Array(0..<shards))
        #expect(nodes.count { !$0.isEmpty } == min(workers, shards))
      }
    }
  }

  @Test func orphansGoToTheLeastLaden() {
    let own = [[node(0, 0), node(0, 1)], [node(0, 2)], []]
    let next = ShardShares.adopting([node(0, 3), node(1, 2), node(1, 3)], by: own, rates: [nil, nil, nil])
    #expect(Set(next.joined()) == Set(own.joined()).union([node(0, 3), node(1, 2), node(1, 3)]))
    #expect(next[2].contains(node(0, 3)))
    #expect(ShardShares.adopting([node(2, 0)], by: [], rates: []).isEmpty)
  }

  @Test func ratesThatCannotBeAreReckonedWith() {
    var meter = SpeedMeter()
    meter.update(shards: .max, busy: 500)
    let counts = ShardShares.shards(1 << 16, rates: [meter.rate, 1, meter.rate])
    #expect(counts.reduce(0, +) == 1 << 16)
    meter.update(shards: .max, busy: .max)
    meter.update(shards: 1, busy: 2)
    #expect(meter.rate == SpeedMeter.maximumRate)
  }
}

import ParameterServer
import Testing

@Suite struct ShardTreeTests {
  @Test func onlyPowersOfTwoAreTrees() {
    for shards in -3...200 {
      let isPower = [1, 2, 4, 8, 16, 32, 64, 128].contains(shards)
      #expect((ShardTree(shards: shards) != nil) == isPower, "\(shards)")
    }
    #expect(ShardTree(shards: ShardTree.maximumShards) != nil)
    #expect(ShardTree(shards: 2 * ShardTree.maximumShards) == nil)
    #expect(ShardTree(shards: .max) == nil)
    #expect(ShardTree(shards: .min) == nil)
  }

  /// Every node of the tree over so many shards, as ranges.
  private func ranges(of shards: Int) -> [Range<Int>] {
    var all: [Range<Int>] = []
    var width = 1
    while width <= shards {
      for lower in stride(from: 0, to: shards, by: width) { all.append(lower..<lower + width) }
      width *= 2
    }
    return all
  }

  @Test func aNodeCoversWhatItsRangeCovers() throws {
    for shards in [1, 2, 4, 8, 16] {
      let tree = try #require(ShardTree(shards: shards))
      let nodes = (0...UInt8(5)).flatMap { level in (0..<UInt32(18)).map { ShardNode(level: level, index: $0) } }
      let inside = nodes.filter(tree.contains)
      #expect(Set(inside.map(\.shards)) == Set(ranges(of: shards)))
      #expect(inside.count == 2 * shards - 1)
      for node in inside {
        for other in inside {
          let isCovered =
            node.shards.lowerBound <= other.shards.lowerBound
            && other.shards.upperBound <= node.shards.upperBound
          #expect(node.covers(other) == isCovered)
        }
        guard node != tree.root else { continue }
        let halves = [node, node.sibling].sorted()
        #expect(halves[0].isLeft && !halves[1].isLeft)
        #expect(halves[0].shards.upperBound == halves[1].shards.lowerBound)
        #expect(node.parent.shards == halves[0].shards.lowerBound..<halves[1].shards.upperBound)
      }
    }
  }

  @Test func coveringNodesAreTheFewestAndInOrder() throws {
    for shards in [1, 2, 4, 8, 16, 32, 64] {
      let tree = try #require(ShardTree(shards: shards))
      let all = ranges(of: shards)
      // The fewest aligned ranges that tile `lower..<upper`, by trying every first one.
      var fewest = Array(repeating: Array(repeating: Int.max, count: shards + 1), count: shards + 1)
      for upper in 0...shards {
        fewest[upper][upper] = 0
        for lower in stride(from: upper - 1, through: 0, by: -1) {
          let firsts = all.filter { $0.lowerBound == lower && $0.upperBound <= upper }
          fewest[lower][upper] = firsts.map { fewest[$0.upperBound][upper] + 1 }.min() ?? .max
        }
      }
      for lower in 0...shards {
        for upper in lower...shards {
          let nodes = tree.nodes(covering: lower..<upper)
          #expect(nodes.allSatisfy(tree.contains))
          #expect(nodes.flatMap { Array($0.shards) } == Array(lower..<upper))
          #expect(nodes.count == fewest[lower][upper], "\(lower)..<\(upper) of \(shards)")
        }
      }
    }
  }

  @Test func workersShareTheShardsEvenlyAndInOrder() throws {
    for shards in [1, 2, 4, 8, 16, 32, 64] {
      let tree = try #require(ShardTree(shards: shards))
      for workers in 1...70 {
        let shares = (0..<workers).map { tree.shards(ofWorker: $0, of: workers) }
        #expect(shares.flatMap { Array($0) } == Array(0..<shards))
        let working = shares.filter { !$0.isEmpty }.map(\.count)
        #expect(working.count == min(workers, shards))
        #expect((working.max() ?? 0) - (working.min() ?? 0) <= 1)
        #expect(shares.prefix(working.count).allSatisfy { !$0.isEmpty }, "those that stand by are the last")
      }
    }
  }

  /// What a peer may state: it must be possible to describe it, to order it and to refuse it.
  @Test func nodesOfNoTreeDoNotTrap() throws {
    let tree = try #require(ShardTree(shards: 8))
    for level in UInt8.min ... .max {
      for index in [0, 1, 7, 1 << 16, UInt32.max] {
        let node = ShardNode(level: level, index: index)
        _ = node.description
        _ = node < ShardNode(level: 0, index: 0)
        #expect(tree.contains(node) == (level <= 3 && index < 8 >> level))
      }
    }
  }
}

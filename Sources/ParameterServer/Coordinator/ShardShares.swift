/// Which worker computes which shards.
package enum ShardShares {
  /// The nodes of each worker: contiguous shards, more for those that compute faster, so that all end together.
  ///
  /// Every worker gets at least one where there are enough. `rates` may be nil for workers that were not measured:
  /// they count as the mean of the others. Cost: shards × workers.
  package static func nodes(of tree: ShardTree, rates: [UInt64?]) -> [[ShardNode]] {
    let counts = shards(tree.shards, rates: rates)
    var next = 0
    return counts.map { count in
      defer { next += count }
      return tree.nodes(covering: next..<next + count)
    }
  }

  /// Shards of each worker.
  package static func shards(_ shards: Int, rates: [UInt64?]) -> [Int] {
    guard !rates.isEmpty else { return [] }
    let known = rates.compactMap { $0 }
    let mean = known.isEmpty ? 1 : max(1, known.reduce(0, +) / UInt64(known.count))
    let weights = rates.map { max(1, $0 ?? mean) }
    var counts = [Int](repeating: 0, count: weights.count)
    for worker in counts.indices.prefix(shards) { counts[worker] = 1 }
    for _ in 0..<max(0, shards - counts.count) {
      var first = 0
      // The one who would end first with one more.
      for worker in counts.indices.dropFirst()
      where UInt64(counts[worker] + 1) * weights[first] < UInt64(counts[first] + 1) * weights[worker] {
        first = worker
      }
      counts[first] += 1
    }
    return counts
  }

  /// The time that a step takes with these shards, in units that can be compared: the slowest worker's.
  package static func time(_ counts: [Int], rates: [UInt64?]) -> UInt64 {
    zip(counts, rates).reduce(0) { longest, worker in
      max(longest, worker.1.map { UInt64(worker.0) * 1_000_000_000 / max(1, $0) } ?? 0)
    }
  }

  /// The nodes of each worker once those of one who is gone are given to the others, the least laden first.
  package static func adopting(_ orphans: [ShardNode], by nodes: [[ShardNode]], rates: [UInt64?]) -> [[ShardNode]] {
    guard !nodes.isEmpty else { return nodes }
    var nodes = nodes
    for orphan in orphans.sorted() {
      var lightest = 0
      for worker in nodes.indices where load(nodes[worker], rates[worker]) < load(nodes[lightest], rates[lightest]) {
        lightest = worker
      }
      nodes[lightest].append(orphan)
    }
    return nodes.map { $0.sorted() }
  }

  private static func load(_ nodes: [ShardNode], _ rate: UInt64?) -> UInt64 {
    UInt64(nodes.reduce(0) { $0 + $1.shards.count }) * 1_000_000_000 / max(1, rate ?? 1_000_000)
  }
}

/// Numbers for the sums that a server asks for.
struct SumNumbers: Sendable {
  private var next = GradientHandle.firstSum

  /// One that was not given before.
  mutating func take() -> GradientHandle {
    defer { next += 1 }
    return GradientHandle(next)
  }
}

/// The parts of a chunk's open round that are there, and the sums that they come to.
struct OpenRound: Sendable {
  /// Disjoint nodes.
  private var parts: [(node: ShardNode, gradient: GradientHandle)] = []

  /// Whether it already has every shard under a node.
  func covers(_ node: ShardNode) -> Bool {
    for part in parts where part.node.covers(node) { return true }
    return false
  }

  /// Adds a part to its sibling, and the sum to its sibling, as far as they are there. Parts that it covers are let go of:
  /// it replaces them.
  ///
  /// Returns the sum of the whole round and the node that it is the sum of; nil where the round waits for more.
  mutating func add(
    _ gradient: GradientHandle, at node: ShardNode, step: Int, _ rules: JobRules, _ numbers: inout SumNumbers,
    _ effects: inout [ServerEffect]
  ) -> (gradient: GradientHandle, node: ShardNode)? {
    if node.level > 0 { dropParts(under: node, &effects) }
    let root = rules.schedule.tree.root
    var (gradient, node) = (gradient, node)
    while node != root {
      if rules.samples(ofRound: step, under: node.sibling) > 0 {
        guard let index = parts.firstIndex(where: { $0.node == node.sibling }) else {
          parts.append((node, gradient))
          return nil
        }
        let other = parts.remove(at: index).gradient
        let sum = numbers.take()
        effects.append(
          .combine(left: node.isLeft ? gradient : other, right: node.isLeft ? other : gradient, into: sum))
        gradient = sum
      }
      node = node.parent
    }
    return (gradient, node)
  }

  private mutating func dropParts(under node: ShardNode, _ effects: inout [ServerEffect]) {
    guard parts.contains(where: { node.covers($0.node) }) else { return }
    for part in parts where node.covers(part.node) { effects.append(.release(part.gradient)) }
    parts.removeAll { node.covers($0.node) }
  }

  /// The nodes that are there.
  var nodes: [ShardNode] { parts.map(\.node) }

  /// Adds what is there in the order of the shards, whatever is missing; nil where nothing is.
  mutating func addAll(
    _ numbers: inout SumNumbers, _ effects: inout [ServerEffect]
  ) -> GradientHandle? {
    let gradients = takeAll()
    guard var gradient = gradients.first else { return nil }
    for other in gradients.dropFirst() {
      let sum = numbers.take()
      effects.append(.combine(left: gradient, right: other, into: sum))
      gradient = sum
    }
    return gradient
  }

  /// Takes out every part, in the order of their shards.
  mutating func takeAll() -> [GradientHandle] {
    defer { parts.removeAll(keepingCapacity: true) }
    return parts.sorted { $0.node < $1.node }.map(\.gradient)
  }
}

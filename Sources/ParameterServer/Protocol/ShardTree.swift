/// A node of the fixed binary tree in which the gradients of a step's shards are added.
///
/// Level 0 holds the shards themselves; the node (level, index) covers the shards
/// `index << level ..< (index + 1) << level`. The tree's shape depends on the number of shards alone, so the
/// sum has the same bits whoever adds which part of it.
public struct ShardNode: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Height above the shards.
  public let level: UInt8
  /// Position among the nodes of its level.
  public let index: UInt32

  /// The node at this height and position.
  public init(level: UInt8, index: UInt32) {
    self.level = level
    self.index = index
  }

  /// The shards that it covers.
  ///
  /// A node that a peer states may be of no tree: heights above any tree's count as the largest that does not overflow.
  public var shards: Range<Int> {
    let height = min(Int(level), Self.maximumHeight)
    return Int(index) << height..<(Int(index) + 1) << height
  }

  private static let maximumHeight = 30

  /// The node one level up that covers it and its sibling.
  public var parent: ShardNode { ShardNode(level: level + 1, index: index / 2) }

  /// The node that it is added to.
  public var sibling: ShardNode { ShardNode(level: level, index: index ^ 1) }

  /// Whether it is the first of the two that are added.
  public var isLeft: Bool { index & 1 == 0 }

  /// Whether every shard of the other node is one of its own.
  public func covers(_ other: ShardNode) -> Bool {
    level >= other.level && other.index >> (level - other.level) == index
  }

  /// Whether the left comes first.
  public static func < (left: ShardNode, right: ShardNode) -> Bool {
    (left.shards.lowerBound, left.level) < (right.shards.lowerBound, right.level)
  }

  /// The shards that it covers, as logs show them: `2` or `0-3`.
  public var description: String {
    let shards = shards
    return shards.count == 1 ? "\(shards.lowerBound)" : "\(shards.lowerBound)-\(shards.upperBound - 1)"
  }
}

/// The tree over a job's shards.
public struct ShardTree: Hashable, Sendable {
  /// Number of shards: a power of two.
  public let shards: Int

  /// Most shards that a job may have.
  public static let maximumShards = 1 << 16

  /// The tree over so many shards, or nil where that is not a power of two up to `maximumShards`.
  public init?(shards: Int) {
    guard shards >= 1, shards <= Self.maximumShards, shards & (shards - 1) == 0 else { return nil }
    self.shards = shards
  }

  /// The node that covers every shard.
  public var root: ShardNode { ShardNode(level: UInt8(truncatingIfNeeded: height), index: 0) }

  /// Levels above the shards: the logarithm of their number.
  var height: Int { shards.trailingZeroBitCount }

  /// Whether a node is one of this tree's.
  public func contains(_ node: ShardNode) -> Bool {
    node.level <= root.level && Int(node.index) < shards >> Int(node.level)
  }

  /// The fewest nodes that cover exactly the given shards, in order: maximal and aligned.
  public func nodes(covering range: Range<Int>) -> [ShardNode] {
    precondition(range.lowerBound >= 0 && range.upperBound <= shards, "\(range) of \(shards) shards")
    var nodes: [ShardNode] = []
    var next = range.lowerBound
    while next < range.upperBound {
      var level = next == 0 ? Int(root.level) : next.trailingZeroBitCount
      while 1 << level > range.upperBound - next { level -= 1 }
      nodes.append(ShardNode(level: UInt8(level), index: UInt32(next >> level)))
      next += 1 << level
    }
    return nodes
  }

  /// The shards of one of several workers: contiguous, the counts as equal as they can be.
  ///
  /// Workers beyond the number of shards get none.
  public func shards(ofWorker worker: Int, of workers: Int) -> Range<Int> {
    precondition(worker >= 0 && worker < workers, "worker \(worker) of \(workers)")
    let active = min(workers, shards)
    guard worker < active else { return shards..<shards }
    return worker * shards / active..<(worker + 1) * shards / active
  }
}

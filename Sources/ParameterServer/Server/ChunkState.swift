/// What a server knows of one chunk: its version, the parts of the open step, and who waits.
struct ChunkState: Sendable {
  /// A worker that wants the chunk at a version.
  struct Waiter: Sendable {
    let destination: Destination
    let version: UInt64
  }

  /// A push that came while an update was under way.
  struct Queued: Sendable {
    let push: Push
    let worker: UInt32
    let gradient: GradientHandle
  }

  let chunk: Int
  /// Number of updates made.
  private(set) var version: UInt64 = 0
  /// Whether an update was ordered and is not made yet.
  private(set) var isApplying = false
  /// The parts of the open step, disjoint and in order (sync).
  private var held: [(node: ShardNode, gradient: GradientHandle)] = []
  /// The units that were applied or are about to be (async).
  private var applied = UnitSet()
  private var queued: [Queued] = []
  private var waiters: [Waiter] = []

  init(chunk: Int) {
    self.chunk = chunk
  }

  /// Adds a worker to those that wait for a version, once.
  mutating func wait(_ destination: Destination, for version: UInt64) {
    guard !waiters.contains(where: { $0.destination == destination && $0.version == version }) else { return }
    waiters.append(Waiter(destination: destination, version: version))
  }

  /// The workers whose wait is over, in the order they came.
  mutating func dueWaiters() -> [Destination] {
    var due: [Destination] = []
    var others: [Waiter] = []
    for waiter in waiters {
      if waiter.version <= version { due.append(waiter.destination) } else { others.append(waiter) }
    }
    waiters = others
    return due
  }

  /// Whether the open step already has every shard under a node.
  func covers(_ node: ShardNode) -> Bool {
    isApplying || held.contains { $0.node.covers(node) }
  }

  /// Takes out the parts that a node covers: it replaces them.
  mutating func removeParts(under node: ShardNode) -> [GradientHandle] {
    let covered = held.filter { node.covers($0.node) }
    held.removeAll { node.covers($0.node) }
    return covered.map(\.gradient)
  }

  /// Takes out the gradient held for exactly this node, if there is one.
  mutating func take(_ node: ShardNode) -> GradientHandle? {
    guard let index = held.firstIndex(where: { $0.node == node }) else { return nil }
    return held.remove(at: index).gradient
  }

  /// Holds a part of the open step.
  mutating func hold(_ node: ShardNode, _ gradient: GradientHandle) {
    held.append((node, gradient))
  }

  /// Takes a unit; false when it was taken before.
  mutating func takeUnit(_ unit: Int) -> Bool { applied.insert(unit) }

  /// Keeps a push until the update under way is made.
  mutating func queue(_ push: Push, of worker: UInt32, _ gradient: GradientHandle) {
    queued.append(Queued(push: push, worker: worker, gradient: gradient))
  }

  /// The next push to be applied, if one waits.
  mutating func dequeue() -> Queued? {
    queued.isEmpty ? nil : queued.removeFirst()
  }

  /// Updates that are under way or wait for it.
  var pendingApplies: Int { queued.count + (isApplying ? 1 : 0) }

  /// An update was ordered.
  mutating func beginApply() {
    precondition(!isApplying, "two updates of chunk \(chunk) at once")
    isApplying = true
  }

  /// The update was made: the version rises by one.
  mutating func endApply() {
    precondition(isApplying, "chunk \(chunk) was updated without an order")
    isApplying = false
    version += 1
  }
}

/// A set of numbers that grows mostly from the bottom: ranges in order, so that it stays small.
struct UnitSet: Hashable, Sendable {
  private var ranges: [Range<Int>] = []

  /// Adds a number; false when it was there.
  mutating func insert(_ unit: Int) -> Bool {
    var index = ranges.count
    while index > 0, ranges[index - 1].lowerBound > unit { index -= 1 }
    if index > 0, ranges[index - 1].contains(unit) { return false }
    let joinsLeft = index > 0 && ranges[index - 1].upperBound == unit
    let joinsRight = index < ranges.count && ranges[index].lowerBound == unit + 1
    switch (joinsLeft, joinsRight) {
    case (true, true):
      ranges[index - 1] = ranges[index - 1].lowerBound..<ranges[index].upperBound
      ranges.remove(at: index)
    case (true, false): ranges[index - 1] = ranges[index - 1].lowerBound..<unit + 1
    case (false, true): ranges[index] = unit..<ranges[index].upperBound
    case (false, false): ranges.insert(unit..<unit + 1, at: index)
    }
    return true
  }
}

/// A push that has to wait: an update is under way, or a cut is not complete.
struct QueuedPush: Sendable {
  let push: Push
  let worker: UInt32
  let source: Destination
  let gradient: GradientHandle
}

/// What a server knows of one chunk: where it is, the parts of the open round, and who waits.
struct ChunkState: Sendable {
  /// A worker that wants the chunk.
  struct Waiter: Sendable {
    let destination: Destination
    /// Steps that must be closed.
    let closed: Int
    /// The version that must be there: that of the push that is answered.
    let version: UInt64
    let answers: Contribution?
  }

  /// An update that was ordered, and what is still to come before it can be seen.
  struct OpenUpdate: Sendable {
    let update: Update
    let gradient: GradientHandle
    var isApplied = false
    var isReplicated: Bool
  }

  let chunk: Int
  /// Whether this server is the one that workers reach; otherwise it keeps the replica.
  var isPrimary: Bool
  /// The server that keeps the replica of what this one serves.
  var replica: Member?
  /// Whether the replica is known to have had the whole state in this assignment.
  var isReplicaSynced = false
  /// Whether there is a state at all.
  var holdsState = false
  /// Whether a replica that was the primary holds an update that the primary may not have: it takes the primary's state
  /// before it confirms anything. Until then what it holds is a second copy of all that was published.
  var awaitsState = false

  /// Number of updates that can be seen.
  private(set) var version: UInt64 = 0
  /// Steps that are closed.
  private(set) var closed = 0
  /// Units beyond the closed steps that were applied.
  private(set) var covered = UnitSet()
  /// The version before, and the steps that were closed then; nil where it is not held.
  private(set) var previous: ChunkPosition.Previous?
  private(set) var open: OpenUpdate?

  /// The parts of the open round, disjoint.
  private var held: [(node: ShardNode, gradient: GradientHandle)] = []
  /// Pushes that wait for the update under way.
  private var queued: [QueuedPush] = []
  private var waiters: [Waiter] = []

  init(chunk: Int, isPrimary: Bool) {
    self.chunk = chunk
    self.isPrimary = isPrimary
  }

  /// Where it is.
  var position: ChunkPosition {
    ChunkPosition(chunk: UInt32(chunk), version: version, closed: UInt64(closed), covered: covered)
  }

  /// Begins with a state.
  mutating func begin(at position: ChunkPosition) {
    version = position.version
    closed = Int(position.closed)
    covered = position.covered
    previous = position.previous
    open = nil
    holdsState = true
    awaitsState = false
  }

  // MARK: Waiting

  /// Adds a worker to those that wait, once for each need.
  mutating func wait(_ waiter: Waiter) {
    let isKnown = waiters.contains {
      $0.destination == waiter.destination && $0.closed == waiter.closed && $0.answers == waiter.answers
    }
    if !isKnown { waiters.append(waiter) }
  }

  /// The workers whose wait is over, in the order they came.
  ///
  /// While a cut is gathered, a single push is answered as soon as it is applied: steps may not close before its worker
  /// has marked the cut, which waits for the answer.
  mutating func dueWaiters(isGatheringCut: Bool) -> [Waiter] {
    guard !waiters.isEmpty else { return [] }
    var due: [Waiter] = []
    var others: [Waiter] = []
    for waiter in waiters {
      let isClosed = waiter.closed <= closed || (isGatheringCut && waiter.version > 0)
      if isClosed && waiter.version <= version { due.append(waiter) } else { others.append(waiter) }
    }
    waiters = others
    return due
  }

  /// Forgets who waits: those who still do ask again in the new view.
  mutating func forgetWaiters() { waiters.removeAll(keepingCapacity: true) }

  // MARK: The open round

  /// Whether the open round already has every shard under a node.
  func covers(_ node: ShardNode) -> Bool {
    held.contains { $0.node.covers(node) }
  }

  /// Takes out the parts that a node covers: it replaces them.
  mutating func removeParts(under node: ShardNode) -> [GradientHandle] {
    let covered = held.filter { node.covers($0.node) }
    if !covered.isEmpty { held.removeAll { node.covers($0.node) } }
    return covered.map(\.gradient)
  }

  /// Takes out the gradient held for exactly this node, if there is one.
  mutating func take(_ node: ShardNode) -> GradientHandle? {
    guard let index = held.firstIndex(where: { $0.node == node }) else { return nil }
    return held.remove(at: index).gradient
  }

  /// Holds a part of the open round.
  mutating func hold(_ node: ShardNode, _ gradient: GradientHandle) {
    held.append((node, gradient))
  }

  /// The nodes that are held.
  var heldNodes: [ShardNode] { held.map(\.node) }

  /// Takes out every part, in the order of their shards.
  mutating func takeParts() -> [(node: ShardNode, gradient: GradientHandle)] {
    defer { held.removeAll(keepingCapacity: true) }
    return held.sorted { $0.node < $1.node }
  }

  // MARK: Units

  /// Whether a unit was applied, or is about to be.
  func hasUnit(_ unit: Int, shards: Int) -> Bool {
    unit < closed * shards || covered.contains(unit) || open?.update.unit == UInt64(unit)
      || queued.contains { Int($0.push.step) * shards + Int($0.push.node.index) == unit }
  }

  /// Keeps a push until the update under way is made.
  mutating func queue(_ push: QueuedPush) { queued.append(push) }

  /// Number of pushes that wait.
  var queuedCount: Int { queued.count }

  /// The next push to be applied, if one waits.
  mutating func dequeue() -> QueuedPush? { queued.isEmpty ? nil : queued.removeFirst() }

  /// Steps closed, and units covered beyond them, once a unit is applied as well.
  func covering(_ unit: Int, _ rules: JobRules) -> (closed: Int, covered: UnitSet) {
    var covered = covered
    covered.insert(unit)
    return Self.settled(closed, covered, rules)
  }

  /// Closes the steps whose units are all covered or empty, as far as pushes are applied one by one.
  static func settled(_ closed: Int, _ covered: UnitSet, _ rules: JobRules) -> (closed: Int, covered: UnitSet) {
    let shards = rules.schedule.tree.shards
    var closed = closed
    while closed < rules.steps, !rules.consistency(ofStep: closed).isSummed {
      let end = (closed + 1) * shards
      var next = closed * shards
      while next < end {
        let missing = covered.firstMissing(from: next)
        guard missing < end, rules.isEmpty(unit: missing) else {
          next = missing
          break
        }
        next = missing + 1
      }
      guard next >= end else { break }
      closed += 1
    }
    var rest = covered
    rest.removeAll(below: closed * shards)
    return (closed, rest)
  }

  // MARK: Updates

  /// An update was ordered.
  mutating func begin(_ update: Update, gradient: GradientHandle) {
    precondition(open == nil, "two updates of chunk \(chunk) at once")
    // Its floats are written over; nobody needs them: a round that is whole follows from one that is closed everywhere.
    previous = nil
    open = OpenUpdate(update: update, gradient: gradient, isReplicated: replica == nil)
  }

  /// The update was made here.
  mutating func applied() {
    precondition(open != nil, "chunk \(chunk) was updated without an order")
    open?.isApplied = true
  }

  /// The replica has a version.
  mutating func replicated(_ version: UInt64) {
    if let update = open?.update, version >= update.version { open?.isReplicated = true }
  }

  /// Nothing more is waited for from the replica, or all is.
  mutating func setReplicated(_ isReplicated: Bool) { open?.isReplicated = isReplicated }

  /// Whether the update may be seen.
  var canPublish: Bool { open.map { $0.isApplied && $0.isReplicated } ?? false }

  /// Makes the update visible; returns the gradient, which is needed no more.
  mutating func publish(_ rules: JobRules) -> GradientHandle? {
    guard let open, open.isApplied else { return nil }
    precondition(open.update.version == version + 1, "chunk \(chunk) goes from \(version) to \(open.update.version)")
    previous = ChunkPosition.Previous(version: version, closed: UInt64(closed))
    version = open.update.version
    if let unit = open.update.unit { covered.insert(Int(unit)) }
    closed = max(closed, Int(open.update.closed))
    covered.removeAll(below: closed * rules.schedule.tree.shards)
    self.open = nil
    return open.gradient
  }

  /// Lets go of everything that a new view makes void: parts and queued pushes are sent again.
  mutating func dropPushes() -> [GradientHandle] {
    let dropped = held.map(\.gradient) + queued.map(\.gradient)
    held.removeAll(keepingCapacity: true)
    queued.removeAll(keepingCapacity: true)
    return dropped
  }

  /// The gradient of the update under way, which is given up.
  mutating func abandonUpdate() -> GradientHandle? {
    defer { open = nil }
    return open?.gradient
  }
}

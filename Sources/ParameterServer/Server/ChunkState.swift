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

    /// Whether its wait is over.
    ///
    /// While a cut is gathered, a single push is answered as soon as it is applied: steps may not close before its
    /// worker has marked the cut, which waits for the answer.
    func isDue(version: UInt64, closed: Int, isGatheringCut: Bool) -> Bool {
      (self.closed <= closed || (isGatheringCut && self.version > 0)) && self.version <= version
    }
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
  /// Whether the open round is whole and waits for its scale.
  var awaitsScale = false
  /// The scale of the newest update.
  private(set) var scale: UInt64?

  /// What is there of the open round.
  var round = OpenRound()
  /// Pushes that wait for the update under way.
  private(set) var queued: [QueuedPush] = []
  private var waiters: [Waiter] = []

  init(chunk: Int, isPrimary: Bool) {
    self.chunk = chunk
    self.isPrimary = isPrimary
  }

  /// Where it is.
  var position: ChunkPosition {
    ChunkPosition(chunk: UInt32(chunk), version: version, closed: UInt64(closed), covered: covered)
  }

  // What is only looked at is `mutating` where every message asks for it: so it is looked at where it is, not in a copy.

  /// Whether workers reach it, and find a state.
  var isReady: Bool { mutating get { isPrimary && holdsState } }

  /// What becomes of an update of the primary's depends on this.
  var replicaStanding: (isReplica: Bool, holdsState: Bool, lacksState: Bool, isUpdating: Bool, version: UInt64) {
    mutating get { (!isPrimary, holdsState, awaitsState, open != nil, version) }
  }

  /// What the next push depends on.
  var standing: (isReady: Bool, version: UInt64, closed: Int, isIdle: Bool) {
    mutating get { (isPrimary && holdsState, version, closed, open == nil && queued.isEmpty) }
  }

  /// What is sent to the replica: the update under way, where the replica has everything before it.
  var unconfirmed: (replica: Member, open: OpenUpdate)? {
    mutating get {
      guard isReplicaSynced, let replica, let open, !open.isReplicated else { return nil }
      return (replica, open)
    }
  }

  /// Begins with a state.
  mutating func begin(at position: ChunkPosition) {
    version = position.version
    closed = Int(position.closed)
    covered = position.covered
    previous = position.previous
    scale = position.scale
    open = nil
    holdsState = true
    awaitsState = false
  }

  // MARK: Waiting

  /// Adds a worker to those that wait, once for each need; false where it waits already.
  @discardableResult
  mutating func wait(_ waiter: Waiter) -> Bool {
    let isKnown = waiters.contains {
      $0.destination == waiter.destination && $0.closed == waiter.closed && $0.answers == waiter.answers
    }
    if !isKnown { waiters.append(waiter) }
    return !isKnown
  }

  /// Takes out who waits, in the order they came, in exchange for an empty list; returns where the chunk is.
  mutating func swapWaiters(_ others: inout [Waiter]) -> (version: UInt64, closed: Int) {
    swap(&waiters, &others)
    return (version, closed)
  }

  /// Forgets who waits: those who still do ask again in the new view.
  mutating func forgetWaiters() { waiters.removeAll(keepingCapacity: true) }

  // MARK: The open round

  /// What becomes of a part of a round.
  enum Offer {
    /// Refuse it: workers do not reach this server for the chunk.
    case absent
    /// Refuse it: its round is later than the open one, which has so many closed steps before it.
    case early(closed: Int)
    /// Let go of it: its round is closed, or whole.
    case late
    /// Let go of it: it is there.
    case known
    /// It was added: the sum of the whole round and its node, where that waits for no more.
    case added(whole: (gradient: GradientHandle, node: ShardNode)?)
  }

  /// Takes a part of a round, and notes who waits for the answer.
  mutating func offer(
    _ gradient: GradientHandle, at node: ShardNode, step: Int, from waiter: Waiter, _ rules: JobRules,
    _ numbers: inout SumNumbers, _ effects: inout [ServerEffect]
  ) -> Offer {
    guard isPrimary, holdsState else { return .absent }
    guard step <= closed else { return .early(closed: closed) }
    wait(waiter)
    if step < closed || open != nil || awaitsScale { return .late }
    if round.covers(node) { return .known }
    return .added(whole: round.add(gradient, at: node, step: step, rules, &numbers, &effects))
  }

  // MARK: Pushes that wait

  /// Keeps a push until the update under way is made.
  mutating func enqueue(_ push: QueuedPush) { queued.append(push) }

  /// The next push to be applied, if one waits.
  mutating func dequeue() -> QueuedPush? { queued.isEmpty ? nil : queued.removeFirst() }

  // MARK: Updates

  /// An update was ordered. Returns whether the replica can be sent it.
  mutating func begin(_ update: Update, gradient: GradientHandle) -> Bool {
    precondition(open == nil, "two updates of chunk \(chunk) at once")
    // Its floats are written over; nobody needs them: a round that is whole follows from one that is closed everywhere.
    previous = nil
    open = OpenUpdate(update: update, gradient: gradient, isReplicated: replica == nil)
    return isReplicaSynced && replica != nil
  }

  /// What an update that was made leads to.
  enum Made {
    /// Nothing: it was given up.
    case void
    /// It may not be the primary's own: the state is to be asked for.
    case doubtful
    /// It can be seen once the replica has it, which may have to be sent the state.
    case good(owesState: Bool)
  }

  /// The update to a version was made here.
  mutating func made(_ version: UInt64) -> Made {
    guard open?.isApplied == false, open?.update.version == version else { return .void }
    open?.isApplied = true
    if awaitsState { return .doubtful }
    return .good(owesState: isPrimary && replica != nil && !isReplicaSynced)
  }

  /// What becomes of a server's word that it has a version.
  enum Confirmation {
    /// It keeps no replica of what is served here.
    case absent
    /// There is no such version.
    case tooNew
    /// It was known.
    case known
    /// It is noted; the update under way may have to be sent, which was ordered before it could be.
    case noted(owesUpdate: Bool)
  }

  /// A server has a version.
  mutating func replicated(_ version: UInt64, by server: Member) -> Confirmation {
    guard isPrimary, replica == server else { return .absent }
    guard version <= open?.update.version ?? self.version else { return .tooNew }
    var isKnown = true
    if let open, version >= open.update.version, !open.isReplicated {
      self.open?.isReplicated = true
      isKnown = false
    }
    guard !isReplicaSynced, version >= self.version else { return isKnown ? .known : .noted(owesUpdate: false) }
    isReplicaSynced = true
    return .noted(owesUpdate: open.map { version < $0.update.version } ?? false)
  }

  /// Nothing more is waited for from the replica, or all is.
  mutating func setReplicated(_ isReplicated: Bool) { open?.isReplicated = isReplicated }

  /// What became of an update that can be seen.
  struct Published: Sendable {
    let version: UInt64
    /// Steps that are closed, and those that were before.
    let closed: Int
    let closedBefore: Int
    let isPrimary: Bool
    /// It is needed no more.
    let gradient: GradientHandle
    /// Whether a push waits to be applied next.
    let hasNext: Bool
  }

  /// Makes the update visible, where it is made here and on the replica.
  mutating func publish(_ rules: JobRules) -> Published? {
    guard let open, open.isApplied, open.isReplicated else { return nil }
    precondition(open.update.version == version + 1, "chunk \(chunk) goes from \(version) to \(open.update.version)")
    previous = ChunkPosition.Previous(version: version, closed: UInt64(closed))
    let before = closed
    version = open.update.version
    if let unit = open.update.unit { covered.insert(Int(unit)) }
    scale = open.update.scale
    closed = max(closed, Int(open.update.closed))
    covered.removeAll(below: closed * rules.schedule.tree.shards)
    self.open = nil
    return Published(
      version: version, closed: closed, closedBefore: before, isPrimary: isPrimary, gradient: open.gradient,
      hasNext: !queued.isEmpty)
  }

  /// Lets go of everything that a new view makes void: parts and queued pushes are sent again.
  mutating func dropPushes() -> [GradientHandle] {
    let dropped = round.takeAll() + queued.map(\.gradient)
    awaitsScale = false
    queued.removeAll(keepingCapacity: true)
    return dropped
  }

  /// The gradient of the update under way, which is given up.
  mutating func abandonUpdate() -> GradientHandle? {
    defer { open = nil }
    return open?.gradient
  }
}

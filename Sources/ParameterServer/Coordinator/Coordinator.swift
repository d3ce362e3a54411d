/// The coordinator: gives out places and views, hears signs of life, keeps checkpoints, ends the job.
///
/// Never on the gradient's path. A value without I/O, clock or floats: `handle` takes what happened and returns what to
/// do, in order. What it decides is in its journal before anybody is told, so that a successor goes on from there.
public struct Coordinator: Sendable {
  enum Phase: Sendable {
    case gathering
    case running
    /// Everyone was told to stop; those who have not said goodbye are waited for until the deadline.
    case ending(StopReason, deadline: Moment)
    case over
  }

  let plan: JobPlan
  let token: JobToken
  let deadlines: Deadlines
  /// One more than the predecessor's: what an earlier coordinator said is void.
  var term: UInt64

  var phase = Phase.gathering
  var roster: Roster
  var agreed: Agreement?
  var view: View?
  /// Servers that work in the view.
  var accepted: [Member] = []
  /// The most steps that a server of the view has closed.
  var closedSteps = 0
  /// Whether every server works in the view, and the workers know it.
  var isPlaced = false
  var recovery: Recovery?
  var futileReturns = FutileReturns()
  var book: LeaseBook?
  var cuts = CutBook()
  /// The checkpoint that the era began with.
  var newestCheckpoint: CheckpointMark?
  /// Checkpoints that are being written.
  var pendingMarks: [PendingMark] = []
  /// The last cut, which the disk has refused and is to be stored once more.
  var refusedMark: RefusedMark?
  /// Whether workers may have been told a view of this era.
  var eraBegan = false
  /// The consistency that somebody asked for, until it can be switched.
  var wantedMode: Consistency?
  /// Who asked for it, and is answered when a view with it is written down.
  var modeAskers: [Connection] = []
  /// When what the next view answers to was seen, and whether training had begun before.
  var disturbedAt: Moment?
  var hasBegun = false
  var rebalancedAt: Moment?
  var respreadAt: Moment?
  var cutAt: Moment?
  /// Members that were removed because one did not reach the other.
  var suspensions = Suspensions()
  /// The waits that were told of and last.
  var toldStalls: [(waiter: Member, server: Member)] = []
  /// Totals of members that are gone, by epoch.
  var pastTotals: [EpochTotals] = []
  var pastShards: UInt64 = 0
  var pastRefused = RefusedCounts()
  var pastStaleness = StalenessCounts()
  /// Lives that the launcher has taken for ended, the newest of them. One may go on where only the connection by which the
  /// launcher started it is lost: another process has its name, or soon will.
  var endedLives: [Incarnation] = []
  /// Whether the last checkpoint is stored, by this coordinator or a predecessor.
  var isCompleted = false
  private var timer: Moment?
  private var handledAt: Moment?
  private var reportedMissingAt: Moment?

  /// What was refused since the start.
  public internal(set) var refusals = RefusalCounts()
  /// What was passed over since the start.
  public internal(set) var drops = DropCounts()

  /// A job that cannot go on as it is: its chunks are lost, or not there yet.
  enum Recovery: Sendable {
    /// Servers may come until then.
    case gathering(until: Moment)
    /// The newest checkpoint is being read.
    case loading
  }

  /// A coordinator that has not started.
  ///
  /// - Parameter journal: what its predecessor wrote down, in order; empty for the first.
  public init(plan: JobPlan, token: JobToken, deadlines: Deadlines = Deadlines(), journal: [JournalRecord] = []) {
    self.plan = plan
    self.token = token
    self.deadlines = deadlines
    roster = Roster(servers: plan.servers, workers: plan.workers)
    term = 1 + journal.reduce(0) { if case .term(let term) = $1 { max($0, term) } else { $0 } }
    replay(journal)
  }

  /// The view that holds, or nil before the first.
  public var currentView: View? { view }

  /// Takes what happened and adds what to do, in order.
  public mutating func handle(_ event: CoordinatorEvent, at now: Moment, into effects: inout [CoordinatorEffect]) {
    if case .over = phase {
      drops.count(.ended)
      if case .message(_, _, let payload?) = event { effects.append(.release(payload.handle)) }
      return
    }
    noticePause(at: now)
    switch event {
    case .started: start(at: now, &effects)
    case .message(let envelope, let connection, let payload):
      receive(envelope, from: connection, payload: payload, at: now, &effects)
    case .unreadable(let refusal, let connection): refuse(refusal, connection, stranger: JobToken.none, &effects)
    case .stored(let step): stored(step, at: now, &effects)
    case .notStored(let step, let text): notStored(step, text, at: now, &effects)
    case .loaded(let mark): loaded(mark, at: now, &effects)
    case .ended(let name): ended(name, at: now, &effects)
    case .timer: tick(at: now, &effects)
    case .interrupted: end(.interrupted, at: now, &effects)
    case .failed(let text, let kind): end(.failed(text, kind), at: now, &effects)
    }
    if case .over = phase { return }
    let deadline = timer.flatMap { $0 > now ? $0 : nil } ?? now.advanced(milliseconds: deadlines.heartbeat)
    if deadline != timer {
      timer = deadline
      effects.append(.timer(deadline))
    }
  }

  /// A coordinator that was stopped for a while has heard nobody, whoever spoke: it listens again before it judges.
  private mutating func noticePause(at now: Moment) {
    let pause = max(2 * deadlines.heartbeat, deadlines.silence / 2)
    if let handledAt, now.milliseconds(since: handledAt) >= pause { roster.hearAll(at: now) }
    handledAt = now
  }

  func envelope(_ message: Message) -> Envelope {
    Envelope(
      token: token, view: view?.number ?? .none, sender: .coordinator, incarnation: Incarnation(term), message: message)
  }

  func send(
    _ message: Message, to connection: Connection?, restoring chunk: Int? = nil, _ effects: inout [CoordinatorEffect]
  ) {
    guard let connection else { return }
    effects.append(.send(envelope(message), to: connection, restoring: chunk))
  }

  mutating func refuse(
    _ refusal: Refusal, _ connection: Connection, stranger: JobToken? = nil, _ effects: inout [CoordinatorEffect]
  ) {
    note(refusal, &effects)
    guard let stranger else { return send(.refused(refusal), to: connection, &effects) }
    // Who does not know the job's token is not told it: the answer carries the one that they know.
    let answer = Envelope(
      token: stranger, view: .none, sender: .coordinator, incarnation: Incarnation(term), message: .refused(refusal))
    effects.append(.send(answer, to: connection, restoring: nil))
  }

  /// Counts and tells what is refused, where there is nobody to answer.
  mutating func note(_ refusal: Refusal, _ effects: inout [CoordinatorEffect]) {
    refusals.count(refusal.reason)
    effects.append(.report(.refused(refusal)))
  }

  private mutating func start(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    reportedMissingAt = now
    effects.append(.journal(.term(term)))
    roster.hearAll(at: now)
    guard view != nil else { return }
    phase = .running
    hasBegun = true
    // Its predecessor died before everybody was told.
    if isCompleted { return end(.completed, at: now, &effects) }
    // Its predecessor may have died while it told the view: a new one is told to all. Whoever has no state says so.
    revise(.begun, at: now, &effects)
  }

  /// Tells everyone to stop, and leaves once they have said goodbye: a connection that is closed too early takes what
  /// it has not delivered with it.
  mutating func end(_ reason: StopReason, at now: Moment, _ effects: inout [CoordinatorEffect]) {
    if case .ending = phase { return }
    if case .over = phase { return }
    giveUpMode("too late: the job is over", &effects)
    for entry in roster.entries { send(.stop(reason), to: entry.connection, &effects) }
    phase = .ending(reason, deadline: now.advanced(milliseconds: deadlines.goodbye))
    leaveIfAlone(at: now, &effects)
  }

  mutating func leaveIfAlone(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard case .ending(let reason, let deadline) = phase else { return }
    guard roster.entries.isEmpty || now >= deadline else { return }
    phase = .over
    if reason == .completed {
      // Who has not said goodbye counts as what was heard last.
      for member in roster.entries.map(\.member) { forget(member) }
      // A successor that only evaluates the model tells the whole job's totals.
      effects.append(.journal(.totals(progress.epochs, progress.staleness)))
      effects.append(.report(.trained(progress)))
    }
    effects.append(.stop(reason))
  }

  // MARK: Time

  private mutating func tick(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    if case .ending(let reason, _) = phase {
      for index in roster.entries.indices { send(.stop(reason), to: roster.entries[index].connection, &effects) }
      return leaveIfAlone(at: now, &effects)
    }
    if let (members, since) = roster.silent(for: deadlines.silence, at: now) {
      for member in members { forget(member) }
      membersLeft(members, "silent for \(deadlines.silence) ms", since: since, at: now, &effects)
    }
    reportMissing(at: now, &effects)
    guard case .running = phase else { return }
    if case .gathering(let until) = recovery, now >= until { startRecovery(at: now, &effects) }
    effects.append(.report(.progress(progress)))
    watchLinks(at: now, &effects)
    guard case .running = phase else { return }
    rebalance(at: now, &effects)
    storeAgain(at: now, &effects)
    respread(at: now, &effects)
    cutByTime(at: now, &effects)
  }

  private mutating func reportMissing(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard now.milliseconds(since: reportedMissingAt ?? now) >= deadlines.missingReport else { return }
    reportedMissingAt = now
    let isWaiting: Bool
    if case .gathering = phase {
      isWaiting = true
    } else {
      isWaiting = recovery != nil || view?.workers.isEmpty == true
    }
    if isWaiting { effects.append(.report(.waiting(missing: roster.missing))) }
  }

  /// How far the job is.
  var progress: JobProgress {
    var epochs = pastTotals
    var shards = pastShards
    var staleness = pastStaleness
    // By index, as everywhere where it is said often: a member that is copied costs more than what is asked of it.
    for index in roster.entries.indices {
      staleness.add(roster.entries[index].staleness)
      guard roster.entries[index].member.role == .worker else { continue }
      shards = shards.adding(roster.entries[index].shards)
      for totals in roster.entries[index].epochs { Self.add(totals, to: &epochs) }
    }
    let totalSteps = view?.rules.steps ?? 0
    return JobProgress(
      steps: min(max(roster.begunSteps, closedSteps), totalSteps), totalSteps: totalSteps,
      samples: EpochTotals.samples(of: epochs), epochs: epochs, shards: shards, staleness: staleness)
  }

  /// Adds totals to those of their epoch.
  static func add(_ totals: EpochTotals, to epochs: inout [EpochTotals]) {
    guard let index = epochs.firstIndex(where: { $0.epoch >= totals.epoch }) else { return epochs.append(totals) }
    guard epochs[index].epoch == totals.epoch else { return epochs.insert(totals, at: index) }
    epochs[index].add(totals)
  }
}

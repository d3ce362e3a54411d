import Engines
package import Logging
import ModelFiles
import Networks
package import ParameterServer
import Tensors
package import Transport

/// A coordinator process, or thread: holds the sockets and the run folder, and does what its state machine decides.
///
/// Where the run folder has a journal of the same job, it goes on from there: its predecessor was killed, or the whole job.
package final class CoordinatorRole {
  let prepared: PreparedJob
  let folder: RunFolder
  let metrics: RunMetrics
  let token: JobToken
  let stop: StopRequest
  let logger: Logger
  let report: (JobEvent) -> Void
  let post: Post
  let access: NetworkAccess
  let transport: any Transport
  let journal: RunJournal
  /// What is taken over from the journal.
  private let records: [JournalRecord]
  let keeper: CheckpointKeeper
  let outcomes: Mailbox<CheckpointKeeper.Outcome>
  let loop: EventLoop<Coordinator>
  let launchedAt: Double
  private let byte: StateByte?
  /// Called at the end, while the address is still this coordinator's.
  var beforeClosing: () -> Void = {}

  private var payloads = Payloads()
  /// The newest view, and why it came; what it was told to no member yet counts too.
  var view: View?
  var viewReason: ViewReason?
  /// The data set's digest that the workers agree on.
  var dataDigest: [UInt8] = []
  var loaded: LoadedCut?
  var meter = ThroughputMeter()
  var progress: JobProgress?
  var reported: JobProgress?
  /// How far the job was at the checkpoint before.
  var progressAtCheckpoint: JobProgress?
  /// How many pushes the newest line on staleness counts, and when it was written.
  var stalenessTold: (pushes: UInt64, seconds: Double) = (0, 0)
  var trained: JobProgress?
  var result: (stored: RunFolder.StoredModel, vectors: ModelVectors)?
  /// Whether connections are held to keys, as all are over tcp.
  var isGuarded = false
  /// What was told of connections that were refused.
  var refusedConnections = RefusedConnections()
  var refusalLog = RefusalLog()
  var connectionLog = RefusalLog()
  private var isWarnedOfMetrics = false
  private var isFailureTold = false
  /// What could not be stored of what the run should have at its end, and why.
  var notStored: [String] = []
  /// What was told of a journal that cannot be written, and when that is tried again, in seconds.
  private var journalProblem: (told: String, nextTry: Double)?
  /// Who asked for another mode: nobody is told that it is set before it is written down.
  private var modeAskers: Set<Connection> = []

  /// A coordinator that has not begun.
  ///
  /// - Parameters:
  ///   - resume: a run folder or a checkpoint to go on from, where the run's own folder has none.
  ///   - launch: what tells this launch from others, where whoever started it has started the members too: they end with
  ///     it, and a journal of another launch speaks of processes that are gone. nil where members live on their own.
  ///   - launchedAt: when the command that the person gave began, in seconds of the monotonic clock.
  ///   - report: told of what happens, on the thread that runs.
  package init(
    job: Job, transport: any Transport, access: NetworkAccess = NetworkAccess(), folder: RunFolder, token: JobToken,
    resume: String? = nil, launch: String? = nil, deadlines: Deadlines = Deadlines(), stop: StopRequest,
    logger: Logger, launchedAt: Double,
    report: @escaping (JobEvent) -> Void
  ) throws(ConvoyError) {
    try PreparedJob.requireData(of: job)
    prepared = try PreparedJob(job: job, text: job.yaml)
    self.folder = folder
    self.access = access
    self.transport = transport
    self.token = token
    self.stop = stop
    self.logger = logger
    self.report = report
    self.launchedAt = launchedAt
    metrics = RunMetrics(folder: folder, launchedAt: launchedAt)
    byte = StateByte(name: "coordinator")
    let context = CheckpointKeeper.Context(prepared, folder: folder.path)
    journal = try RunJournal(folder: folder.path)
    if journal.cutBytes > 0 {
      logger.warning("the journal's last \(journal.cutBytes) bytes were torn, and are cut off")
    }
    var hasCheckpoint = try context.open()
    let isSameJob = try folder.holds(job)
    var isSameLaunch = true
    if let launch { isSameLaunch = folder.isMarked(by: launch) }
    let isOver = isSameJob && journal.records.contains(.completed)
    let isSuccessor = isOver || isSameJob && isSameLaunch
    // What is refused leaves the run as it was. A coordinator that takes another's place goes on by its views.
    if let resume, !isSuccessor, !hasCheckpoint || folder.isSame(as: resume) { try context.requireUsable(resume) }
    if let launch { try folder.mark(launch) }
    records = isSuccessor ? journal.records : try journal.reset(keepsTotals: hasCheckpoint)
    if !isSameJob { try folder.replace(job) }
    if !hasCheckpoint, let resume, !folder.isSame(as: resume) {
      try context.adopt(resume)
      hasCheckpoint = true
    }
    var plan = try Self.plan(prepared)
    plan.resumes = hasCheckpoint
    plan.keepsModes = hasCheckpoint && context.keepsMode()
    post = try Post(transport, takesStates: true)
    outcomes = Mailbox(waker: post.waker)
    keeper = CheckpointKeeper(context) { [outcomes] in outcomes.put($0) }
    var deadlines = deadlines
    deadlines.stallAction = UInt64(job.stallTimeout * 1000)
    // No sooner than two questions whether a server hears had the time to be answered.
    deadlines.stallReport = max(deadlines.stallAction / 3, 2 * deadlines.linkProbe + 1000)
    loop = EventLoop(
      Coordinator(plan: plan, token: token, deadlines: deadlines, journal: records), post: post, timerEvent: .timer)
    recall(records)
  }

  /// What the coordinator is told of a job.
  package static func plan(_ prepared: PreparedJob) throws(ConvoyError) -> JobPlan {
    let job = prepared.job
    var plan = JobPlan(
      consistency: job.mode, servers: job.servers, workers: job.workers, tree: try prepared.shardTree(),
      batch: job.batch, epochs: job.epochs, maximumSteps: job.maxSteps,
      elements: prepared.network.parameterLayout.count, job: job.yaml, digests: prepared.digests)
    plan.buffers = prepared.network.bufferLayout.count
    plan.slots = try prepared.updateSettings().optimizer.stateVectors.count
    plan.hasReplicas = job.replicas > 0
    plan.rebalances = job.rebalance
    plan.checkpointEvery = job.checkpointEvery
    plan.checkpointInterval = job.checkpointMinutes.map { UInt64($0 * 60_000) }
    plan.maximumStaleness = job.maxStaleness.map(UInt64.init)
    plan.clipsNorm = job.clipNorm != nil
    return plan
  }

  /// What the predecessor's journal says beside what the machine makes of it.
  private func recall(_ records: [JournalRecord]) {
    for record in records { note(record) }
    progressAtCheckpoint = progress
    // The predecessor has told of it.
    reported = progress
    if view != nil { logger.info("goes on from the journal: view \(view?.number.rawValue ?? 0)") }
  }

  private var isCompleted: Bool { records.contains(.completed) && view != nil }

  private func note(_ record: JournalRecord) {
    switch record {
    case .agreed(_, let data): dataDigest = data
    case .view(let view): self.view = view
    case .totals(let epochs, let staleness):
      progress = JobProgress(
        steps: 0, totalSteps: 0, samples: EpochTotals.samples(of: epochs), epochs: epochs, shards: 0,
        staleness: staleness)
    case .term, .leased, .leaseBook, .checkpoint, .completed: break
    }
  }

  /// Tells the coordinator that a process that its launcher started has ended. From any thread.
  package var ended: @Sendable (String) -> Void {
    { [mailbox = loop.mailbox] in mailbox.put(.ended(name: $0)) }
  }

  /// Coordinates until the job is over, then evaluates the model. Errors say why it ended before.
  package func run() throws(ConvoyError) -> JobSummary {
    defer {
      beforeClosing()
      folder.note(address: nil)
      // What is still to be sent tells the members that the job is over.
      post.close(lingerMilliseconds: 1000)
      keeper.close()
    }
    if isCompleted { return try finishAgain() }
    stop.listen { [mailbox = loop.mailbox] signal in
      mailbox.put(signal == .orphaned ? .failed("the launcher is gone") : .interrupted)
    }
    let reason = try loop.run(
      first: .started, incoming: { incoming throws(ConvoyError) in event(for: incoming) },
      failure: { .failed($0.message, $0.kind) },
      perform: { effect throws(ConvoyError) in try perform(effect) })
    journal.settle()
    tellFailure(reason)
    tellRefusedConnections(isLast: true)
    if let passedOver = loop.machine.drops.summary { logger.info("events passed over: \(passedOver)") }
    if post.undelivered > 0 { logger.info("\(post.undelivered) messages could not be sent: nobody took them") }
    if loop.machine.refusals.total > 0 { logger.warning("\(loop.machine.refusals.total) messages were refused") }
    if let failure = loop.failure { throw failure }
    switch reason {
    case .completed: return try finish()
    case .interrupted: throw ConvoyError(stop.signal?.exitCode ?? .interrupted, "the job was interrupted")
    case .failed(let text, _), .unreachable(let text), .rejected(let text), .fenced(let text):
      throw ConvoyError(ExitCode(reason.kind), text)
    }
  }

  private func event(for incoming: Post.Incoming) -> CoordinatorEvent? {
    switch incoming {
    case .message(let envelope, let peer, let frame):
      if case .setMode = envelope.message { modeAskers.insert(Connection(peer.rawValue)) }
      return .message(envelope, from: Connection(peer.rawValue), payload: frame.map { payloads.keep($0) })
    case .unreadable(let refusal, let peer): return .unreadable(refusal, from: Connection(peer.rawValue))
    case .woken:
      for event in outcomes.takeAll().compactMap(event(for:)) { loop.follow(event) }
      return nil
    case .timeout: return nil
    }
  }

  private func perform(_ effect: CoordinatorEffect) throws(ConvoyError) -> StopReason? {
    switch effect {
    case .journal(let record):
      note(record)
      journal.append(record)
      return nil
    // Of these nobody is told: they need not wait for the disk.
    case .collect(let position, let cut, let handle):
      guard let frame = payloads.take(handle) else {
        throw ConvoyError(.failed, "the snapshot of chunk \(position.chunk) is not here to be kept")
      }
      keeper.collect(position, cut: cut, frame)
      byte?.set(.checkpointing)
      return nil
    case .abandon(let cut):
      keeper.abandon(cut: cut)
      if !keeper.isCollecting { byte?.set(.idle) }
      return nil
    case .release(let handle):
      _ = payloads.take(handle)
      return nil
    case .timer(let moment):
      loop.setTimer(moment)
      tellRefusedConnections()
      return nil
    case .send, .store, .load, .report, .stop: break
    }
    journal.settle()
    shortenJournal()
    repairJournal()
    switch effect {
    case .send(let envelope, let connection, let chunk):
      guard let envelope = durable(envelope, to: connection) else { return nil }
      if case .stop(let reason) = envelope.message { tellFailure(reason) }
      try post.send(
        completed(envelope), payload: try restored(envelope.message, chunk), to: Peer(rawValue: connection.rawValue))
    case .store(let mark): store(mark)
    case .load: keeper.load()
    case .report(let report): try tell(report)
    case .stop(let reason): return reason
    default: break
    }
    return nil
  }

  /// Tells once that the job fails: before its members leave, so that a launcher does not take their end for the cause, nor
  /// starts them again.
  private func tellFailure(_ reason: StopReason) {
    guard !isFailureTold, case .failed(let text, let kind) = reason, loop.failure == nil, stop.signal == nil else {
      return
    }
    isFailureTold = true
    report(.failed(message: text, exitCode: ExitCode(kind).rawValue))
  }

  func rest() { byte?.set(keeper.isCollecting ? .checkpointing : .idle) }

  /// Views and leases add up in a long job: of what is in the journal a successor needs little.
  private func shortenJournal() {
    guard journal.isLong else { return }
    if let problem = journal.rewrite(loop.machine.condensedJournal) {
      logger.warning("the journal cannot be written anew, and grows on: \(problem)")
    } else {
      logger.debug("the journal was written anew")
    }
  }

  /// Says once that lines of the metrics are lost: the job goes on without them.
  func warnOfMetrics() {
    guard !isWarnedOfMetrics, let problem = metrics.problem else { return }
    isWarnedOfMetrics = true
    let text = "the job goes on without some lines of its metrics: \(problem)"
    logger.error("\(text)")
    report(.notice(text))
  }

  /// Seconds between two tries to write a journal that could not be written.
  private static let journalPause = 1.0

  /// A journal that could not be written stays as it was, and is written anew as soon as the disk takes it. Until then
  /// nobody is told what stands on a record that is not in it.
  private func repairJournal() {
    guard let failure = journal.failure else { return }
    let now = MonotonicClock.seconds
    if let journalProblem, now < journalProblem.nextTry { return }
    guard journal.rewrite(loop.machine.condensedJournal) != nil else {
      guard journalProblem != nil else { return logger.warning("the journal was written anew: \(failure)") }
      journalProblem = nil
      logger.warning("the journal is written again")
      return report(.notice("the journal is written again"))
    }
    if journalProblem == nil {
      let text =
        "the journal cannot be written: \(failure); the job goes on as it is, and no change of its members or its mode takes place until the disk takes it"
      logger.error("\(text)")
      report(.notice(text))
    }
    journalProblem = (failure, now + Self.journalPause)
  }

  /// A message as it may leave: nil for what stands on a record that could not be written. It is said again.
  private func durable(_ envelope: Envelope, to connection: Connection) -> Envelope? {
    let isAsker: Bool
    switch envelope.message {
    case .status, .refused: isAsker = modeAskers.remove(connection) != nil
    default: isAsker = false
    }
    guard let failure = journal.failure else { return envelope }
    switch envelope.message {
    case .view, .restore, .leases: return nil
    case .status where isAsker:
      let text = "the mode may not last, for the journal cannot be written: \(failure)"
      return Envelope(
        token: envelope.token, view: envelope.view, sender: envelope.sender, incarnation: envelope.incarnation,
        message: .refused(Refusal(.misplaced, text)))
    default: return envelope
    }
  }
}

import Engines
package import Logging
import ModelFiles
import Networks
package import ParameterServer
import Tensors
package import Transport

/// A coordinator process, or thread: holds the sockets and the run folder, and does what its state machine decides.
package final class CoordinatorRole {
  private let prepared: PreparedJob
  private let folder: RunFolder
  private let token: JobToken
  private let stop: StopRequest
  private let logger: Logger
  private let report: (JobEvent) -> Void
  private let post: Post
  private let loop: EventLoop<Coordinator>

  private let launchedAt: Double
  private var payloads = Payloads()
  private var rules: JobRules?
  private var final: ModelVectors?
  private var meter = ThroughputMeter()
  private var reported: JobProgress?
  private var trained: JobProgress?
  private var stored: RunFolder.StoredModel?

  /// A coordinator that has not begun.
  ///
  /// - Parameters:
  ///   - launchedAt: when the command that the person gave began, in seconds of the monotonic clock.
  ///   - report: told of what happens, on the thread that runs.
  package init(
    job: Job, transport: any Transport, folder: RunFolder, token: JobToken,
    deadlines: Deadlines = Deadlines(), stop: StopRequest, logger: Logger, launchedAt: Double,
    report: @escaping (JobEvent) -> Void
  ) throws(ConvoyError) {
    try PreparedJob.requireData(of: job)
    prepared = try PreparedJob(job: job, text: job.yaml)
    self.folder = folder
    self.token = token
    self.stop = stop
    self.logger = logger
    self.report = report
    self.launchedAt = launchedAt
    let tree = try prepared.shardTree()
    let plan = JobPlan(
      consistency: job.mode == .sync ? .sync : .async, servers: job.servers, workers: job.workers, tree: tree,
      batch: job.batch, epochs: job.epochs, maximumSteps: job.maxSteps,
      elements: prepared.network.parameterLayout.count, buffers: prepared.network.bufferLayout.count, job: job.yaml,
      digests: prepared.digests)
    post = try Post(transport)
    loop = EventLoop(
      Coordinator(
        plan: plan, token: token, incarnation: Incarnation(UInt64.random(in: .min ... .max)), deadlines: deadlines),
      post: post, timerEvent: .timer)
  }

  /// Opens the address that members reach; returns it as bound.
  package func listen(on address: Address) throws(ConvoyError) -> Address {
    try MemberContext.requireLoopback(address)
    let bound = try post.listen(on: address)
    logger.info("listens on \(bound) for \(prepared.job.servers) servers and \(prepared.job.workers) workers")
    if let problem = prepared.job.precisionProblem { logger.warning("\(problem)") }
    report(.listening(address: bound.description))
    return bound
  }

  /// Coordinates until the job is over, then evaluates the model. Errors say why it ended before.
  package func run() throws(ConvoyError) -> JobSummary {
    let reason: StopReason
    do {
      // What is still to be sent tells the members that the job is over.
      defer { post.close(lingerMilliseconds: 1000) }
      stop.listen { [mailbox = loop.mailbox] signal in
        mailbox.put(signal == .orphaned ? .failed("the launcher is gone") : .interrupted)
      }
      reason = try loop.run(
        first: .started, incoming: { incoming throws(ConvoyError) in event(for: incoming) },
        failure: { .failed($0.message) },
        perform: { effect throws(ConvoyError) in try perform(effect) })
    }
    if loop.machine.refusals.total > 0 { logger.warning("\(loop.machine.refusals.total) messages were refused") }
    if let failure = loop.failure { throw failure }
    switch reason {
    case .completed: return try finish()
    case .interrupted: throw ConvoyError(stop.signal?.exitCode ?? .interrupted, "the job was interrupted")
    case .failed(let text), .unreachable(let text), .rejected(let text): throw ConvoyError(.failed, text)
    }
  }

  private func event(for incoming: Post.Incoming) -> CoordinatorEvent? {
    switch incoming {
    case .message(let envelope, let peer, let frame):
      .message(envelope, from: Connection(peer.rawValue), payload: frame.map { payloads.keep($0) })
    case .unreadable(let refusal, let peer): .unreadable(refusal, from: Connection(peer.rawValue))
    case .woken, .timeout: nil
    }
  }

  private func perform(_ effect: CoordinatorEffect) throws(ConvoyError) -> StopReason? {
    switch effect {
    case .send(let envelope, let connection):
      try post.send(envelope, payload: nil, to: Peer(rawValue: connection.rawValue))
    case .collect(let chunk, let handle): collect(chunk, handle)
    case .release(let handle): _ = payloads.take(handle)
    case .store(let rules):
      stored = try storeModel(rules)
      loop.follow(.stored)
    case .report(let report): try tell(report)
    case .timer(let moment): loop.setTimer(moment)
    case .stop(let reason): return reason
    }
    return nil
  }

  // MARK: Reports

  private func tell(_ event: CoordinatorReport) throws(ConvoyError) {
    switch event {
    case .waiting(let missing):
      logger.info("waits for \(missing.joined(separator: ", "))")
      report(.waiting(missing: missing))
    case .joined(let member, let name):
      logger.info("\(member) has joined\(name == member.description ? "" : " as \(name)")")
    case .refused(let refusal): logger.warning("refused: \(refusal.explanation)")
    case .begun(let view): begin(view)
    case .progress(let progress): try tell(progress)
    case .trained(let progress):
      meter.end(at: MonotonicClock.seconds)
      try tell(progress)
      trained = progress
    }
  }

  private func begin(_ view: View) {
    rules = view.rules
    final = ModelVectors(view.rules.chunks)
    let now = MonotonicClock.seconds
    meter.begin(at: now)
    let seconds = (now - launchedAt).rounded(toPlaces: 2)
    logger.info(
      "view \(view.number.rawValue): \(view.servers.count) servers, \(view.workers.count) workers, \(view.rules.chunks.count) chunks; training begins \(seconds) s after the launch"
    )
    report(.started(seconds: seconds))
  }

  private func tell(_ progress: JobProgress) throws(ConvoyError) {
    guard let rules, progress.samples > 0 else { return }
    let recent = meter.update(progress, at: MonotonicClock.seconds, since: reported)
    reported = progress
    let event = ProgressEvent(
      step: progress.steps, steps: progress.totalSteps,
      epoch: rules.schedule.epoch(ofStep: max(progress.steps - 1, 0)), loss: recent.loss,
      imagesPerSecond: recent.imagesPerSecond)
    try folder.appendMetrics(event, seconds: MonotonicClock.seconds - launchedAt)
    report(.progress(event))
  }

  // MARK: The result

  private func collect(_ chunk: Int, _ handle: GradientHandle) {
    guard let frame = payloads.take(handle), let final, let rules else { return }
    frame.withBytes { final.copy($0, to: chunk, of: rules.chunks) }
  }

  private func storeModel(_ rules: JobRules) throws(ConvoyError) -> RunFolder.StoredModel {
    guard let final else { throw ConvoyError(.failed, "there are no parameters to store") }
    let stored = try folder.store(final, of: prepared.network, step: rules.steps, job: prepared.job)
    logger.info("the model after step \(rules.steps) is in \(stored.path)")
    return stored
  }

  private func finish() throws(ConvoyError) -> JobSummary {
    guard let rules, let final, let stored, let trained else {
      throw ConvoyError(.failed, "the job ended before its result was there")
    }
    let job = prepared.job
    let evaluation = try Evaluation.evaluate(
      prepared.network, final, engine: try prepared.engine(), data: job.data, directory: job.dataDirectory)
    let last = trained.epochs.last
    let summary = JobSummary(
      testAccuracy: evaluation.accuracy, testLoss: evaluation.loss,
      trainLoss: last.map { $0.lossSum / Double(max($0.samples, 1)) } ?? .nan, steps: rules.steps,
      epochs: rules.schedule.epoch(ofStep: rules.steps - 1) + 1, seconds: MonotonicClock.seconds - launchedAt,
      imagesPerSecond: meter.total(samples: trained.samples), parameters: final.parameters.count,
      parametersSHA256: stored.parametersSHA256, buffersSHA256: stored.buffersSHA256, mode: job.mode.rawValue,
      shards: job.shards, workers: job.workers, servers: job.servers, engine: job.engine,
      precision: prepared.precision.rawValue,
      runDirectory: folder.path)
    try folder.write(summary)
    logger.info("test accuracy \(summary.testAccuracy), test loss \(summary.testLoss)")
    report(.finished(summary))
    return summary
  }
}

import Logging
import ParameterServer

/// What the coordinator tells the person who waits, the log and the metrics.
extension CoordinatorRole {
  func tell(_ event: CoordinatorReport) throws(ConvoyError) {
    switch event {
    case .waiting(let missing):
      logger.info("waits for \(missing.joined(separator: ", "))")
      report(.waiting(missing: missing))
    case .joined(let member, let name):
      logger.info("\(member) has joined\(name == member.description ? "" : " as \(name)")")
      metrics.add(.joined(member))
    case .computes(let member, let milliseconds, let isLate):
      let text = "\(member) computes, \(milliseconds) ms after it joined"
      logger.info("\(text)")
      metrics.add(.computes(member, milliseconds: milliseconds))
      // Of those that the job begins with the first step tells.
      if isLate { report(.notice(text)) }
    case .refused(let refusal): refusalLog.log(refusal, to: logger)
    case .outranked(let term):
      let text = "members have heard a coordinator of term \(term), of which the journal does not tell"
      logger.warning("\(text)")
      report(.notice(text))
    case .stalled(let stall):
      logger.warning("\(stall.text)")
      report(.notice(stall.text))
    case .view(let view, let reason): tell(view, reason)
    case .begun(let view): begin(view)
    case .resumed(let view, let milliseconds): resume(view, milliseconds)
    // The keeper's outcome was told already.
    case .stored: break
    case .notStored(let step, let text): notStored(step, text)
    case .passedOver(let step):
      logger.warning("the cut of step \(step) makes no checkpoint: the one before is still being stored")
    case .progress(let progress):
      self.progress = progress
      try tell(progress)
    case .trained(let members):
      meter.end(at: MonotonicClock.seconds)
      let progress = members.completed
      self.progress = progress
      try tell(progress)
      tellStaleness(progress)
      trained = progress
    }
  }

  /// A checkpoint that fails is told loudly, and everywhere.
  func notStored(_ step: Int, _ text: String) {
    let text = "the checkpoint of step \(step) could not be stored: \(text)"
    logger.error("\(text)")
    metrics.add(.checkpointFailed(step: step))
    report(.notice(text))
  }

  private func tell(_ view: View, _ reason: ViewReason) {
    self.view = view
    // What the next resumption answers to is the gravest reason, of equal ones the first: they are one disturbance.
    if reason.weight > viewReason?.weight ?? -1 { viewReason = reason }
    logger.info(
      "view \(view.number.rawValue), era \(view.era): \(reason.text); \(view.servers.count) servers, \(view.workers.count) workers, shards as given from step \(view.since) on"
    )
  }

  private func begin(_ view: View) {
    viewReason = nil
    // A job of another launch that goes on begins here, where its checkpoint was.
    let reason = loaded == nil ? "begun" : "the job was resumed from a checkpoint"
    loaded = nil
    let now = MonotonicClock.seconds
    meter.begin(at: now, samples: progress?.samples ?? 0)
    let seconds = (now - launchedAt).rounded(toPlaces: 2)
    logger.info(
      "view \(view.number.rawValue): \(view.servers.count) servers, \(view.workers.count) workers, \(view.rules.chunks.count) chunks; training begins \(seconds) s after the launch"
    )
    metrics.add(.view(view, reason: reason, milliseconds: nil))
    report(.started(seconds: seconds))
  }

  private func resume(_ view: View, _ milliseconds: UInt64) {
    let reason = viewReason ?? .begun
    // The coordinator that began the job tells so elsewhere: this one has taken its place, or all is resumed.
    let again = loaded == nil ? "the coordinator was started again" : "the job was resumed from a checkpoint"
    let text = reason == .begun ? again : reason.text
    viewReason = nil
    loaded = nil
    // A coordinator that took over from another measures from here on.
    if !meter.hasBegun { meter.begin(at: MonotonicClock.seconds, samples: progress?.samples ?? 0) }
    logger.info("training goes on in view \(view.number.rawValue), \(milliseconds) ms after: \(text)")
    metrics.add(.view(view, reason: text, milliseconds: milliseconds))
    // Shards move every few seconds where workers' speeds change: the log has it.
    if reason != .rebalanced, reason != .respread {
      report(.notice("training goes on after \(milliseconds) ms: \(text)"))
    }
  }

  private func tell(_ progress: JobProgress) throws(ConvoyError) {
    guard let rules = view?.rules, progress.samples > 0, progress.samples != reported?.samples || meter.hasEnded
    else { return }
    let recent = meter.update(progress, at: MonotonicClock.seconds, since: reported)
    reported = progress
    // At the end members are gone, and with them what they had begun.
    let event = ProgressEvent(
      step: meter.hasEnded ? progress.totalSteps : progress.steps, steps: progress.totalSteps,
      epoch: rules.schedule.epoch(ofStep: max(progress.steps - 1, 0)) + 1, loss: recent.loss,
      imagesPerSecond: recent.imagesPerSecond)
    metrics.add(event)
    report(.progress(event))
    warnOfMetrics()
    if MonotonicClock.seconds >= stalenessTold.seconds + Self.stalenessSeconds { tellStaleness(progress) }
  }

  /// Seconds between two lines on staleness, beside those at checkpoints and at the end.
  private static let stalenessSeconds = 5.0

  /// Writes how late pushes came, where there are more than at the last time.
  func tellStaleness(_ progress: JobProgress) {
    guard let summary = StalenessSummary(progress.staleness), summary.pushes != stalenessTold.pushes else { return }
    stalenessTold = (summary.pushes, MonotonicClock.seconds)
    metrics.add(.staleness(step: progress.steps, summary))
  }
}

extension ViewReason {
  /// One line for a person.
  var text: String {
    switch self {
    case .begun: "the job begins, or its coordinator is another"
    case .joined(let member): "\(member) has joined"
    case .removed(let member, let text): "\(member) is gone: \(text)"
    case .rebalanced: "shards are moved to faster workers"
    case .respread: "chunks are moved to servers that serve less than others"
    case .switched(let mode): "the mode is \(mode) from now on"
    case .restored: "the job went back to its last checkpoint"
    }
  }
}

extension ViewReason {
  /// How much a reason says of why training stood still, where there are several.
  fileprivate var weight: Int {
    switch self {
    case .rebalanced, .respread: 0
    case .joined, .switched: 1
    case .removed: 2
    case .restored: 3
    case .begun: 4
    }
  }
}

extension Refusal {
  /// How loudly a refusal is told. What was under way to an old view is refused at every change of views, and the peer
  /// sends it again: it is counted, and no line for a person.
  var logLevel: Logger.Level { reason == .oldView ? .debug : .warning }
}

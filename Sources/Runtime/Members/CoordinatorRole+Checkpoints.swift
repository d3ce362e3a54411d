import Engines
import Logging
import ParameterServer
import Tensors
import Transport

/// Checkpoints: stored and loaded beside the loop, and the result that is the last of them.
extension CoordinatorRole {
  /// What the machine is told of what became of a checkpoint.
  func event(for outcome: CheckpointKeeper.Outcome) -> CoordinatorEvent {
    switch outcome {
    case .stored(let step, let milliseconds, let stored, let vectors):
      rest()
      logger.info("the checkpoint of step \(step) is stored, in \(milliseconds) ms")
      metrics.add(.checkpoint(step: step, milliseconds: milliseconds))
      if let stored, let vectors { result = (stored, vectors) }
      return .stored(step: step)
    case .notStored(let step, let text):
      rest()
      return .notStored(step: step, text)
    case .modelStored(let step, let text, let stored, let vectors):
      rest()
      notStored(step, text)
      result = (stored, vectors)
      return .stored(step: step)
    case .loaded(let cut, let passedOver):
      for text in passedOver {
        logger.warning("a checkpoint is passed over: \(text)")
        report(.notice("a checkpoint is passed over: \(text)"))
      }
      if let cut, let problem = problem(of: cut.mark) { return .failed(problem) }
      loaded = cut
      let place = cut.map { "the checkpoint of step \($0.mark.step)" } ?? "the beginning: there is no checkpoint"
      let text = meter.hasBegun ? "the job goes back to \(place)" : "the job goes on from \(place)"
      logger.info("\(text)")
      report(.notice(text))
      return .loaded(cut?.mark)
    case .notLoaded(let error): return .failed(error.message)
    }
  }

  /// Why a job by the settings here cannot go on from a checkpoint, or nil: its steps must be the same samples.
  private func problem(of mark: CheckpointMark) -> String? {
    let (job, schedule) = (prepared.job, mark.rules.schedule)
    if schedule.batch != job.batch {
      return "the checkpoint of step \(mark.step) counts steps of \(schedule.batch) samples, the job of \(job.batch)"
    }
    // A view's rules know which mode each step has; a job that begins anew has one for all.
    if !mark.covered.isEmpty, view == nil, job.mode.isSummed {
      let mode = mark.rules.consistency(ofStep: min(mark.step, mark.rules.steps - 1))
      return
        "the checkpoint of step \(mark.step) holds parts of later steps, which \(job.mode) cannot go on from: resume with --mode \(mode)"
    }
    if !mark.covered.isEmpty, schedule.tree.shards != job.shards {
      return
        "the checkpoint of step \(mark.step) holds parts of steps in \(schedule.tree.shards) shards: resume with --shards \(schedule.tree.shards)"
    }
    return nil
  }

  func store(_ mark: CheckpointMark) {
    let loss = progress.map { ThroughputMeter.meanLoss($0, since: progressAtCheckpoint) }
    progressAtCheckpoint = progress
    keeper.store(mark, loss: loss, data: dataDigest, era: view?.era ?? 1)
  }

  /// The state that goes along with a message: a chunk of the loaded checkpoint, as the view cuts it.
  func restored(_ message: Message, _ chunk: Int?) throws(ConvoyError) -> Frame? {
    if case .view(let view) = message { self.view = view }
    guard chunk != nil, case .restore(let position) = message else { return nil }
    guard let loaded, let view else { throw ConvoyError(.failed, "a chunk is to be restored and nothing is loaded") }
    return loaded.state(of: position, view.rules.chunks)
  }

  // MARK: The result

  /// The model is stored: evaluates it and writes the summary.
  func finish() throws(ConvoyError) -> JobSummary {
    guard let rules = view?.rules, let result, let trained else {
      throw ConvoyError(.failed, "the job ended before its result was there")
    }
    let job = prepared.job
    logger.info("the model after step \(rules.steps) is in \(result.stored.path)")
    let evaluation = try Evaluation.evaluate(
      prepared.network, result.vectors, engine: try prepared.engine(), data: job.data, directory: job.dataDirectory)
    let last = trained.epochs.last
    let summary = JobSummary(
      testAccuracy: evaluation.accuracy, testLoss: evaluation.loss,
      trainLoss: last.map { $0.lossSum / Double(max($0.samples, 1)) } ?? .nan, steps: rules.steps,
      epochs: rules.schedule.epoch(ofStep: rules.steps - 1) + 1, seconds: MonotonicClock.seconds - launchedAt,
      imagesPerSecond: meter.total(samples: trained.samples), parameters: result.vectors.parameters.count,
      parametersSHA256: result.stored.parametersSHA256, buffersSHA256: result.stored.buffersSHA256,
      mode: "\(job.mode)", shards: job.shards, workers: job.workers, servers: job.servers, engine: job.engine,
      precision: prepared.precision.rawValue, runDirectory: folder.path)
    try folder.write(summary)
    logger.info("test accuracy \(summary.testAccuracy), test loss \(summary.testLoss)")
    report(.finished(summary))
    return summary
  }

  /// The predecessor was killed after the last checkpoint was stored: what is left is to tell its result.
  func finishAgain() throws(ConvoyError) -> JobSummary {
    let context = CheckpointKeeper.Context(prepared, folder: folder.path)
    guard let cut = try context.newest().0, cut.mark.step == view?.rules.steps else {
      throw ConvoyError(.badData, "\(folder.path): the job is over and its last checkpoint is gone; start a new run")
    }
    let digests = (cut.vectors.parameters.sha256(), cut.vectors.buffers.sha256())
    result = (
      RunFolder.StoredModel(
        path: "\(folder.path)/\(RunFolder.modelName)", parametersSHA256: digests.0.description,
        buffersSHA256: digests.1.description), cut.vectors
    )
    trained = progress ?? JobProgress(steps: 0, totalSteps: 0, samples: 0, epochs: [], shards: 0)
    return try finish()
  }
}

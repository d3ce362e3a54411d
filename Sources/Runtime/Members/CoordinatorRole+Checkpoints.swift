import Datasets
import Engines
import Logging
import ParameterServer
import Tensors
import Transport

/// Checkpoints: stored and loaded beside the loop, and the result that is the last of them.
extension CoordinatorRole {
  /// What the machine is told of what became of a checkpoint; nil for nothing.
  func event(for outcome: CheckpointKeeper.Outcome) -> CoordinatorEvent? {
    switch outcome {
    case .stored(let step, let milliseconds, let stored, let vectors):
      rest()
      logger.info("the checkpoint of step \(step) is stored, in \(milliseconds) ms")
      metrics.add(.checkpoint(step: step, milliseconds: milliseconds))
      if let progress { tellStaleness(progress) }
      if let stored, let vectors { result = (stored, vectors) }
      return .stored(step: step)
    case .notStored(let step, let text):
      rest()
      return .notStored(step: step, text)
    case .modelStored(let step, let text, let stored, let vectors):
      rest()
      notStored(step, text)
      notStored.append("the checkpoint of step \(step): \(text)")
      result = (stored, vectors)
      return .stored(step: step)
    case .loaded(let cut, let passedOver):
      for text in passedOver {
        logger.warning("a checkpoint is passed over: \(text)")
        report(.notice("a checkpoint is passed over: \(text)"))
      }
      if let cut, let refusal = refusal(of: cut) { return .failed(refusal.message, refusal.kind) }
      loaded = cut
      let place = cut.map { "the checkpoint of step \($0.mark.step)" } ?? "the beginning: there is no checkpoint"
      let text = meter.hasBegun ? "the job goes back to \(place)" : "the job goes on from \(place)"
      logger.info("\(text)")
      report(.notice(text))
      if let cut, view == nil { tellChanges(since: cut) }
      return .loaded(cut?.mark)
    case .notLoaded(let error): return .failed(error.message, error.kind)
    case .validated(let step, let evaluation, let milliseconds, let isBest):
      validated(step, evaluation, milliseconds, isBest: isBest)
    case .notValidated(let step, let text):
      let text = "the checkpoint of step \(step) could not be evaluated: \(text)"
      logger.warning("\(text)")
      report(.notice(text))
    case .lookedThrough: break
    }
    return nil
  }

  private func validated(_ step: Int, _ evaluation: Evaluation, _ milliseconds: UInt64, isBest: Bool) {
    let (accuracy, loss) = (evaluation.accuracy.rounded(toPlaces: 4), evaluation.loss.rounded(toPlaces: 4))
    let best = isBest ? ", the best so far" : ""
    let text = "validation after step \(step): accuracy \(accuracy), loss \(loss)\(best)"
    logger.info("\(text); \(evaluation.samples) samples in \(milliseconds) ms")
    metrics.add(.validation(step: step, evaluation, milliseconds: milliseconds))
    report(.notice(text))
  }

  /// Why a job by the settings here cannot go on from a checkpoint; nil where it can.
  private func refusal(of cut: LoadedCut) -> ConvoyError? {
    do throws(ConvoyError) { return try ResumeCheck(prepared).refusal(of: cut.origin) } catch { return error }
  }

  /// Tells what of the job is not as it was when the checkpoint was stored, and where nothing is left to train.
  private func tellChanges(since cut: LoadedCut) {
    var lines: [String] = []
    let changes = ResumeCheck(prepared).changes(since: cut.origin)
    if !changes.isEmpty {
      lines.append("other settings than the checkpoint's, in brackets: \(changes.joined(separator: ", "))")
    }
    if cut.lacksState { lines.append("the checkpoint has no state of \(prepared.job.optimizer): it begins anew") }
    let rules = try? Self.plan(prepared).rules(samples: prepared.holdout.trainingCount)
    if let steps = rules?.steps, cut.mark.step == steps {
      lines.append("the job's last step, \(steps), is applied already: nothing is left to train")
    }
    for line in lines {
      logger.info("\(line)")
      report(.notice(line))
    }
  }

  func store(_ mark: CheckpointMark) {
    let loss = progress.map { ThroughputMeter.meanLoss($0, since: progressAtCheckpoint) }
    progressAtCheckpoint = progress
    keeper.store(mark, loss: loss, data: dataDigest, era: view?.era ?? 1)
  }

  /// The state that goes along with a message: a chunk of the loaded checkpoint, as the view cuts it.
  func restored(_ message: Message, _ chunk: Int?) throws(ConvoyError) -> Frame? {
    if case .view(let view) = message {
      self.view = view
      post.adopt(view)
    }
    guard chunk != nil, case .restore(let position) = message else { return nil }
    guard let loaded, let view else { throw ConvoyError(.failed, "a chunk is to be restored and nothing is loaded") }
    return loaded.state(of: position, view.rules.chunks)
  }
}

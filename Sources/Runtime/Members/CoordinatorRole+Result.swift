import Engines
import Foundation
import Logging
import ParameterServer
import Tensors
import Transport

/// The result: the last checkpoint, evaluated while the coordinator goes on answering.
extension CoordinatorRole {
  /// The model is stored: evaluates it and writes the summary.
  func finish() throws(ConvoyError) -> JobSummary {
    guard let rules = view?.rules, let result, let trained else {
      throw ConvoyError(.failed, "the job ended before its result was there")
    }
    let job = prepared.job
    logger.info("the model after step \(rules.steps) is in \(result.stored.path)")
    let evaluation = try evaluate(result.vectors)
    let scores = keeper.scores
    let score = scores.last { $0.step == rules.steps }
    let last = trained.epochs.last
    var summary = JobSummary(
      testAccuracy: evaluation.accuracy, testLoss: evaluation.loss,
      trainLoss: last.map { $0.lossSum / Double(max($0.samples, 1)) } ?? .nan, steps: rules.steps,
      epochs: rules.schedule.epoch(ofStep: rules.steps - 1) + 1, seconds: MonotonicClock.seconds - launchedAt,
      imagesPerSecond: meter.total(samples: trained.samples), parameters: result.vectors.parameters.count,
      parametersSHA256: result.stored.parametersSHA256, buffersSHA256: result.stored.buffersSHA256,
      mode: "\(job.mode)", shards: job.shards, workers: job.workers, servers: job.servers, engine: job.engine,
      precision: prepared.precision.rawValue, runDirectory: folder.path)
    summary.staleness = StalenessSummary(trained.staleness)
    summary.validationAccuracy = score?.accuracy
    summary.validationLoss = score?.loss
    summary.bestStep = ValidationScore.best(scores)?.step
    if let problem = metrics.problem { notStored.append("lines of the metrics: \(problem)") }
    summary.notStored = notStored.isEmpty ? nil : notStored
    do throws(ConvoyError) { try folder.write(summary) } catch {
      logger.error("\(error.message)")
      summary.notStored = notStored + [error.message]
    }
    logger.info("test accuracy \(summary.testAccuracy), test loss \(summary.testLoss)")
    report(.finished(summary))
    return summary
  }

  /// The predecessor was killed after the last checkpoint was stored: what is left is to tell its result.
  func finishAgain() throws(ConvoyError) -> JobSummary {
    let context = CheckpointKeeper.Context(prepared, folder: folder.path)
    guard let step = view?.rules.steps, let (vectors, isCheckpoint) = try context.lastModel(ofStep: step) else {
      throw ConvoyError(
        .badData, "\(folder.path): the job is over, and its last checkpoint and its model are gone; start a new run")
    }
    if !isCheckpoint { notStored.append("the checkpoint of step \(step): the disk has the model alone") }
    let digests = (vectors.parameters.sha256(), vectors.buffers.sha256())
    result = (
      RunFolder.StoredModel(
        path: "\(folder.path)/\(RunFolder.modelName)", parametersSHA256: digests.0.description,
        buffersSHA256: digests.1.description), vectors
    )
    trained = progress ?? JobProgress(steps: 0, totalSteps: 0, samples: 0, epochs: [], shards: 0)
    return try finish()
  }

  /// Evaluates the model on the test set on a thread of its own, and waits for that and for what is still evaluated on
  /// samples that are held out; answers whoever speaks meanwhile.
  private func evaluate(_ model: ModelVectors) throws(ConvoyError) -> Evaluation {
    let evaluations = Mailbox<Result<Evaluation, ConvoyError>>(waker: post.waker)
    let cancellation = Cancellation()
    defer { cancellation.cancel() }
    let (network, engine, job) = (prepared.network, try prepared.engine(), prepared.job)
    let thread = Thread {
      do throws(ConvoyError) {
        evaluations.put(
          .success(
            try Evaluation.evaluate(
              network, model, engine: engine, data: job.data, directory: job.dataDirectory, cancellation: cancellation))
        )
      } catch {
        evaluations.put(.failure(error))
      }
    }
    thread.name = "evaluation"
    thread.stackSize = 8 << 20
    thread.start()
    var evaluation: Evaluation?
    while true {
      for outcome in outcomes.takeAll() { _ = event(for: outcome) }
      if let result = evaluations.takeAll().first { evaluation = try result.get() }
      if let evaluation, !keeper.isValidating { return evaluation }
      if let signal = stop.signal {
        throw ConvoyError(signal.exitCode, "the job was interrupted while its model was evaluated")
      }
      // Not for longer: a signal wakes nobody any more where something else waits in the loop's mailbox.
      if case .message(let envelope, let peer, _) = try post.receive(timeoutMilliseconds: 250),
        let answer = loop.machine.answerAfterEnd(to: envelope, at: MonotonicClock.now)
      {
        try post.send(completed(answer), payload: nil, to: peer)
      }
    }
  }
}

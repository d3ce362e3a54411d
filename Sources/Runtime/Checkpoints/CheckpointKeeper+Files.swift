import Datasets
import Foundation
import ModelFiles
import Networks
import ParameterServer
import Tensors

/// A run's checkpoints as files.
extension CheckpointKeeper.Context {
  private var network: Checkpoint.Identity {
    Checkpoint.Identity(name: prepared.network.name, digest: Self.hexadecimal(prepared.digests.network))
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// Removes what an interrupted write left, and returns whether there is a checkpoint.
  func open() throws(ConvoyError) -> Bool {
    do throws(ModelFileError) {
      guard FileManager.default.fileExists(atPath: store.folder) else { return false }
      _ = try store.clean()
      return try store.list().contains { $0.state == .good }
    } catch {
      throw ConvoyError(.badData, error.description)
    }
  }

  /// Refuses to resume a run that has checkpoints and none that the job can go on from: it would begin anew, over them.
  ///
  /// - Parameter isSameJob: whether the job is the run's own; another may be of another network.
  func requireUsable(isSameJob: Bool) throws(ConvoyError) {
    guard FileManager.default.fileExists(atPath: store.folder) else { return }
    do throws(ModelFileError) {
      if let newest = try store.newest() {
        if !isSameJob { try requireSameSamples(try read(newest.name, from: store)) }
        return
      }
      for entry in try store.verify().reversed() {
        if case .damaged(let error) = entry.state { throw error }
      }
    } catch {
      throw ConvoyError(.badData, "--resume: \(error)")
    }
  }

  /// Writes a checkpoint, and the job's model where it is the last.
  func write(
    _ cut: CutVectors, _ mark: CheckpointMark, data: [UInt8], era: UInt32
  ) throws(ConvoyError) -> RunFolder.StoredModel {
    AnsweringThread.requireOther("a checkpoint")
    let job = prepared.job
    var metadata = ["job": job.yaml, "mode": "\(mark.rules.consistency(ofStep: max(mark.step - 1, 0)))"]
    if validates {
      metadata[ValidationScore.samplesName] = "\(prepared.holdout.count)"
      metadata[ValidationScore.seedName] = "\(job.seed)"
    }
    let checkpoint = Checkpoint(
      step: mark.step, version: mark.version, era: UInt64(era), network: network,
      data: Checkpoint.Identity(name: job.data, digest: Self.hexadecimal(data)),
      metadata: metadata,
      layout: prepared.network.parameterLayout, bufferLayout: prepared.network.bufferLayout,
      parameters: cut.model.parameters, buffers: cut.model.buffers,
      slots: cut.slots.map { Checkpoint.Slot(name: $0.name, vector: $0.vector) },
      counters: LoadedCut.counters(mark, updates: cut.updates))
    do throws(ModelFileError) {
      let written = try store.write(checkpoint)
      let model = RunFolder.StoredModel(
        path: "\(folder)/\(RunFolder.modelName)", parametersSHA256: written.parametersSHA256,
        buffersSHA256: written.buffersSHA256)
      if mark.step == mark.rules.steps { try write(model, of: cut, step: mark.step) }
      return model
    } catch {
      throw ConvoyError(.failed, error.description)
    }
  }

  /// Writes the job's model where it has no last checkpoint.
  func writeModel(of cut: CutVectors, step: Int) throws(ModelFileError) -> RunFolder.StoredModel {
    let model = RunFolder.StoredModel(
      path: "\(folder)/\(RunFolder.modelName)", parametersSHA256: cut.model.parameters.sha256().description,
      buffersSHA256: cut.model.buffers.sha256().description)
    try write(model, of: cut, step: step)
    return model
  }

  /// What a job that is over has trained, by its last checkpoint or, where the disk refused that, by its model; nil where
  /// neither is there. Also whether it is the checkpoint.
  func lastModel(ofStep step: Int) throws(ConvoyError) -> (ModelVectors, isCheckpoint: Bool)? {
    if let cut = try newest().0, cut.mark.step == step { return (cut.vectors, true) }
    let path = "\(folder)/\(RunFolder.modelName)"
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    do throws(ModelFileError) {
      let file = try Safetensors.read(path: path)
      guard file.metadata["convoy.step"] == "\(step)" else { return nil }
      let model = try ModelVectors(file, of: prepared.network)
      let digest = model.parameters.sha256().description
      guard file.metadata["convoy.parameters_sha256"] == digest else {
        throw ModelFileError(path: path, problem: "its parameters are not those that it names", kind: .damaged)
      }
      return (model, false)
    } catch {
      throw ConvoyError(.badData, error.description)
    }
  }

  private func write(_ model: RunFolder.StoredModel, of cut: CutVectors, step: Int) throws(ModelFileError) {
    var metadata = [
      "format": "pt", "convoy.model": prepared.job.model, "convoy.data": prepared.job.data, "convoy.step": "\(step)",
      "convoy.parameters_sha256": model.parametersSHA256,
    ]
    if cut.model.buffers.count > 0 { metadata["convoy.buffers_sha256"] = model.buffersSHA256 }
    try cut.model.write(of: prepared.network, metadata: metadata, to: [model.path])
  }

  /// Removes all checkpoints but the newest and those of some steps; what cannot be removed now goes another time.
  func prune(but steps: Set<Int>) {
    _ = try? store.prune(keepLast: prepared.job.keep, best: steps)
  }

  // MARK: Validation

  /// Whether checkpoints are evaluated on samples that are held out.
  var validates: Bool { prepared.holdout.count > 0 }

  /// The scores of the good checkpoints that were evaluated, by step.
  func scores() -> [ValidationScore] { ((try? store.list()) ?? []).compactMap { ValidationScore($0) } }

  /// Adds a checkpoint's score to its manifest.
  func note(_ score: ValidationScore, era: UInt64) throws(ConvoyError) {
    do throws(ModelFileError) {
      guard let entry = try store.list().last(where: { $0.step == score.step }) else {
        throw ModelFileError(path: store.folder, problem: "it has no checkpoint of step \(score.step)", kind: .missing)
      }
      try store.annotate(entry.name, era: era, score.metadata)
    } catch {
      throw ConvoyError(.failed, error.description)
    }
  }

  /// Checkpoints that a coordinator before has stored and not evaluated, oldest first; at most so many, the newest.
  func unscored(most count: Int) -> [Validator.Request] {
    let entries = ((try? store.list()) ?? []).filter { $0.state == .good && ValidationScore($0) == nil }
    return entries.suffix(count).compactMap { entry in
      guard let checkpoint = try? read(entry.name, from: store) else { return nil }
      return Validator.Request(
        step: entry.step, era: checkpoint.era,
        model: ModelVectors(parameters: checkpoint.parameters, buffers: checkpoint.buffers))
    }
  }

  /// Why the job cannot go on from a checkpoint: its steps must be of the same samples. Nil where it can.
  func problem(of mark: CheckpointMark, metadata: [String: String]) -> String? {
    let (job, schedule, holdout) = (prepared.job, mark.rules.schedule, prepared.holdout)
    if schedule.batch != job.batch {
      return "the checkpoint of step \(mark.step) counts steps of \(schedule.batch) samples, the job of \(job.batch)"
    }
    if schedule.samples != holdout.trainingCount {
      let heldOut = holdout.count + holdout.trainingCount - schedule.samples
      return
        "the checkpoint of step \(mark.step) was trained with \(heldOut) samples held out, the job holds out \(holdout.count): resume with --validation \(heldOut)"
    }
    guard validates, let seed = metadata[ValidationScore.seedName], seed != "\(job.seed)" else { return nil }
    return
      "the checkpoint of step \(mark.step) was trained with samples held out by seed \(seed), the job holds out others: resume with --seed \(seed)"
  }

  private func requireSameSamples(_ checkpoint: Checkpoint) throws(ModelFileError) {
    guard let cut = try? LoadedCut(checkpoint, form: form),
      let problem = problem(of: cut.mark, metadata: checkpoint.metadata)
    else { return }
    throw ModelFileError(path: store.folder, problem: problem, kind: .mismatched)
  }

  /// The newest good checkpoint; nil where there is none.
  func newest() throws(ConvoyError) -> (LoadedCut?, passedOver: [String]) {
    let checkpoint: Checkpoint
    let passedOver: [String]
    do throws(ModelFileError) {
      guard FileManager.default.fileExists(atPath: store.folder), let newest = try store.newest() else {
        return (nil, [])
      }
      passedOver = newest.passedOver.map { "\($0.name): \($0.reason.description)" }
      checkpoint = try read(newest.name, from: store)
    } catch {
      throw ConvoyError(.badData, error.description)
    }
    return (try LoadedCut(checkpoint, form: form), passedOver)
  }

  private func read(_ name: String, from store: CheckpointStore) throws(ModelFileError) -> Checkpoint {
    AnsweringThread.requireOther("a checkpoint")
    return try store.read(
      name,
      expecting: CheckpointExpectation(
        network: network, layouts: (prepared.network.parameterLayout, prepared.network.bufferLayout)))
  }

  /// Takes a checkpoint of another run over into this one: the newest of a run folder, or one that is named.
  func adopt(_ path: String) throws(ConvoyError) {
    do throws(ModelFileError) {
      let url = URL(fileURLWithPath: path).standardizedFileURL
      let checkpoint: Checkpoint
      if FileManager.default.fileExists(atPath: "\(path)/\(CheckpointStore.manifestName)") {
        let source = CheckpointStore(folder: url.deletingLastPathComponent().path)
        checkpoint = try read(url.lastPathComponent, from: source)
      } else {
        let source = CheckpointStore(folder: "\(path)/\(CheckpointStore.folderName)")
        guard FileManager.default.fileExists(atPath: source.folder), let newest = try source.newest() else {
          throw ModelFileError(path: path, problem: "it holds no good checkpoint to resume from", kind: .missing)
        }
        checkpoint = try read(newest.name, from: source)
      }
      try requireSameSamples(checkpoint)
      _ = try store.write(checkpoint)
    } catch {
      throw ConvoyError(.badData, error.description)
    }
  }
}

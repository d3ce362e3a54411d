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

  /// Refuses to resume from a run folder or a checkpoint that the job cannot go on from, before anything is written: the
  /// job would begin anew, over what is there, or could not end.
  ///
  /// The job's own run need not have a checkpoint yet: it goes on from its beginning.
  package func requireUsable(_ path: String) throws(ConvoyError) {
    if RunFolder.isSame(folder, as: path) {
      guard FileManager.default.fileExists(atPath: store.folder), try hasGood() else { return }
    }
    _ = try origin(path)
  }

  /// Whether the run has a good checkpoint; refuses one that has only others.
  private func hasGood() throws(ConvoyError) -> Bool {
    do throws(ModelFileError) {
      if try store.newest() != nil { return true }
      for entry in try store.verify().reversed() {
        if case .damaged(let error) = entry.state { throw error }
      }
      return false
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
    var metadata = [ResumeOrigin.jobName: job.yaml, "mode": "\(mark.rules.consistency(ofStep: max(mark.step - 1, 0)))"]
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
    let checkpoint = try origin(path)
    do throws(ModelFileError) {
      _ = try store.write(checkpoint)
    } catch {
      throw ConvoyError(.failed, error.description)
    }
  }

  /// The checkpoint that a path names, or the newest good one of the run that it names; refuses one that the job cannot
  /// go on from.
  private func origin(_ path: String) throws(ConvoyError) -> Checkpoint {
    let source: CheckpointStore
    let name: String
    let entry: CheckpointStore.Entry
    do throws(ModelFileError) {
      (source, name) = try Self.place(of: path)
      entry = try source.inspect(name, .sizes)
    } catch {
      throw ConvoyError(.badData, "--resume: \(error)")
    }
    // What the settings say is told by their names, before the network's form is compared.
    if let origin = ResumeOrigin(entry) { try require(origin) }
    let checkpoint: Checkpoint
    do throws(ModelFileError) { checkpoint = try read(name, from: source) } catch {
      throw ConvoyError(.badData, "--resume: \(error)")
    }
    try require(LoadedCut(checkpoint, form: form).origin)
    return checkpoint
  }

  private static func place(of path: String) throws(ModelFileError) -> (CheckpointStore, name: String) {
    if FileManager.default.fileExists(atPath: "\(path)/\(CheckpointStore.manifestName)") {
      let url = URL(fileURLWithPath: path).standardizedFileURL
      return (CheckpointStore(folder: url.deletingLastPathComponent().path), url.lastPathComponent)
    }
    let source = CheckpointStore(folder: "\(path)/\(CheckpointStore.folderName)")
    guard FileManager.default.fileExists(atPath: source.folder), let newest = try source.newest() else {
      throw ModelFileError(path: path, problem: "it holds no good checkpoint to resume from", kind: .missing)
    }
    return (source, newest.name)
  }

  private func require(_ origin: ResumeOrigin) throws(ConvoyError) {
    if let refusal = try ResumeCheck(prepared).refusal(of: origin) {
      throw ConvoyError(refusal.code, "--resume: \(refusal.message)")
    }
  }

  /// Whether nobody has stated another mode than the run's newest checkpoint was made in.
  func keepsMode() -> Bool {
    let newest = ((try? store.list()) ?? []).last { $0.state == .good }
    return newest.flatMap(ResumeOrigin.init).map { ResumeCheck(prepared).keepsMode(since: $0) } ?? false
  }
}

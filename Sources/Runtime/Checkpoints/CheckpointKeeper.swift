import Foundation
import ModelFiles
import Networks
package import ParameterServer
import Tensors
package import Transport

/// A coordinator's checkpoints: collects the states of chunks, and stores and loads on a thread of its own, so that the
/// coordinator is never kept from its work by a disk.
package final class CheckpointKeeper {
  /// What became of what was asked for.
  package enum Outcome: Sendable {
    /// The cut is complete on disk; its vectors where it is the last.
    case stored(step: Int, milliseconds: UInt64, result: RunFolder.StoredModel?, ModelVectors?)
    /// It is not; why.
    case notStored(step: Int, String)
    /// The last cut is no checkpoint on disk; why. The job's model is in its place.
    case modelStored(step: Int, String, result: RunFolder.StoredModel, ModelVectors)
    /// The newest good checkpoint, and what was passed over; nil where there is none.
    case loaded(LoadedCut?, passedOver: [String])
    /// There are checkpoints, and the newest good one is of no use; why.
    case notLoaded(ConvoyError)
  }

  /// What a checkpoint is of.
  package struct Context: Sendable {
    /// The job.
    let prepared: PreparedJob
    /// What decides its vectors.
    let form: CutForm
    /// The run's folder.
    let folder: String

    /// A job's checkpoints in a run folder.
    package init(_ prepared: PreparedJob, folder: String) {
      self.prepared = prepared
      self.folder = folder
      form = CutForm(network: prepared.network, optimizer: prepared.job.optimizerKind.optimizer(of: prepared.job))
    }

    var store: CheckpointStore { CheckpointStore(folder: "\(folder)/\(CheckpointStore.folderName)") }
  }

  private let context: Context
  private let tasks = BlockingQueue<@Sendable () -> Void>()
  private let ended = DispatchSemaphore(value: 0)
  private let report: @Sendable (Outcome) -> Void
  private var states: [Int: [UInt32: Frame]] = [:]
  /// Those of the last cut, which may have to be stored once more.
  private var last: (cut: Int, states: [UInt32: Frame])?
  private let best = BestCheckpoint()

  /// Starts the thread; `report` is called on it.
  package init(_ context: Context, report: @escaping @Sendable (Outcome) -> Void) {
    self.context = context
    self.report = report
    let thread = Thread { [tasks, ended] in
      while let task = tasks.take() { task() }
      ended.signal()
    }
    thread.name = "checkpoints"
    thread.stackSize = 8 << 20
    thread.start()
  }

  /// Ends the thread after what it is at.
  package func close() {
    tasks.close()
    ended.wait()
    ended.signal()
  }

  /// Whether states of chunks are held for a cut that is not stored yet.
  package var isCollecting: Bool { !states.isEmpty }

  /// Keeps the state of a chunk for a cut.
  package func collect(_ position: ChunkPosition, cut: Int, _ state: Frame) {
    states[cut, default: [:]][position.chunk] = state
  }

  /// Lets go of what was kept for a cut.
  package func abandon(cut: Int) {
    states[cut] = nil
    if last?.cut == cut { last = nil }
  }

  /// Stores a cut whose chunks are all there.
  ///
  /// - Parameters:
  ///   - loss: mean training loss since the checkpoint before; nil where nothing was trained.
  ///   - data: the data set's digest.
  ///   - era: how often the job began.
  package func store(_ mark: CheckpointMark, loss: Double?, data: [UInt8], era: UInt32) {
    let kept = last.flatMap { $0.cut == mark.step ? $0.states : nil }
    let states = states.removeValue(forKey: mark.step) ?? kept ?? [:]
    if mark.step == mark.rules.steps { last = (mark.step, states) }
    tasks.put { [context, report, best] in
      let begin = MonotonicClock.seconds
      do throws(ConvoyError) {
        let frames = (0..<mark.rules.chunks.count).compactMap { states[UInt32($0)] }
        guard frames.count == mark.rules.chunks.count else {
          throw ConvoyError(.failed, "\(frames.count) of \(mark.rules.chunks.count) chunks are there")
        }
        let cut = try CutVectors(mark, states: frames, form: context.form)
        let isLast = mark.step == mark.rules.steps
        let result: RunFolder.StoredModel
        do throws(ConvoyError) { result = try context.write(cut, mark, data: data, era: era) } catch {
          // A disk that is full for a checkpoint may have room for the model, and the model is what was trained for.
          guard isLast, let model = try? context.writeModel(of: cut, step: mark.step) else { throw error }
          return report(.modelStored(step: mark.step, error.message, result: model, cut.model))
        }
        if let loss { best.note(step: mark.step, loss: loss, in: context) }
        context.prune(best: best.step(in: context))
        report(
          .stored(
            step: mark.step, milliseconds: UInt64((MonotonicClock.seconds - begin) * 1000), result: result,
            isLast ? cut.model : nil))
      } catch {
        report(.notStored(step: mark.step, error.message))
      }
    }
  }

  /// Loads the newest good checkpoint of the run.
  package func load() {
    tasks.put { [context, report] in
      do throws(ConvoyError) {
        let (cut, passedOver) = try context.newest()
        report(.loaded(cut, passedOver: passedOver))
      } catch {
        report(.notLoaded(error))
      }
    }
  }
}

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
        if !isSameJob { _ = try read(newest.name, from: store) }
        return
      }
      for entry in try store.verify().reversed() {
        if case .damaged(let error) = entry.state { throw error }
      }
    } catch {
      throw ConvoyError(.badData, "--resume: \(error)")
    }
  }

  fileprivate func write(
    _ cut: CutVectors, _ mark: CheckpointMark, data: [UInt8], era: UInt32
  ) throws(ConvoyError) -> RunFolder.StoredModel {
    let job = prepared.job
    let checkpoint = Checkpoint(
      step: mark.step, version: mark.version, era: UInt64(era), network: network,
      data: Checkpoint.Identity(name: job.data, digest: Self.hexadecimal(data)),
      metadata: ["job": job.yaml, "mode": "\(mark.rules.consistency(ofStep: max(mark.step - 1, 0)))"],
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
  fileprivate func writeModel(of cut: CutVectors, step: Int) throws(ModelFileError) -> RunFolder.StoredModel {
    let model = RunFolder.StoredModel(
      path: "\(folder)/\(RunFolder.modelName)", parametersSHA256: cut.model.parameters.sha256().description,
      buffersSHA256: cut.model.buffers.sha256().description)
    try write(model, of: cut, step: step)
    return model
  }

  private func write(_ model: RunFolder.StoredModel, of cut: CutVectors, step: Int) throws(ModelFileError) {
    var metadata = [
      "format": "pt", "convoy.model": prepared.job.model, "convoy.data": prepared.job.data, "convoy.step": "\(step)",
      "convoy.parameters_sha256": model.parametersSHA256,
    ]
    if cut.model.buffers.count > 0 { metadata["convoy.buffers_sha256"] = model.buffersSHA256 }
    try cut.model.write(of: prepared.network, metadata: metadata, to: [model.path])
  }

  /// Removes all checkpoints but the newest and the best; what cannot be removed now goes another time.
  fileprivate func prune(best: Int?) {
    _ = try? store.prune(keepLast: prepared.job.keep, best: best.map { [$0] } ?? [])
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
    try store.read(
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
      _ = try store.write(checkpoint)
    } catch {
      throw ConvoyError(.badData, error.description)
    }
  }
}

/// The checkpoint with the lowest training loss, remembered in the run's folder.
private final class BestCheckpoint: Sendable {
  private struct Note: Codable {
    var step: Int
    var loss: Double
  }

  private func path(_ context: CheckpointKeeper.Context) -> String { "\(context.folder)/best.json" }

  private func note(in context: CheckpointKeeper.Context) -> Note? {
    guard let data = FileManager.default.contents(atPath: path(context)) else { return nil }
    return try? JSONDecoder().decode(Note.self, from: data)
  }

  func step(in context: CheckpointKeeper.Context) -> Int? { note(in: context)?.step }

  func note(step: Int, loss: Double, in context: CheckpointKeeper.Context) {
    if !loss.isFinite { return }
    // What is not the best any more is pruned; one of a step that is trained again is replaced with its note.
    if let known = note(in: context), known.step != step, known.loss <= loss { return }
    guard let data = try? JSONEncoder().encode(Note(step: step, loss: loss)) else { return }
    _ = try? AtomicFile.write(path: path(context), [UInt8](data))
  }
}

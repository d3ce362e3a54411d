import ModelFiles
package import ParameterServer
package import Transport

/// A coordinator's checkpoints: collects the states of chunks, and stores, loads and evaluates on threads of its own, so
/// that the coordinator is never kept from its work by a disk or a data set.
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
    /// A checkpoint was evaluated on the samples that are held out.
    case validated(step: Int, Evaluation, milliseconds: UInt64, isBest: Bool)
    /// It was not; why.
    case notValidated(step: Int, String)
    /// Checkpoints of a coordinator before were looked through: those without a score are being evaluated.
    case lookedThrough
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
  private let tasks = WorkThread(name: "checkpoints")
  private let report: @Sendable (Outcome) -> Void
  private var states: [Int: [UInt32: Frame]] = [:]
  /// Those of the last cut, which may have to be stored once more.
  private var last: (cut: Int, states: [UInt32: Frame])?
  private let choice: CheckpointChoice
  /// What evaluates checkpoints; nil of a job that holds no samples out.
  private let validator: Validator?

  /// Starts the thread; `report` is called on it.
  package init(_ context: Context, report: @escaping @Sendable (Outcome) -> Void) {
    self.context = context
    self.report = report
    let choice = CheckpointChoice(context)
    self.choice = choice
    validator =
      context.validates
      ? Validator(context.prepared) { [tasks] request, outcome in
        tasks.put { report(choice.settle(request, outcome)) }
      } : nil
    guard let validator else { return }
    tasks.put {
      for request in context.unscored(most: validator.maximumWaiting) { choice.evaluate(request, validator) }
      choice.lookedThrough()
      report(.lookedThrough)
    }
  }

  /// Ends the thread after what it is at; what is evaluated is given up.
  package func close() {
    validator?.close()
    tasks.close()
  }

  /// Whether checkpoints are still being evaluated.
  package var isValidating: Bool { choice.isValidating }

  /// The scores of the good checkpoints that were evaluated, by step. Cost: reads their manifests.
  package var scores: [ValidationScore] { context.scores() }

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
    tasks.put { [context, report, choice, validator] in
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
        if let validator {
          choice.evaluate(Validator.Request(step: mark.step, era: UInt64(era), model: cut.model), validator)
        } else if let loss {
          choice.note(step: mark.step, loss: loss)
        }
        choice.prune()
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

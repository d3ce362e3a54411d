import Foundation
import ModelFiles
import Synchronization

/// Which checkpoint is the best, and with it which are kept: by the samples that are held out, as manifests have it; in a
/// job that holds none out by the training loss, as a note in the run's folder has it.
///
/// All but `isValidating` is called on the keeper's thread.
final class CheckpointChoice: Sendable {
  /// A checkpoint whose score is not in its manifest yet.
  private struct Unscored: Hashable {
    let step: Int
    let era: UInt64
  }

  /// What is evaluated, or to be: such checkpoints are not pruned.
  private struct Evaluations {
    var isLooking: Bool
    var cuts: Set<Unscored> = []
  }

  private struct Note: Codable {
    var step: Int
    var loss: Double
  }

  private let context: CheckpointKeeper.Context
  private let evaluations: Mutex<Evaluations>

  init(_ context: CheckpointKeeper.Context) {
    self.context = context
    evaluations = Mutex(Evaluations(isLooking: context.validates))
  }

  /// Whether checkpoints are still being evaluated, or looked through for such as are to be.
  var isValidating: Bool { evaluations.withLock { $0.isLooking || !$0.cuts.isEmpty } }

  /// What a coordinator before has stored and not evaluated is being evaluated.
  func lookedThrough() { evaluations.withLock { $0.isLooking = false } }

  /// Has a checkpoint evaluated.
  func evaluate(_ request: Validator.Request, _ validator: Validator) {
    _ = evaluations.withLock { $0.cuts.insert(Unscored(step: request.step, era: request.era)) }
    validator.evaluate(request)
  }

  /// Adds a score to the checkpoint's manifest, and lets go of checkpoints that are neither new nor the best now.
  func settle(_ request: Validator.Request, _ outcome: Validator.Outcome) -> CheckpointKeeper.Outcome {
    defer {
      evaluations.withLock { evaluations in
        _ = evaluations.cuts.remove(Unscored(step: request.step, era: request.era))
      }
      prune()
    }
    switch outcome {
    case .evaluated(let evaluation, let milliseconds):
      do throws(ConvoyError) {
        try context.note(ValidationScore(step: request.step, evaluation), era: request.era)
      } catch {
        return .notValidated(step: request.step, error.message)
      }
      let isBest = ValidationScore.best(context.scores())?.step == request.step
      return .validated(step: request.step, evaluation, milliseconds: milliseconds, isBest: isBest)
    case .failed(let text): return .notValidated(step: request.step, text)
    }
  }

  /// Notes the training loss of a checkpoint, where it is the lowest.
  func note(step: Int, loss: Double) {
    if !loss.isFinite { return }
    // What is not the best any more is pruned; one of a step that is trained again is replaced with its note.
    if let known = note, known.step != step, known.loss <= loss { return }
    guard let data = try? JSONEncoder().encode(Note(step: step, loss: loss)) else { return }
    _ = try? AtomicFile.write(path: path, [UInt8](data))
  }

  private var path: String { "\(context.folder)/best.json" }

  private var note: Note? {
    FileManager.default.contents(atPath: path).flatMap { try? JSONDecoder().decode(Note.self, from: $0) }
  }

  /// Removes the checkpoints that are not kept.
  func prune() {
    let best = context.validates ? ValidationScore.best(context.scores())?.step : note?.step
    let waiting = evaluations.withLock { $0.cuts.map(\.step) }
    context.prune(but: Set(waiting + (best.map { [$0] } ?? [])))
  }
}

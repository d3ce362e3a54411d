import Datasets
import Engines
import Foundation
import ModelFiles
import Networks
import ParameterServer
import Runtime
import Synchronization
import Tensors
import Testing

/// Checkpoints that are evaluated on samples held out of training, and what is kept of them.
@Suite struct ValidationTests {
  /// What a keeper said, and those who wait for it.
  private final class Outcomes: Sendable {
    private let said = Mutex<[CheckpointKeeper.Outcome]>([])
    private let more = DispatchSemaphore(value: 0)

    func add(_ outcome: CheckpointKeeper.Outcome) {
      said.withLock { $0.append(outcome) }
      more.signal()
    }

    /// Waits for so many outcomes in all.
    func wait(for count: Int) -> [CheckpointKeeper.Outcome] {
      while true {
        let outcomes = said.withLock { $0 }
        if outcomes.count >= count { return outcomes }
        more.wait()
      }
    }

    /// Waits until nothing is evaluated any more.
    func waitUntilSettled(_ keeper: CheckpointKeeper) {
      while keeper.isValidating { more.wait() }
    }
  }

  private let folder = TemporaryRunFolder()
  private let steps = 4

  private func prepared(_ validation: ValidationSize) throws -> PreparedJob {
    var job = Job()
    job.validation = validation
    job.keep = 1
    job.maxSteps = steps
    return try PreparedJob(job: job, text: job.yaml)
  }

  private func rules(_ prepared: PreparedJob) throws -> JobRules {
    let network = prepared.network
    return try #require(
      JobRules(
        schedule: BatchSchedule(samples: prepared.holdout.trainingCount, batch: prepared.job.batch, tree: Stores.tree)!,
        steps: steps,
        chunks: ChunkTable(elements: network.parameterLayout.count, buffers: network.bufferLayout.count, servers: 1)!,
        segments: [JobRules.Segment(firstStep: 0, consistency: .sync)], slots: 1))
  }

  /// The model of a step: another network's beginning for each.
  private func model(_ step: Int, _ prepared: PreparedJob) -> ModelVectors {
    ModelVectors(initialOf: prepared.network, seed: UInt64(step))
  }

  private func store(_ step: Int, _ prepared: PreparedJob, in keeper: CheckpointKeeper, loss: Double) throws {
    let rules = try rules(prepared)
    let chunks = ChunkStore(rules: rules, settings: try prepared.updateSettings())
    chunks.initialise(from: model(step, prepared))
    for chunk in 0..<rules.chunks.count {
      chunks.takeSnapshot(chunk)
      let position = ChunkPosition(chunk: UInt32(chunk), version: 0, closed: UInt64(step))
      keeper.collect(position, cut: step, chunks.snapshot(of: chunk))
    }
    keeper.store(
      CheckpointMark(step: step, version: 0, rules: rules, covered: UnitSet()), loss: loss, data: [1], era: 1)
  }

  /// What each model is worth, evaluated apart from any keeper.
  private func truth(_ prepared: PreparedJob) throws -> [ValidationScore] {
    let evaluator = try Evaluator(
      prepared.network, engine: try prepared.engine(), data: prepared.job.data, directory: nil, split: .train,
      holdout: prepared.holdout, threads: 1)
    return try (1...steps).map { step in
      ValidationScore(
        step: step, try evaluator.evaluate(model(step, prepared), cancellation: Cancellation()))
    }
  }

  private var entries: [CheckpointStore.Entry] {
    get throws { try CheckpointStore(folder: "\(folder.path)/checkpoints").verify() }
  }

  @Test(
    "The best on what is held out is kept beside the last, whatever the training loss says; scores are in manifests")
  func keepsBest() throws {
    let prepared = try prepared(.count(300))
    let truth = try truth(prepared)
    let best = try #require(ValidationScore.best(truth))
    #expect(Set(truth.map(\.loss)).count == steps)
    let outcomes = Outcomes()
    let keeper = CheckpointKeeper(CheckpointKeeper.Context(prepared, folder: folder.path)) { outcomes.add($0) }
    defer { keeper.close() }
    for step in 1...steps {
      // The training loss prefers another.
      try store(step, prepared, in: keeper, loss: step == best.step ? 9 : Double(step))
    }
    var validated: [Int: (Evaluation, Bool)] = [:]
    for outcome in outcomes.wait(for: 2 * steps + 1) {
      if case .validated(let step, let evaluation, _, let isBest) = outcome { validated[step] = (evaluation, isBest) }
    }
    for score in truth {
      #expect(validated[score.step].map { ValidationScore(step: score.step, $0.0) } == score)
      #expect(validated[score.step]?.0.samples == 300)
      let soFar = ValidationScore.best(truth.filter { $0.step <= score.step })
      #expect(validated[score.step]?.1 == (soFar == score))
    }
    #expect(try entries.map(\.step) == Set([best.step, steps]).sorted())
    #expect(try entries.compactMap { ValidationScore($0) } == truth.filter { [best.step, steps].contains($0.step) })
    #expect(keeper.scores.contains(best))
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/best.json"))
  }

  @Test("Without samples held out the training loss chooses, and manifests have no score")
  func trainingLoss() throws {
    let prepared = try prepared(.none)
    let outcomes = Outcomes()
    let keeper = CheckpointKeeper(CheckpointKeeper.Context(prepared, folder: folder.path)) { outcomes.add($0) }
    defer { keeper.close() }
    for (step, loss) in [(1, 3.0), (2, 1.0), (3, 2.0)] { try store(step, prepared, in: keeper, loss: loss) }
    _ = outcomes.wait(for: 3)
    #expect(try entries.map(\.step) == [2, 3])
    #expect(try entries.allSatisfy { entry in !entry.metadata.keys.contains { $0.hasPrefix("validation") } })
    #expect(!keeper.isValidating && keeper.scores.isEmpty)
  }

  @Test("What a coordinator that was killed has stored and not evaluated, the next one evaluates")
  func successor() throws {
    let prepared = try prepared(.count(200))
    let truth = try truth(prepared)
    let context = CheckpointKeeper.Context(prepared, folder: folder.path)
    do {
      let outcomes = Outcomes()
      let keeper = CheckpointKeeper(context) { outcomes.add($0) }
      defer { keeper.close() }
      try store(3, prepared, in: keeper, loss: 1)
      _ = outcomes.wait(for: 3)
    }
    // As a kill would leave it: complete, and without a score.
    let store = CheckpointStore(folder: "\(folder.path)/checkpoints")
    var checkpoint = try store.read("step-00000003")
    checkpoint.metadata["validation_accuracy"] = nil
    _ = try store.write(checkpoint)
    #expect(try entries.compactMap { ValidationScore($0) }.isEmpty)
    let outcomes = Outcomes()
    let keeper = CheckpointKeeper(context) { outcomes.add($0) }
    defer { keeper.close() }
    outcomes.waitUntilSettled(keeper)
    #expect(keeper.scores == [truth[2]])
  }

  @Test("Accuracy comes first, then the loss, then the earlier step; a loss that is no number is the worst")
  func order() {
    func score(_ step: Int, _ accuracy: Double, _ loss: Double) -> ValidationScore {
      ValidationScore(step: step, accuracy: accuracy, loss: loss)
    }
    #expect(ValidationScore.best([]) == nil)
    #expect(ValidationScore.best([score(1, 0.5, 1), score(2, 0.6, 9)])?.step == 2)
    #expect(ValidationScore.best([score(1, 0.5, 1), score(2, 0.5, 0.9), score(3, 0.5, 1)])?.step == 2)
    #expect(ValidationScore.best([score(3, 0.5, 1), score(2, 0.5, 1), score(4, 0.5, 1)])?.step == 2)
    #expect(ValidationScore.best([score(1, 0.5, .nan), score(2, 0.5, 7)])?.step == 2)
    #expect(ValidationScore.best([score(2, 0.5, .nan), score(1, 0.5, .nan)])?.step == 1)
  }
}

/// A folder that goes with the test.
private final class TemporaryRunFolder {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("convoy-\(UUID().uuidString)").path

  init() { try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

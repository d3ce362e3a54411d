import Datasets
import Engines
import Foundation
import Glibc
import Networks
import Tensors
import Testing

/// Jobs that hold samples out of training to choose the best checkpoint by.
@Suite(.serialized, .timeLimit(.minutes(30))) struct ValidationTests {
  private let folder = TemporaryFolder()
  private var run: String { "\(folder.path)/run" }

  private static let heldOut = 400
  private static let arguments = [
    "--validation", "\(heldOut)", "--batch", "100", "--max-steps", "12", "--shards", "2", "--seed", "5",
  ]

  /// The job's parameters after a plain loop over the samples that are left.
  private static let expected: String = {
    let network = Catalogue.network(named: "lenet")!
    let dataset = try! DatasetCatalogue.load("fashion-mnist", split: .train)
    let holdout = Holdout(samples: dataset.count, count: heldOut, seed: 5)
    let order = SampleOrder(count: dataset.count - heldOut, seed: 5)
    let reader = try! BatchReader(
      dataset: dataset, part: .training(holdout), order: order, sampleShape: network.inputShape)
    let engine = Engines.engine(named: Engines.defaultName)!
    let plan = try! engine.compile(network, batch: 50, threads: 1, purpose: .training(seed: 5))
    let samples = Batch(capacity: 50, sampleShape: network.inputShape)
    let parameters = network.initialParameters(seed: 5)
    let optimizer = Optimizer.sgd(SGD(momentum: 0.9))
    let state = optimizer.makeState(count: parameters.count)
    for step in 0..<12 {
      let gradients = (0..<2).map { shard in
        let first = step * 100 + shard * 50
        reader.read(SampleBlock(epoch: 0, positions: first..<first + 50), into: samples)
        let gradient = FlatVector(count: parameters.count)
        _ = try! plan.step(samples, parameters: parameters, gradient: gradient, onFinal: { _ in })
        return gradient
      }
      gradients[0].add(gradients[1], in: 0..<parameters.count)
      optimizer.apply(
        gradient: gradients[0], scale: 0.01,
        learningRate: LearningRateSchedule.cosine.rate(base: 0.03, step: step, totalSteps: 12), update: step + 1,
        parameters: parameters, state: state, range: 0..<parameters.count)
    }
    return parameters.sha256().description
  }()

  @Test(
    "Steps are of samples that are not held out, on any count of workers; each checkpoint is evaluated, told and noted",
    arguments: [("inproc", 1), ("ipc", 2)])
  func job(transport: String, workers: Int) throws {
    let job = try LiveJob(
      Self.arguments + ["--workers", "\(workers)", "--transport", transport, "--checkpoint-every", "4", "--keep", "9"],
      run: run)
    let summary = try job.finish()
    #expect(summary["parameters_sha256"] as? String == Self.expected)
    #expect(summary["steps"] as? Int == 12)
    let stored = job.metrics.filter { $0["event"] as? String == "checkpoint" }.compactMap { $0["step"] as? Int }
    let scores = job.metrics.filter { $0["event"] as? String == "validation" }
    #expect(scores.compactMap { $0["step"] as? Int } == stored && stored.last == 12)
    #expect(scores.allSatisfy { $0["samples"] as? Int == Self.heldOut })
    #expect(summary["validation_accuracy"] as? Double == scores.last?["accuracy"] as? Double)
    #expect(summary["validation_loss"] as? Double == scores.last?["loss"] as? Double)

    let listed = try Convoy.run(["checkpoints", "list", run, "--json"]).json()["checkpoints"] as? [[String: Any]] ?? []
    #expect(listed.map { $0["step"] as? Int } == stored)
    #expect(listed.map { $0["validation_accuracy"] as? Double } == scores.map { $0["accuracy"] as? Double })
    let best = listed.filter { $0["best"] as? Bool == true }.map { $0["step"] as? Int }
    #expect(best == [summary["best_step"] as? Int])
    let said = job.process.wait().errors
    #expect(said.contains("validation after step 12: accuracy "), "\(said)")
    let text = try Convoy.run(["checkpoints", "verify", run])
    #expect(text.exitCode == 0 && text.output.contains(", the best\n"), "\(text.output)")
    #expect(text.output.contains(/step-00000012 +good .* validation accuracy 0\.\d{4}, loss \d/), "\(text.output)")
  }

  @Test("A job that is resumed with other samples held out is refused, and the run stays as it is")
  func resume() throws {
    let short = try Convoy.run(
      ["train"] + Self.arguments.map { $0 == "12" ? "4" : $0 }
        + ["--workers", "1", "--transport", "inproc", "--run-dir", run])
    #expect(short.exitCode == 0, "\(short.errors)")
    let before = try folder.read("run/job.yaml")
    for (arguments, reason) in [
      (["--validation", "100"], "held out, the job holds out 100: resume with --validation \(Self.heldOut)"),
      (["--validation", "0"], "held out, the job holds out 0: resume with --validation \(Self.heldOut)"),
      (["--seed", "6"], "held out by seed 5, the job holds out others: resume with --seed 5"),
      (["--batch", "50"], "counts steps of 100 samples, the job of 50"),
    ] {
      for place in [["--resume", run], ["--resume", "\(run)/checkpoints/step-00000004", "--run-dir", "\(run)-2"]] {
        let refused = try Convoy.run(["train", "--max-steps", "8"] + place + arguments)
        #expect(refused.exitCode == 78 && refused.errors.contains(reason), "\(refused.errors)")
        #expect(try folder.read("run/job.yaml") == before)
        try? FileManager.default.removeItem(atPath: "\(run)-2")
      }
    }
    let all = try Convoy.run(["train", "--validation", "60000", "--run-dir", "\(run)-3"])
    #expect(all.exitCode == 78 && all.errors.contains("60000 samples are to be held out"), "\(all.errors)")
  }

  @Test("While a model is evaluated the coordinator answers, and Ctrl-C ends the job")
  func answers() throws {
    // Eight samples are left, and make one step. The others are so many that nobody could miss their evaluation: the
    // test ends it.
    let job = try LiveJob(
      ["--model", "resnet-20", "--validation", "59992", "--batch", "8", "--epochs", "1", "--workers", "1"], run: run)
    try job.wait(forCheckpoint: 1)
    try job.wait(until: "the model is evaluated") { _ in
      let outcome = try? Convoy.run(["status", run, "--json"])
      return (try? outcome?.json()["state"] as? String) == "evaluating"
    }
    let text = try Convoy.run(["status", run])
    #expect(text.output.contains("evaluating  step 1 of 1  mode sync"), "\(text.output)\(text.errors)")
    let mode = try Convoy.run(["status", run, "--set-mode", "async"])
    #expect(mode.exitCode == 77 && mode.errors.contains("the job has made its last step"), "\(mode.errors)")
    job.process.send(SIGINT)
    let outcome = job.process.wait()
    #expect(outcome.exitCode == 130, "\(outcome.errors)")
    // The result is there.
    #expect(try Convoy.run(["checkpoints", "verify", run]).exitCode == 0)
    #expect(FileManager.default.fileExists(atPath: "\(run)/model.safetensors"))
  }
}

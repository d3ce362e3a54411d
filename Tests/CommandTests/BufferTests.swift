import Datasets
import Engines
import Foundation
import Networks
import Synchronization
import Tensors
import Testing

/// Batch normalisation's running statistics through real processes, and a network that takes its data set's shape.
@Suite(.serialized) struct BufferTests {
  static let steps = 5
  static let batch = 30
  static let shards = 4
  static let seed: UInt64 = 3
  static let network = try! Catalogue.network(named: "resnet-20", input: [1, 28, 28], classes: 10)!

  /// The digests of parameters and buffers after a plain loop over steps and shards that knows nothing of servers.
  static let expected: (parameters: String, buffers: String) = {
    let dataset = try! DatasetCatalogue.load("fashion-mnist", split: .train)
    let reader = try! BatchReader(
      dataset: dataset, order: SampleOrder(count: dataset.count, seed: seed), sampleShape: network.inputShape)
    let plan = try! Engines.engine(named: Engines.defaultName)!.compile(
      network, batch: (batch + shards - 1) / shards, threads: 1, purpose: .training(seed: seed))
    let samples = Batch(capacity: batch, sampleShape: network.inputShape)
    let parameters = network.initialParameters(seed: seed)
    let buffers = network.initialBuffers()
    let optimizer = Optimizer.sgd(SGD(momentum: 0.9))
    let state = optimizer.makeState(count: parameters.count)
    for step in 0..<steps {
      var gradients: [FlatVector] = []
      var statistics: [FlatVector] = []
      for shard in 0..<shards {
        let positions = step * batch + shard * batch / shards..<step * batch + (shard + 1) * batch / shards
        reader.read(SampleBlock(epoch: 0, positions: positions), into: samples)
        gradients.append(FlatVector(count: parameters.count))
        statistics.append(FlatVector(count: buffers.count))
        _ = try! plan.step(
          samples, parameters: parameters, gradient: gradients[shard], statistics: statistics[shard], onFinal: { _ in })
      }
      for vectors in [gradients, statistics] {
        for (left, right) in [(0, 1), (2, 3), (0, 2)] { vectors[left].add(vectors[right], in: 0..<vectors[0].count) }
      }
      optimizer.apply(
        gradient: gradients[0], scale: 1 / Float(batch),
        learningRate: LearningRateSchedule.cosine.rate(base: 0.03, step: step, totalSteps: steps), update: step + 1,
        parameters: parameters, state: state, range: 0..<parameters.count)
      buffers.withMutableSpan { running in
        statistics[0].withSpan { sum in
          for index in sum.indices { running[index] = 0.9 * running[index] + 0.1 * (sum[index] / Float(shards)) }
        }
      }
    }
    return (parameters.sha256().description, buffers.sha256().description)
  }()

  static func train(_ folder: TemporaryFolder, _ more: [String]) throws -> Convoy.Outcome {
    try Convoy.run(
      [
        "train", "--model", "resnet-20", "--data", "fashion-mnist", "--batch", "\(batch)", "--shards", "\(shards)",
        "--max-steps", "\(steps)", "--seed", "\(seed)", "--run-dir", "\(folder.path)/run", "--json",
      ] + more)
  }

  @Test(
    "ResNet-20's parameters and buffers have the bytes of the sequential loop on any count of workers and servers",
    arguments: [(1, 1, "tcp"), (1, 2, "ipc"), (2, 1, "inproc"), (2, 2, "tcp")])
  func sameBytes(_ servers: Int, _ workers: Int, _ transport: String) throws {
    let folder = TemporaryFolder()
    let outcome = try Self.train(
      folder, ["--servers", "\(servers)", "--workers", "\(workers)", "--transport", transport])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let summary = try outcome.json()
    #expect(summary["parameters_sha256"] as? String == Self.expected.parameters)
    #expect(summary["buffers_sha256"] as? String == Self.expected.buffers)
    #expect(summary["parameters"] as? Int == 269_434)
    guard transport == "ipc" else { return }
    let evaluated = try Convoy.run([
      "evaluate", "--checkpoint", "\(folder.path)/run", "--data", "fashion-mnist", "--json",
    ])
    #expect(evaluated.exitCode == 0, "\(evaluated.errors)")
    #expect(try evaluated.json()["test_accuracy"] as? Double == summary["test_accuracy"] as? Double)
    #expect(try evaluated.json()["test_loss"] as? Double == summary["test_loss"] as? Double)
  }

  @Test("Asynchronous pushes move the buffers")
  func asynchronous() throws {
    let folder = TemporaryFolder()
    let outcome = try Self.train(folder, ["--mode", "async", "--servers", "2", "--workers", "2"])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let digest = try #require(try outcome.json()["buffers_sha256"] as? String)
    #expect(digest != Self.network.initialBuffers().sha256().description)
  }

  @Test("A number format that nothing computes in natively is said so in one line, and fp32 takes its place")
  func precision() throws {
    let folder = TemporaryFolder()
    let outcome = try Convoy.run(
      [
        "train", "--max-steps", "2", "--workers", "1", "--precision", "bf16", "--engine", "openblas", "--run-dir",
        "\(folder.path)/run", "--json",
      ])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let warnings = outcome.errors.split(separator: "\n").filter { $0.contains("bf16: ") }
    #expect(warnings.count == 1 && warnings[0].hasSuffix(": computing in fp32"), "\(outcome.errors)")
    #expect(try outcome.json()["precision"] as? String == "fp32")
    #expect(try folder.read("run/job.yaml").contains("precision: bf16"))
    #expect(try folder.read("run/logs/worker.0.log").contains("fp32 threads 1"))
  }

  @Test("Steps in bf16 have the same bytes on any count of workers, and others than in fp32", arguments: [1, 2])
  func bfloat16(workers: Int) throws {
    let isNative = Engines.engine(named: Engines.defaultName)!.supports(.bf16)
    let folder = TemporaryFolder()
    let outcome = try Self.train(folder, ["--workers", "\(workers)", "--precision", "bf16"])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let summary = try outcome.json()
    #expect(summary["precision"] as? String == (isNative ? "bf16" : "fp32"))
    #expect(outcome.errors.contains("computing in fp32") != isNative)
    #expect((summary["parameters_sha256"] as? String == Self.expected.parameters) != isNative)
    let log = try folder.read("run/logs/worker.0.log")
    #expect(log.contains(" \(isNative ? "bf16" : "fp32") threads 1"))
    let digests = ["parameters_sha256", "buffers_sha256"].map { summary[$0] as? String ?? "" }
    #expect(
      Self.bfloat16Digests.withLock { known in
        known = known ?? digests
        return known == digests
      })
  }

  /// What the first job in bf16 gave.
  private static let bfloat16Digests = Mutex<[String]?>(nil)

  @Test("A network that cannot take the data set's images is refused in one line", arguments: ["alexnet", "vgg-16"])
  func refusal(model: String) throws {
    let folder = TemporaryFolder()
    let outcome = try Convoy.run(["train", "--model", model, "--run-dir", "\(folder.path)/run"])
    #expect(outcome.exitCode == 78)
    #expect(outcome.errors.contains("\(model) cannot take fashion-mnist's images of 1×28×28: layer features."))
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run"))
  }
}

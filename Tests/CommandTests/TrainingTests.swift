import Datasets
import Engines
import Foundation
import Networks
import Tensors
import Testing

/// The bytes of a synchronous job, whatever it runs on.
@Suite(.serialized) struct TrainingTests {
  /// Steps of the jobs that are compared: past the smaller last batch of the first epoch, which is step 468.
  static let steps = 500
  static let batch = 128
  static let shards = 4
  static let seed: UInt64 = 7

  /// The job's parameters after a plain loop over steps and shards that knows nothing of servers.
  static let expected = sequential(steps: steps, optimizer: .sgd(SGD(momentum: 0.9)), learningRate: 0.03)

  /// The parameters' digest after a plain loop over steps and shards.
  static func sequential(steps: Int, optimizer: Optimizer, learningRate: Double, bound: Double? = nil) -> String {
    let network = Catalogue.network(named: "lenet")!
    let dataset = try! DatasetCatalogue.load("fashion-mnist", split: .train)
    let order = SampleOrder(count: dataset.count, seed: seed)
    let reader = try! BatchReader(dataset: dataset, order: order, sampleShape: network.inputShape)
    let engine = Engines.engine(named: Engines.defaultName)!
    let plan = try! engine.compile(network, batch: batch / shards, threads: 1, purpose: .training(seed: seed))
    let samples = Batch(capacity: batch / shards, sampleShape: network.inputShape)
    let parameters = network.initialParameters(seed: seed)
    let state = optimizer.makeState(count: parameters.count)
    let stepsPerEpoch = (dataset.count + batch - 1) / batch
    for step in 0..<steps {
      let first = step % stepsPerEpoch * batch
      let count = min(batch, dataset.count - first)
      var gradients: [FlatVector] = []
      for shard in 0..<shards {
        let positions = first + shard * count / shards..<first + (shard + 1) * count / shards
        reader.read(SampleBlock(epoch: step / stepsPerEpoch, positions: positions), into: samples)
        let gradient = FlatVector(count: parameters.count)
        _ = try! plan.step(samples, parameters: parameters, gradient: gradient, onFinal: { _ in })
        gradients.append(gradient)
      }
      while gradients.count > 1 {
        gradients = stride(from: 0, to: gradients.count, by: 2).map { pair in
          gradients[pair].add(gradients[pair + 1], in: 0..<parameters.count)
          return gradients[pair]
        }
      }
      let rate = LearningRateSchedule.cosine.rate(base: learningRate, step: step, totalSteps: steps)
      var scale = 1 / Float(count)
      if let bound {
        // LeNet's 431,080 parameters make blocks of the power of two below a 256th of them.
        let clipped = NormClipping(bound: bound).scale(of: gradients[0], factor: scale, blockElements: 1024)
        scale = NormClipping.factor(scale, scaledBy: clipped)
      }
      optimizer.apply(
        gradient: gradients[0], scale: scale, learningRate: rate, update: step + 1, parameters: parameters,
        state: state, range: 0..<parameters.count)
    }
    return parameters.sha256().description
  }

  static func train(
    _ folder: TemporaryFolder, servers: Int, workers: Int, transport: String, seed: UInt64 = seed
  ) throws -> Convoy.Outcome {
    try Convoy.run([
      "train", "--servers", "\(servers)", "--workers", "\(workers)", "--transport", transport, "--shards", "\(shards)",
      "--max-steps", "\(steps)", "--seed", "\(seed)", "--run-dir", "\(folder.path)/run", "--json",
    ])
  }

  @Test(
    "The result has the bytes of the sequential loop on any count of workers and servers and any transport",
    arguments: [
      (1, 1, "tcp"), (1, 2, "ipc"), (3, 3, "tcp"), (3, 4, "inproc"), (1, 4, "ipc"),
    ])
  func sameBytes(_ servers: Int, _ workers: Int, _ transport: String) throws {
    let folder = TemporaryFolder()
    let outcome = try Self.train(folder, servers: servers, workers: workers, transport: transport)
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let summary = try outcome.json()
    #expect(summary["parameters_sha256"] as? String == Self.expected)
    #expect(summary["steps"] as? Int == Self.steps)
    #expect(summary["epochs"] as? Int == 2)
    #expect(summary["workers"] as? Int == workers)
    #expect(summary["servers"] as? Int == servers)
    #expect(summary["test_accuracy"] as? Double ?? 0 > 0.85)
    try checkLogs(folder, servers: servers, workers: workers)
    if transport == "ipc" { try checkEvaluation(folder, summary) }
  }

  /// Each worker's log says which shards it computed, all of each step, and every server served four chunks.
  private func checkLogs(_ folder: TemporaryFolder, servers: Int, workers: Int) throws {
    var shards = 0
    for worker in 0..<workers {
      let log = try folder.read("run/logs/worker.\(worker).log")
      #expect(log.split(separator: "\n").allSatisfy { $0.hasPrefix("[worker.\(worker)] ") })
      let computed = try #require(log.firstMatch(of: /computed (\d+) shards/))
      shards += Int(computed.1) ?? 0
    }
    // Shards that move to a faster worker can be computed twice, never less than once.
    #expect(shards >= Self.steps * Self.shards)
    for server in 0..<servers {
      let log = try folder.read("run/logs/server.\(server).log")
      let owned = try #require(log.firstMatch(of: /: (\d+) chunks of/))
      #expect(Int(owned.1) ?? 0 >= 4)
    }
  }

  private func checkEvaluation(_ folder: TemporaryFolder, _ summary: [String: Any]) throws {
    let outcome = try Convoy.run([
      "evaluate", "--checkpoint", "\(folder.path)/run", "--data", "fashion-mnist", "--json",
    ])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try outcome.json()["test_accuracy"] as? Double == summary["test_accuracy"] as? Double)
    let written = try JSONSerialization.jsonObject(with: Data(folder.read("run/summary.json").utf8)) as? [String: Any]
    #expect(written?["parameters_sha256"] as? String == Self.expected)
  }

  @Test(
    "Every optimizer has the bytes of the sequential loop, on two servers",
    arguments: [
      ("adagrad", .adagrad(Adagrad()), 0.01), ("adadelta", .adadelta(Adadelta()), 1),
      ("rmsprop", .rmsProp(RMSProp()), 0.01), ("adam", .adam(Adam()), 0.001),
      ("adamw", .adamW(AdamW(weightDecay: 0.01)), 0.001),
    ] as [(String, Optimizer, Double)])
  func optimizers(name: String, optimizer: Optimizer, learningRate: Double) throws {
    let folder = TemporaryFolder()
    let outcome = try Convoy.run(
      [
        "train", "--servers", "2", "--workers", "2", "--transport", "ipc", "--shards", "\(Self.shards)",
        "--max-steps", "12", "--seed", "\(Self.seed)", "--run-dir", "\(folder.path)/run", "--optimizer", name, "--json",
      ] + (name == "adamw" ? ["--weight-decay", "0.01"] : []))
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let expected = Self.sequential(steps: 12, optimizer: optimizer, learningRate: learningRate)
    #expect(try outcome.json()["parameters_sha256"] as? String == expected)
  }

  @Test("Asynchronous workers share one state of Adam and learn")
  func asynchronousAdam() throws {
    let folder = TemporaryFolder()
    let outcome = try Convoy.run([
      "train", "--mode", "async", "--servers", "2", "--workers", "2", "--max-steps", "200", "--optimizer", "adam",
      "--run-dir", "\(folder.path)/run", "--json",
    ])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try outcome.json()["test_accuracy"] as? Double ?? 0 > 0.7)
  }

  @Test("Another seed gives other bytes")
  func otherSeed() throws {
    let folder = TemporaryFolder()
    let outcome = try Self.train(folder, servers: 1, workers: 2, transport: "inproc", seed: Self.seed + 1)
    let digest = try #require(try outcome.json()["parameters_sha256"] as? String)
    #expect(digest != Self.expected)
  }

  @Test("Coordinator, two servers and two workers started by hand train the same job to the same bytes")
  func byHand() throws {
    let folder = TemporaryFolder()
    let job = "\(folder.path)/job.yaml"
    let text = "servers: 2\nworkers: 2\nshards: \(Self.shards)\nmax-steps: \(Self.steps)\nseed: \(Self.seed)\n"
    try Data(text.utf8).write(to: URL(fileURLWithPath: job))
    // The folder in which members on one machine find a coordinator's token.
    let environment = ["XDG_RUNTIME_DIR": folder.path]
    let coordinator = try Running(
      ["coordinator", "--job", job, "--listen", "tcp://127.0.0.1:0", "--run-dir", "\(folder.path)/run", "--json"],
      environment: environment)
    #expect(coordinator.waitForLine(containing: "listens on tcp://"))
    let line = try #require(coordinator.line(containing: "listens on tcp://"))
    let address = String(try #require(line.firstMatch(of: /tcp:\/\/[0-9.:]+/)).0)
    let members = try ["server", "server", "worker", "worker"].map { role in
      try Running([role, "--coordinator", address], environment: environment)
    }
    for member in members { #expect(member.wait().exitCode == 0) }
    let outcome = coordinator.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try outcome.json()["parameters_sha256"] as? String == Self.expected)
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/convoy").isEmpty)
  }

  @Test("An asynchronous job applies every shard once and learns")
  func asynchronous() throws {
    let folder = TemporaryFolder()
    let outcome = try Convoy.run([
      "train", "--mode", "async", "--servers", "2", "--workers", "3", "--max-steps", "\(Self.steps)", "--run-dir",
      "\(folder.path)/run", "--json",
    ])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let summary = try outcome.json()
    #expect(summary["test_accuracy"] as? Double ?? 0 > 0.8)
    #expect(summary["mode"] as? String == "async")
    #expect(summary["shards"] as? Int == 4)
    var shards = 0
    for worker in 0..<3 {
      let log = try folder.read("run/logs/worker.\(worker).log")
      shards += Int(try #require(log.firstMatch(of: /computed (\d+) shards/)).1) ?? 0
    }
    #expect(shards == Self.steps * 4)
  }

  @Test("Steps with fewer samples than shards do not hang")
  func smallBatches() throws {
    let folder = TemporaryFolder()
    // Half of the shards of every step are empty.
    let outcome = try Convoy.run([
      "train", "--workers", "3", "--shards", "64", "--batch", "32", "--max-steps", "5", "--run-dir",
      "\(folder.path)/run", "--json",
    ])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try outcome.json()["steps"] as? Int == 5)
  }
}

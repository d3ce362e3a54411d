import Foundation
import Glibc
import Tensors
import Testing

/// `--clip-norm`: real jobs whose updates wait for the norm of the whole gradient.
@Suite(.serialized, .timeLimit(.minutes(30))) struct ClippingTests {
  private static let steps = 20
  private static let expected = sequential(bound: 0.5)

  private static func sequential(bound: Double?) -> String {
    TrainingTests.sequential(steps: steps, optimizer: .sgd(SGD(momentum: 0.9)), learningRate: 0.03, bound: bound)
  }

  private func train(_ folder: TemporaryFolder, _ options: [String]) throws -> [String: Any] {
    let outcome = try Convoy.run(["train", "--run-dir", "\(folder.path)/run", "--json"] + options)
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    return try outcome.json()
  }

  private func options(servers: Int, workers: Int, transport: String = "inproc", bound: String) -> [String] {
    [
      "--servers", "\(servers)", "--workers", "\(workers)", "--transport", transport, "--shards",
      "\(TrainingTests.shards)", "--max-steps", "\(Self.steps)", "--seed", "\(TrainingTests.seed)", "--clip-norm",
      bound,
    ]
  }

  @Test(
    "A clipped job has the bytes of the clipped sequential loop on any count of servers and workers",
    arguments: [(1, 2, "inproc"), (2, 1, "tcp"), (3, 2, "ipc")])
  func sameBytes(servers: Int, workers: Int, transport: String) throws {
    let summary = try train(
      TemporaryFolder(), options(servers: servers, workers: workers, transport: transport, bound: "0.5"))
    #expect(summary["parameters_sha256"] as? String == Self.expected)
  }

  @Test("A bound that no gradient reaches changes nothing, and one that is reached does")
  func largeBound() throws {
    let plain = Self.sequential(bound: nil)
    let summary = try train(TemporaryFolder(), options(servers: 2, workers: 2, bound: "1e9"))
    #expect(summary["parameters_sha256"] as? String == plain)
    #expect(plain != Self.expected)
  }

  @Test(
    "The server that adds and a worker are killed, with replicas or by way of checkpoints: the same bytes",
    arguments: [["--replicas", "1"], ["--checkpoint-every", "20"]])
  func kills(options: [String]) throws {
    let arguments = SurvivalTests.arguments + ["--clip-norm", "0.5"]
    let undisturbed = try train(TemporaryFolder(), arguments + ["--workers", "1", "--transport", "inproc"])
    let folder = TemporaryFolder()
    let job = try LiveJob(arguments + ["--servers", "2", "--workers", "2"] + options, run: "\(folder.path)/run")
    for (name, share) in [("server.0", 0.2), ("worker.1", 0.4), ("server.1", 0.6)] {
      try job.wait(forStep: SurvivalTests.step(after: share))
      try job.send(SIGKILL, to: name)
      #expect(job.process.waitForLine(containing: "\(name) was ended by signal 9 (Killed)"))
    }
    let summary = try job.finish()
    #expect(summary["parameters_sha256"] as? String == undisturbed["parameters_sha256"] as? String)
    #expect(summary["parameters_sha256"] as? String != SurvivalTests.undisturbed)
  }

  @Test("Modes in which shards are clipped where they are computed learn", arguments: ["async", "local:4"])
  func clippedByWorkers(mode: String) throws {
    let summary = try train(
      TemporaryFolder(),
      ["--mode", mode, "--servers", "2", "--workers", "2", "--max-steps", "200", "--clip-norm", "1"])
    #expect(summary["test_accuracy"] as? Double ?? 0 > 0.7)
  }
}

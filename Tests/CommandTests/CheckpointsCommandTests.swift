import Foundation
import Testing

/// `convoy checkpoints` on what a real run stored.
@Suite struct CheckpointsCommandTests {
  private let folder = TemporaryFolder()
  private var run: String { "\(folder.path)/run" }
  private var last: String { "\(run)/checkpoints/step-00000003" }

  private func train() throws {
    let outcome = try Convoy.run([
      "train", "--model", "lenet", "--data", "fashion-mnist", "--max-steps", "3", "--batch", "8", "--workers", "1",
      "--transport", "inproc", "--run-dir", run, "--json",
    ])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
  }

  private func flip(_ path: String, at index: Int) throws {
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    data[index] ^= 4
    try data.write(to: URL(fileURLWithPath: path))
  }

  @Test("Good, unfinished and damaged checkpoints are told apart, by exit code and by reason")
  func verify() throws {
    try train()
    for command in ["verify", "list"] {
      for path in [run, "\(run)/checkpoints"] {
        let outcome = try Convoy.run(["checkpoints", command, path])
        #expect(outcome.exitCode == 0)
        #expect(outcome.output.contains("good        lenet"))
        #expect(outcome.output.hasSuffix("the newest good checkpoint is step-00000003\n"))
      }
    }
    try FileManager.default.copyItem(atPath: last, toPath: "\(run)/checkpoints/step-00000009")
    try FileManager.default.removeItem(atPath: "\(run)/checkpoints/step-00000009/manifest.json")
    let unfinished = try Convoy.run(["checkpoints", "verify", run, "--json"])
    #expect(unfinished.exitCode == 0)
    let report = try unfinished.json()
    #expect(report["newest"] as? String == "step-00000003" && report["unfinished"] as? Int == 1)

    try flip("\(last)/model.safetensors", at: 200_000)
    let damaged = try Convoy.run(["checkpoints", "verify", run, "--json"])
    #expect(damaged.exitCode == 65)
    let checkpoints = try damaged.json()["checkpoints"] as? [[String: Any]]
    #expect(checkpoints?.compactMap { $0["state"] as? String } == ["damaged", "unfinished"])
    #expect((checkpoints?[0]["reason"] as? String)?.contains("model.safetensors: its SHA-256 is ") == true)
    #expect(damaged.errors.contains("1 of 2 checkpoints in \(run)/checkpoints are damaged: there is no good one"))
  }

  @Test("evaluate takes a run's newest good checkpoint where it has no final model, and refuses a damaged one")
  func evaluate() throws {
    try train()
    let final = try Convoy.run(["evaluate", "--checkpoint", run, "--data", "fashion-mnist", "--json"])
    try FileManager.default.removeItem(atPath: "\(run)/model.safetensors")
    let newest = try Convoy.run(["evaluate", "--checkpoint", run, "--data", "fashion-mnist", "--json"])
    #expect(newest.exitCode == 0)
    #expect(try newest.json()["checkpoint"] as? String == "\(last)/model.safetensors")
    #expect(try newest.json()["test_loss"] as? Double == final.json()["test_loss"] as? Double)
    try flip("\(last)/model.safetensors", at: 200_000)
    let refused = try Convoy.run(["evaluate", "--checkpoint", last, "--data", "fashion-mnist"])
    #expect(refused.exitCode == 65)
    #expect(refused.errors.contains("the manifest states"))
    let none = try Convoy.run(["evaluate", "--checkpoint", run, "--data", "fashion-mnist"])
    #expect(none.exitCode == 65 && none.errors.contains("no good checkpoint"))
  }

  @Test("A folder that is not there or holds none")
  func nothing() throws {
    let missing = try Convoy.run(["checkpoints", "verify", "\(folder.path)/no"])
    #expect(missing.exitCode == 65 && missing.errors.contains("there is no run and no folder of checkpoints at"))
    let empty = try Convoy.run(["checkpoints", "list", folder.path])
    #expect(empty.exitCode == 65 && empty.errors.contains("holds no good checkpoint"))
    #expect(try Convoy.run(["checkpoints", "prune", folder.path]).exitCode == 64)
  }
}

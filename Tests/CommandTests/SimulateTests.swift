import Foundation
import Testing

@Suite struct SimulateTests {
  @Test(
    "What a simulated job cannot be is refused with exit code 64",
    arguments: [
      (["--batch", "32"], "--batch is of a real network: name it with --model"),
      (["--straggler", "worker.1:3"], "--straggler is of a real network: name it with --model"),
      (["--model", "lenet-5", "--seeds", "2"], "--model trains one job: leave out --seeds"),
      (["--model", "lenet-5", "--replay", "seed-1.json"], "--model trains one job: leave out --replay"),
      (["--model", "lenet-6"], "--model: there is no model lenet-6; did you mean lenet-5?"),
      (["--model", "lenet-5", "--straggler", "worker.8:3"], "--straggler: there is no worker.8 among 8 workers"),
      (["--model", "lenet-5", "--straggler", "worker.1"], "worker.1 names no worker and number up to 1000"),
      (["--model", "lenet-5", "--learnin-rate", "1"], "Did you mean '--learning-rate'?"),
    ])
  func usage(_ arguments: [String], _ expected: String) throws {
    let outcome = try Convoy.run(["simulate"] + arguments)
    #expect(outcome.exitCode == 64)
    #expect(outcome.errors.contains(expected), "\(outcome.errors)")
    #expect(outcome.output.isEmpty)
  }

  @Test("A simulated job has the bytes of convoy train, though a server crashes and messages are lost")
  func sameBytesAsTraining() throws {
    let folder = TemporaryFolder()
    let job = ["--model", "lenet-5", "--batch", "20", "--shards", "2", "--seed", "4"]
    let trained = try Convoy.run(
      ["train", "--json", "--run-dir", "\(folder.path)/run", "--transport", "inproc", "--workers", "1"] + job
        + ["--max-steps", "3"]
    ).json()
    let outcome = try Convoy.run(
      ["simulate", "--json", "--workers", "3", "--servers", "2", "--steps", "3", "--faults", "crash,loss,duplicates"]
        + job)
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let simulated = try outcome.json()
    for name in ["parameters_sha256", "buffers_sha256", "engine", "mode"] {
      #expect(simulated[name] as? String == trained[name] as? String, "\(name)")
    }
    for name in ["test_accuracy", "test_loss"] {
      #expect(simulated[name] as? Double == trained[name] as? Double, "\(name)")
    }
    #expect(simulated["completed"] as? Bool == true && simulated["steps"] as? Int == 3)
    #expect(simulated["samples"] as? Int == 60 && (simulated["curve"] as? [Any])?.count == 3)
    #expect((simulated["faults"] as? [String: Any])?.isEmpty == false)
    #expect(outcome.errors.contains("step 3 of 3: loss "))
  }
}

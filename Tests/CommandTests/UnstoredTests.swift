import Foundation
import Testing

/// A disk that takes the model and not the rest of a run.
@Suite struct UnstoredTests {
  private let folder = TemporaryFolder()
  private var run: String { "\(folder.path)/run" }

  @Test("A summary that cannot be stored is shown all the same, and the exit code says that it is missing")
  func summary() throws {
    let job = try LiveJob(["--max-steps", "60"], run: run)
    try job.wait(forStep: 1)
    try FileManager.default.createDirectory(atPath: "\(run)/summary.json/x", withIntermediateDirectories: true)
    let outcome = job.process.wait()
    #expect(outcome.exitCode == 1, "\(outcome.errors)")
    let summary = try outcome.json()
    #expect(summary["steps"] as? Int == 60 && summary["test_accuracy"] is Double)
    let missing = try #require(summary["not_stored"] as? [String])
    #expect(missing.count == 1 && missing[0].hasPrefix("\(run)/summary.json: cannot be put in place: "), "\(missing)")
    let last = try #require(outcome.errors.split(separator: "\n").last)
    #expect(last.hasPrefix("convoy: the model is in \(run)/model.safetensors, but "), "\(last)")
    #expect(last.contains(missing[0]))
  }

  @Test("Lines of metrics and logs that a full disk refuses are told of once; the job goes on, and its code is 1")
  func lines() throws {
    let first = try Convoy.run(["train", "--max-steps", "4", "--run-dir", run])
    try #require(first.exitCode == 0, "\(first.errors)")
    for file in ["metrics.jsonl", "logs/worker.0.log", "logs/worker.1.log"] {
      try FileManager.default.removeItem(atPath: "\(run)/\(file)")
      try FileManager.default.createSymbolicLink(atPath: "\(run)/\(file)", withDestinationPath: "/dev/full")
    }
    let outcome = try Convoy.run(["train", "--resume", run, "--max-steps", "40", "--json"])
    #expect(outcome.exitCode == 1, "\(outcome.errors)")
    let summary = try outcome.json()
    #expect(summary["steps"] as? Int == 40)
    #expect(
      summary["not_stored"] as? [String] == ["lines of the metrics: \(run)/metrics.jsonl: No space left on device"])
    let stored = try JSONSerialization.jsonObject(with: Data(try folder.read("run/summary.json").utf8))
    #expect((stored as? [String: Any])?["not_stored"] != nil)
    let lines = outcome.errors.split(separator: "\n")
    #expect(lines.count { $0.contains("goes on without some lines of its metrics: \(run)/metrics.jsonl: ") } == 1)
    #expect(lines.count { $0.contains("goes on without some lines of its logs: \(run)/logs/worker.") } == 1)
  }
}

import Foundation
import Testing

/// How late gradients come in jobs whose pushes are applied one by one.
@Suite(.serialized, .timeLimit(.minutes(30))) struct StalenessTests {
  private let folder = TemporaryFolder()
  private var run: String { "\(folder.path)/run" }

  @Test("Every push is counted by its staleness: in the metrics, the summary and the status")
  func histogram() throws {
    let (steps, shards) = (300, 2)
    let job = try LiveJob(
      [
        "--mode", "async", "--servers", "2", "--workers", "2", "--shards", "\(shards)", "--batch", "32", "--max-steps",
        "\(steps)", "--learning-rate", "0.01", "--checkpoint-every", "100",
      ], run: run)
    var asked: [String: Any]?
    try job.wait(until: "the status tells of staleness") { _ in
      guard asked == nil else { return true }
      asked = (try? Convoy.run(["status", run, "--json"]).json())?["staleness"] as? [String: Any]
      return asked != nil
    }
    let text = try Convoy.run(["status", run]).output
    #expect(text.contains(/staleness  mean \d+\.\d\d  max \d+  of \d+ pushes/), "\(text)")
    let summary = try job.finish()
    let staleness = try #require(summary["staleness"] as? [String: Any])
    let chunks = try #require(job.log("coordinator").firstMatch(of: /(\d+) chunks; training begins/))
    let pushes = try #require(staleness["pushes"] as? Int)
    // Nobody died: each shard of each step was applied once to each chunk.
    #expect(pushes == steps * shards * (Int(chunks.1) ?? 0))
    let bins = try #require(staleness["histogram"] as? [Int])
    #expect(bins.reduce(0, +) == pushes && bins.count <= 65)
    let largest = try #require(staleness["max"] as? Int)
    if largest < 64 {
      #expect(bins.count == largest + 1)
      let sum = bins.enumerated().reduce(0) { $0 + $1.offset * $1.element }
      #expect(staleness["mean"] as? Double == Double(sum) / Double(pushes))
    }
    #expect(asked?["pushes"] as? Int ?? 0 <= pushes)

    let lines = job.metrics.filter { $0["event"] as? String == "staleness" }
    let counts = lines.compactMap { ($0["staleness"] as? [String: Any])?["pushes"] as? Int }
    #expect(counts == counts.sorted() && Set(counts).count == counts.count && counts.last == pushes)
    #expect(lines.last?["step"] as? Int == steps)
    // At checkpoints too.
    #expect(lines.count >= 2, "\(lines)")
    // Servers' logs have the parts.
    let logged = ["server.0", "server.1"].map { server in
      job.log(server).matches(of: /contributions by staleness: (.*)/).flatMap { match in
        match.1.split(separator: ", ").compactMap { Int($0.split(separator: ": ").last ?? "") }
      }
    }
    #expect(logged.joined().reduce(0, +) == pushes)
  }

  @Test("A job whose shards are summed has no staleness")
  func none() throws {
    let outcome = try Convoy.run([
      "train", "--max-steps", "2", "--batch", "8", "--workers", "1", "--transport", "inproc", "--run-dir", run,
      "--json",
    ])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try outcome.json()["staleness"] == nil)
    #expect(!(try folder.read("run/metrics.jsonl").contains("staleness")))
  }
}

import Foundation
import Glibc
import Testing

/// Workers that come later, and how soon they compute.
extension SurvivalTests {
  /// The places in the metrics where a member joined and where it computed, and the milliseconds between.
  private func joining(
    _ member: String, _ metrics: [[String: Any]]
  ) -> (joined: [Int], computes: [Int], milliseconds: [Int]) {
    func places(_ event: String) -> [Int] {
      metrics.indices.filter {
        metrics[$0]["event"] as? String == event && metrics[$0]["member"] as? String == member
      }
    }
    let computes = places("computes")
    return (places("joined"), computes, computes.compactMap { metrics[$0]["milliseconds"] as? Int })
  }

  @Test(
    "The metrics say when each worker joined and how soon it computed; of one that comes later the launcher says so")
  func joining() throws {
    let job = try start(["--restarts", "5"], servers: 1, workers: 1)
    try job.wait(forStep: 2)
    let added = try startMember("worker", at: try address())
    try job.wait(until: "worker.1 computes") { job in !joining("worker.1", job.metrics).computes.isEmpty }
    // One that is started again joins as another process.
    try job.send(SIGKILL, to: "worker.0")
    try job.wait(until: "worker.0 computes again") { job in joining("worker.0", job.metrics).computes.count == 2 }
    #expect(try job.finish()["parameters_sha256"] as? String == Self.undisturbed)
    #expect(added.wait().exitCode == 0)
    for (member, lives) in [("worker.0", 2), ("worker.1", 1)] {
      let (joined, computes, milliseconds) = joining(member, job.metrics)
      #expect(joined.count == lives && computes.count == lives && milliseconds.count == lives)
      for (before, after) in zip(joined, computes) { #expect(before < after) }
      for milliseconds in milliseconds {
        print("\(member) computed \(milliseconds) ms after it joined")
      }
    }
    #expect(joining("server.0", job.metrics).joined.count == 1 && joining("server.0", job.metrics).computes.isEmpty)
    let said = job.process.wait().errors
    for text in [said, job.log("launcher")] {
      #expect(text.contains(/worker\.1 computes, \d+ ms after it joined/), "\(text)")
      // The worker that the job began with is told of once: as the process that was started again.
      #expect(text.matches(of: /worker\.0 computes, \d+ ms after it joined/).count == 1, "\(text)")
    }
  }

  @Test("A worker joins a running job by hand, with the coordinator's address and no more")
  func joiningByHand() throws {
    let (coordinator, address) = try coordinate(servers: 1, workers: 1)
    func member(_ role: String) throws -> Running {
      try Running([role, "--coordinator", address], environment: ["XDG_RUNTIME_DIR": folder.path])
    }
    var members = [try member("server"), try member("worker")]
    #expect(coordinator.waitForLine(containing: "the first step begins"), "\(coordinator.wait().errors)")
    members.append(try member("worker"))
    #expect(coordinator.waitForLine(containing: "worker.1 computes, "), "\(coordinator.wait().errors)")
    let outcome = coordinator.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try outcome.json()["parameters_sha256"] as? String == Self.undisturbed)
    for member in members { #expect(member.wait().exitCode == 0) }
  }
}

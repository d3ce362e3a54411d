import Foundation
import Glibc
import Testing

/// Commands that want a run's folder while another has it.
extension SurvivalTests {
  /// What a job that runs depends on, as files.
  private func files() throws -> [String] {
    try ["token", "address", "job.yaml", "launch"].map { try folder.read("run/\($0)") }
  }

  @Test(
    "A run that is trained is resumed by nobody else: they are refused, and its restarted workers find all they need")
  func claimed() throws {
    let job = try start(["--checkpoint-every", "20"])
    try job.wait(forCheckpoint: 20)
    let before = try files()
    for arguments in [[], ["--workers", "1"], ["--transport", "inproc"]] {
      let refused = try Convoy.run(["train", "--resume", run] + arguments)
      #expect(refused.exitCode == 77 && refused.errors.contains("\(run) is in use: process "), "\(refused.errors)")
      #expect(try files() == before)
    }
    let coordinator = try Convoy.run([
      "coordinator", "--job", "\(run)/job.yaml", "--resume", run, "--listen", "tcp://127.0.0.1:0",
    ])
    #expect(coordinator.exitCode == 77, "\(coordinator.errors)")
    #expect(try files() == before)
    try job.send(SIGKILL, to: "worker.0")
    try job.wait(forResumption: "worker.0 is gone")
    #expect(try job.finish()["parameters_sha256"] as? String == Self.undisturbed)
    #expect(!FileManager.default.fileExists(atPath: "\(run)/token"))
    #expect(!FileManager.default.fileExists(atPath: "\(run)/address"))
  }

  @Test("Of two that resume a run at once one trains, and the other is refused")
  func resumedTwice() throws {
    let job = try start(["--checkpoint-every", "20"])
    try job.wait(forCheckpoint: 20)
    job.process.send(SIGKILL)
    _ = job.process.wait()
    let both = try (0..<2).map { _ in try LiveJob(resuming: run) }
    let outcomes = both.map { $0.process.wait() }.sorted { $0.exitCode < $1.exitCode }
    #expect(outcomes.map(\.exitCode) == [0, 77], "\(outcomes.map(\.errors))")
    #expect(try outcomes[0].json()["parameters_sha256"] as? String == Self.undisturbed)
  }

  @Test("Three runs that are started at once, without a name, get a folder each")
  func threeRuns() throws {
    let arguments = ["train", "--batch", "32", "--max-steps", "10", "--workers", "1", "--json"]
    let jobs = try (0..<3).map { _ in try Running(arguments, behind: ["/usr/bin/env", "-C", folder.path]) }
    let outcomes = jobs.map { $0.wait() }
    #expect(outcomes.allSatisfy { $0.exitCode == 0 }, "\(outcomes.map(\.errors))")
    let folders = try outcomes.map { try $0.json()["run_dir"] as? String ?? "" }
    #expect(Set(folders).count == 3, "\(folders)")
    #expect(
      try Set(FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/runs").map { "runs/\($0)" })
        == Set(folders))
  }
}

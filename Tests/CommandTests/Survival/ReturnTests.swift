import Foundation
import Glibc
import ParameterServer
import Runtime
import Testing

/// What goes on for long after a death: a server that is back serves again, a journal stays short.
extension SurvivalTests {
  /// The chunks that a server serves now, as `convoy status` says.
  private func served(by place: String) throws -> Int {
    let members = try status()["members"] as? [[String: Any]] ?? []
    return members.first { $0["place"] as? String == place }?["chunks"] as? Int ?? 0
  }

  @Test("A server that was killed and is back serves chunks again, and the bytes are the same")
  func servesAgain() throws {
    let job = try start(["--replicas", "1"])
    try job.wait(forStep: Self.step(after: 0.1))
    let before = try served(by: "server.1")
    #expect(before > 0)
    try job.send(SIGKILL, to: "server.1")
    try job.wait(forResumption: "server.1 is gone")
    try job.wait(forResumption: "chunks are moved to servers that serve less than others")
    #expect(abs(try served(by: "server.1") - before) <= 1)
    #expect(try job.finish()["parameters_sha256"] as? String == Self.undisturbed)
    for (reason, milliseconds) in job.resumptions { print("training went on after \(milliseconds) ms: \(reason)") }
    #expect(!job.process.wait().errors.contains("goes back to the checkpoint"))
  }

  /// A coordinator that takes the place of one that was killed.
  private func successor(at address: String) throws -> Running {
    let words = ["coordinator", "--job", "\(folder.path)/job.yaml", "--listen", address]
    return try Running(
      words + ["--run-dir", run, "--resume", run, "--json"], environment: ["XDG_RUNTIME_DIR": folder.path])
  }

  @Test("A journal that is long is written anew while the job goes on, and a coordinator goes on from it")
  func shortJournal() throws {
    let (first, address) = try coordinate(servers: 1, workers: 2)
    let members = try ["server", "worker", "worker"].map { try startMember($0, at: address) }
    try #require(first.waitForLine(containing: "the first step begins"), "\(first.wait().errors)")
    first.send(SIGKILL)
    #expect(first.wait().exitCode == 128 + SIGKILL)
    // As long as after days of leases and views.
    do {
      let journal = try RunJournal(folder: run)
      while !journal.isLong {
        journal.append(.totals([EpochTotals(epoch: 0)]))
        try #require(journal.failure == nil)
      }
      journal.append(.totals([]))
      journal.settle()
    }
    let again = try successor(at: address)
    try #require(again.wait { KeyedJob.step($0) >= Self.step(after: 0.5) }, "\(again.wait().errors)")
    again.send(SIGKILL)
    #expect(again.wait().exitCode == 128 + SIGKILL)
    let size = try FileManager.default.attributesOfItem(atPath: "\(run)/journal")[.size] as? Int
    #expect(try #require(size) < RunJournal.defaultBound / 10)
    let last = try successor(at: address)
    let outcome = last.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try outcome.json()["parameters_sha256"] as? String == Self.undisturbed)
    for member in members { #expect(member.wait().exitCode == 0) }
  }

  @Test("A coordinator whose journal is gone comes after the one that members know: the job begins anew, same bytes")
  func lostJournal() throws {
    let (first, address) = try coordinate(servers: 1, workers: 2)
    let members = try ["server", "worker", "worker"].map { try startMember($0, at: address) }
    try #require(first.waitForLine(containing: "the first step begins"), "\(first.wait().errors)")
    first.send(SIGKILL)
    #expect(first.wait().exitCode == 128 + SIGKILL)
    // Members have heard the second.
    let second = try successor(at: address)
    try #require(second.waitForLine(containing: "training goes on after"), "\(second.wait().errors)")
    second.send(SIGKILL)
    #expect(second.wait().exitCode == 128 + SIGKILL)
    try FileManager.default.removeItem(atPath: "\(run)/journal")
    let third = try successor(at: address)
    let outcome = third.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("members have heard a coordinator of term 2"), "\(outcome.errors)")
    #expect(try outcome.json()["parameters_sha256"] as? String == Self.undisturbed)
    for member in members { #expect(member.wait().exitCode == 0) }
  }

  @Test("A job whose disk took the model and not the last checkpoint is told to its end by another coordinator")
  func modelAlone() throws {
    let whole = try Convoy.run(
      ["train", "--max-steps", "8", "--workers", "1", "--transport", "tcp", "--run-dir", run, "--json"])
    #expect(whole.exitCode == 0, "\(whole.errors)")
    // As a coordinator leaves it that is killed while it evaluates.
    for name in ["checkpoints", "summary.json"] { try FileManager.default.removeItem(atPath: "\(run)/\(name)") }
    let words = [
      "coordinator", "--job", "\(run)/job.yaml", "--listen", "tcp://127.0.0.1:0", "--run-dir", run, "--resume",
      run, "--json",
    ]
    let again = try Convoy.run(words)
    // As the one before would have ended: with the result, and a line of what is missing.
    #expect(again.exitCode == 1, "\(again.errors)")
    let step = "the checkpoint of step 8: the disk has the model alone"
    #expect(try again.json()["not_stored"] as? [String] == [step])
    for field in ["parameters_sha256", "buffers_sha256"] {
      #expect(try again.json()[field] as? String == whole.json()[field] as? String)
    }
    #expect(try again.json()["test_accuracy"] as? Double == whole.json()["test_accuracy"] as? Double)
    // Without either there is nothing to tell.
    for name in ["model.safetensors", "summary.json"] { try FileManager.default.removeItem(atPath: "\(run)/\(name)") }
    let gone = try Convoy.run(words)
    #expect(gone.exitCode == 65)
    #expect(gone.errors.contains("its last checkpoint and its model are gone; start a new run"), "\(gone.errors)")
  }
}

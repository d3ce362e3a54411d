import Foundation
import Glibc
import TestSupport
import Testing

/// What a person asks of a job that runs, and who may take a place in it.
extension SurvivalTests {
  /// Asks the run for another mode, and waits until its coordinator says that it is so.
  private func setMode(_ mode: String, _ job: LiveJob) throws {
    let asked = try Convoy.run(["status", run, "--set-mode", mode])
    #expect(asked.exitCode == 0, "\(asked.errors)")
    #expect(asked.errors == "\(mode) from a coming step on\n")
    try job.wait(until: "the mode is \(mode)") { _ in (try? status()["mode"] as? String) == mode }
  }

  @Test("status tells a person and a program how a job does, and what became of one that is over")
  func statusOfJobs() throws {
    let job = try start([])
    try job.wait(forStep: 2)
    let text = try Convoy.run(["status", run])
    #expect(text.exitCode == 0)
    #expect(text.output.contains(/training  step \d+ of \d+  mode sync  view \d+  era 1  0 messages refused/))
    #expect(text.output.contains(/worker\.2  working  step \d+  \d+ shards  heard \d+ ms ago/), "\(text.output)")
    #expect(
      text.output.contains(/server\.0  working  step \d+  serves \d+ chunks, keeps 0 replicas  heard/), "\(text.output)"
    )
    let status = try status()
    #expect(status["steps"] as? Int == Self.steps)
    #expect((status["members"] as? [[String: Any]])?.count == 5)
    #expect((status["missing"] as? [String])?.isEmpty == true)
    let address = try address()
    #expect(try Convoy.run(["status", address, "--token-file", "\(run)/token", "--json"]).exitCode == 0)
    // Another token is another job's.
    let token = "\(folder.path)/other"
    _ = FileManager.default.createFile(
      atPath: token, contents: Data(String(repeating: "ab", count: 16).utf8), attributes: [.posixPermissions: 0o600])
    let stranger = try Convoy.run(["status", address, "--token-file", token])
    #expect(stranger.exitCode != 0)
    #expect(stranger.errors.split(separator: "\n").count == 1)
    let unknown = try Convoy.run(["status", run, "--set-mode", "asinc"])
    #expect(unknown.exitCode == 64)
    #expect(unknown.errors.contains("there is no mode asinc"))
    _ = try job.finish()

    let over = try Convoy.run(["status", run])
    #expect(over.errors == "convoy: the job of \(run) is over: see \(run)/summary.json\n")
    let nobody = try Convoy.run(["status", address])
    #expect(nobody.exitCode == 75)
    #expect(nobody.errors.contains("no coordinator at \(address)"), "\(nobody.errors)")
    let neither = try Convoy.run(["status", "nowhere"])
    #expect(neither.exitCode == 64)
    #expect(neither.errors.contains("nowhere is neither a run folder nor an address"))
  }

  @Test("A running job is switched to async and back to sync, and ends")
  func modes() throws {
    // The workers' places in the order of steps drift apart in async, and a switch is at a step that none has begun.
    let steps = 2 * Self.steps
    let job = try start(["--max-steps", "\(steps)"])
    try job.wait(forStep: 2)
    try setMode("async", job)
    try setMode("sync", job)
    let summary = try job.finish()
    #expect(summary["steps"] as? Int == steps)
    #expect(summary["test_accuracy"] as? Double ?? 0 > 0.6)
    let reasons = job.resumptions.map(\.reason)
    #expect(reasons.contains("the mode is async from now on"), "\(reasons)")
  }

  @Test("A second process with a living one's name is refused by name; with a dead one's name it takes the place")
  func names() throws {
    // The launcher would wait long before it fills the place itself.
    let job = try start(["--restart-backoff", "3600", "--restart-backoff-limit", "3600"])
    try job.wait(forStep: 2)
    let address = try address()
    for (role, name) in [("worker", "worker.1"), ("server", "server.0")] {
      let second = try startMember(role, at: address, name: name).wait()
      #expect(second.exitCode == 77)
      #expect(second.errors.contains("the name \(name) is taken"), "\(second.errors)")
      #expect(second.errors.split(separator: "\n").count == 1, "\(second.errors)")
    }
    try job.send(SIGKILL, to: "worker.1")
    try job.wait(forResumption: "worker.1 is gone: its process has ended")
    let replacement = try startMember("worker", at: address, name: "worker.1")
    try job.wait(until: "the place is filled") { _ in (try? workers()) == 3 }
    #expect(try job.finish()["parameters_sha256"] as? String == Self.undisturbed)
    #expect(replacement.wait().exitCode == 0)
  }

  @Test("A disk that is full for checkpoints fails them loudly; the old one stays, and training ends well")
  func fullDisk() throws {
    let every = Self.step(after: 0.2)
    let job = try start(["--checkpoint-every", "\(every)"], servers: 1, workers: 2)
    try job.wait(forCheckpoint: every)
    // Two checkpoints of 3.5 MB do not fit.
    let checkpoints = "\(run)/checkpoints"
    let aside = "\(folder.path)/aside"
    try FileManager.default.copyItem(atPath: checkpoints, toPath: aside)
    let old = try FileManager.default.contentsOfDirectory(atPath: aside).sorted().last ?? ""
    guard Mount.small(at: checkpoints) else {
      print("not tested: a small file system can be mounted by root only")
      job.process.send(SIGTERM)
      _ = job.process.wait()
      return
    }
    defer { Mount.remove(checkpoints) }
    try FileManager.default.copyItem(atPath: "\(aside)/\(old)", toPath: "\(checkpoints)/\(old)")
    // The model is there, and its last checkpoint is not: the result is shown, and the exit code is no success.
    let outcome = job.process.wait()
    #expect(outcome.exitCode == 1)
    let summary = try outcome.json()
    #expect(summary["parameters_sha256"] as? String == Self.undisturbed)
    let missing = summary["not_stored"] as? [String] ?? []
    #expect(missing.count == 1 && missing[0].hasPrefix("the checkpoint of step \(Self.steps): "), "\(missing)")
    let said = outcome.errors
    #expect(said.contains("convoy: the model is in \(run)/model.safetensors, but "), "\(said)")
    #expect(said.contains("could not be stored: "), "\(said)")
    #expect(said.contains("the disk is full"))
    #expect(job.log("coordinator").contains("could not be stored: "))
    let failed = job.metrics.filter { $0["event"] as? String == "checkpoint_failed" }
    #expect(failed.contains { $0["step"] as? Int == Self.steps })
    let verified = try Convoy.run(["checkpoints", "verify", run, "--json"])
    #expect(verified.exitCode == 0)
    #expect(try verified.json()["newest"] as? String == old)
    #expect(try Convoy.run(["evaluate", "--checkpoint", run, "--data", "fashion-mnist"]).exitCode == 0)
  }
}

/// A small file system in memory, where the tests run as root.
private enum Mount {
  /// Mounts one over a folder; false where that is not allowed.
  static func small(at path: String) -> Bool {
    mount("none", path, "tmpfs", 0, "size=6m") == 0
  }

  static func remove(_ path: String) {
    umount2(path, Int32(MNT_DETACH))
  }
}

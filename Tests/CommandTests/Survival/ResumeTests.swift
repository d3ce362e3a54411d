import Foundation
import Glibc
import TestSupport
import Testing

/// Jobs that go on from what an interrupted run has stored.
extension SurvivalTests {
  /// A run that was stopped with Ctrl-C after some checkpoints, in this test's folder.
  private func interrupted() throws -> [String] {
    let every = Self.step(after: 0.15)
    let job = try start(["--checkpoint-every", "\(every)"])
    try job.wait(forCheckpoint: 2 * every)
    job.process.send(SIGINT)
    let outcome = job.process.wait()
    #expect(outcome.exitCode == 130, "\(outcome.errors)")
    // One that was being written has no manifest.
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(run)/checkpoints").sorted()
      .filter { FileManager.default.fileExists(atPath: "\(run)/checkpoints/\($0)/manifest.json") }
    try #require(names.count >= 2)
    return names
  }

  /// A copy of the interrupted run.
  private func copy(_ name: String) throws -> String {
    let path = "\(folder.path)/\(name)"
    try FileManager.default.copyItem(atPath: run, toPath: path)
    return path
  }

  /// What an attempt to resume that must be refused says; the run's job stays as it was.
  private func refusal(_ arguments: [String], code: Int32 = 65) throws -> String {
    let before = try folder.read("run/job.yaml")
    let outcome = try Convoy.run(["train"] + arguments)
    #expect(outcome.exitCode == code, "\(outcome.errors)")
    #expect(outcome.output.isEmpty)
    #expect(try folder.read("run/job.yaml") == before)
    return outcome.errors.split(separator: "\n").last.map(String.init) ?? ""
  }

  @Test("An interrupted job goes on to the same bytes: as it was, on other counts, and in a folder of its own")
  func resume() throws {
    let checkpoints = try interrupted()
    let newest = try #require(checkpoints.last)
    let other = try copy("other")
    let aside = try copy("aside")

    let same = try LiveJob(resuming: run)
    #expect(try same.finish()["parameters_sha256"] as? String == Self.undisturbed)
    #expect(same.process.wait().errors.contains("the job goes on from the checkpoint of step "))
    #expect(same.metrics.contains { $0["reason"] as? String == "the job was resumed from a checkpoint" })

    let counts = try LiveJob(resuming: other, ["--servers", "1", "--workers", "2"])
    let summary = try counts.finish()
    #expect(summary["parameters_sha256"] as? String == Self.undisturbed)
    #expect(summary["servers"] as? Int == 1)
    #expect(summary["workers"] as? Int == 2)

    // A checkpoint of a run that goes on elsewhere leaves the run as it is.
    let fresh = "\(folder.path)/fresh"
    let named = try LiveJob(resuming: "\(aside)/checkpoints/\(newest)", ["--run-dir", fresh, "--engine", "openblas"])
    let openblas = try named.finish()
    #expect(openblas["engine"] as? String == "openblas")
    #expect(openblas["run_dir"] as? String == fresh)
    #expect(openblas["test_accuracy"] as? Double ?? 0 > 0.7)
    #expect(openblas["parameters_sha256"] as? String != Self.undisturbed)
  }

  @Test("A damaged checkpoint is passed over for the newest good one, and where there is none the job is refused")
  func resumeDamaged() throws {
    let checkpoints = try interrupted()
    let newest = try #require(checkpoints.last)
    try flip("\(run)/checkpoints/\(newest)/model.safetensors")
    let named = try refusal(["--resume", "\(run)/checkpoints/\(newest)", "--run-dir", "\(folder.path)/fresh"])
    #expect(named.contains("\(newest)/model.safetensors: its SHA-256 is "), "\(named)")
    #expect(named.contains("the newest good checkpoint is \(checkpoints[checkpoints.count - 2])"))

    let job = try LiveJob(resuming: try copy("passed-over"))
    #expect(try job.finish()["parameters_sha256"] as? String == Self.undisturbed)
    let said = job.process.wait().errors
    #expect(said.contains("a checkpoint is passed over: \(newest): "), "\(said)")
    #expect(said.contains("the job goes on from the checkpoint of step "))

    for name in checkpoints.dropLast() { try flip("\(run)/checkpoints/\(name)/model.safetensors") }
    let none = try refusal(["--resume", run])
    #expect(none.contains("model.safetensors: its SHA-256 is "), "\(none)")
  }

  @Test("A checkpoint of another network or of a newer format is refused with what it is of, and what to do")
  func resumeForeign() throws {
    let checkpoints = try interrupted()
    let newest = try #require(checkpoints.last)
    let checkpoint = "\(run)/checkpoints/\(newest)"
    let fresh = ["--run-dir", "\(folder.path)/fresh"]
    for arguments in [["--resume", run], ["--resume", checkpoint] + fresh] {
      let said = try refusal(arguments + ["--model", "lenet-5"], code: 78)
      #expect(said.contains("is of lenet, the job of lenet-5: resume with --model lenet"), "\(said)")
      #expect(!FileManager.default.fileExists(atPath: fresh[1]))
    }
    let manifest = try folder.read("run/checkpoints/\(newest)/manifest.json")
    let newer = manifest.replacingOccurrences(of: "\"format_version\" : 1", with: "\"format_version\" : 99")
    #expect(newer != manifest)
    try Data(newer.utf8).write(to: URL(filePath: "\(checkpoint)/manifest.json"))
    let said = try refusal(["--resume", checkpoint] + fresh)
    #expect(said.contains("\(newest)/manifest.json"), "\(said)")
    #expect(said.contains("99"), "\(said)")
    #expect(said.contains("the newest good checkpoint is \(checkpoints[checkpoints.count - 2])"), "\(said)")
    let gone = try refusal(["--resume", "\(run)/checkpoints/step-00000001"])
    #expect(gone.contains("there is no run folder or checkpoint at \(run)/checkpoints/step-00000001"), "\(gone)")
  }

  private func flip(_ path: String) throws {
    var data = try Data(contentsOf: URL(filePath: path))
    data[data.count / 2] ^= 4
    try data.write(to: URL(filePath: path))
  }
}

import Foundation
import Glibc
import TestSupport
import Testing

/// Jobs whose members are started by a real `ssh`, through a real `sshd`, and whose connections are cut at either end.
///
/// `deploy/cut-ssh` does it more often, and also stops either end before.
@Suite(
  .serialized, .timeLimit(.minutes(30)),
  .enabled(
    if: LoopbackSSH.isInstalled,
    "there is no sshd to test with: apt-get install openssh-server, and as root mkdir /run/sshd"))
struct CutSSHTests {
  /// Which end of a connection is killed.
  enum End: String, CaseIterable {
    case client
    case session
  }

  private let folder = TemporaryFolder()

  private func start(_ daemon: LoopbackSSH, _ options: [String], steps: Int = SurvivalTests.steps) throws -> LiveJob {
    _ = SurvivalTests.undisturbed
    let hosts = "\(folder.path)/hosts"
    let line = "127.0.0.1 convoy=\(Convoy.executable.path) dir=\(folder.path) threads=1 interface=lo\n"
    try Data(line.utf8).write(to: URL(filePath: hosts))
    let words = daemon.options()
    let ssh = stride(from: 0, to: words.count, by: 2).flatMap { ["--ssh-option", "\(words[$0]) \(words[$0 + 1])"] }
    // The job's own, but for the steps.
    var arguments = Array(SurvivalTests.arguments.dropLast(2)) + ["--max-steps", "\(steps)"]
    arguments += ["--servers", "2", "--workers", "2", "--replicas", "1", "--hosts", hosts]
    return try LiveJob(arguments + ssh + options, run: "\(folder.path)/run")
  }

  /// The process to kill for one end of a member's connection; nil while there is none.
  private func process(_ end: End, of name: String, _ job: LiveJob) -> pid_t? {
    func words(_ process: pid_t) -> String {
      (FileManager.default.contents(atPath: "/proc/\(process)/cmdline") ?? Data()).split(separator: 0)
        .map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
    }
    switch end {
    case .client:
      return children(of: job.process.identifier).first { child in
        let words = words(child)
        return words.hasPrefix("ssh ") && words.contains(" --name \(name) ")
      }
    case .session:
      let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
      let members = names.compactMap { pid_t($0) }.filter { process in
        let place = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/cwd")
        return place == folder.path && words(process).contains(" --name \(name) ")
      }
      let parents = members.compactMap { member -> pid_t? in
        let status = (try? String(contentsOfFile: "/proc/\(member)/status", encoding: .utf8)) ?? ""
        return status.firstMatch(of: /PPid:\s+(\d+)/).flatMap { pid_t($0.1) }
      }
      // An orphan that has not left yet has another parent.
      return parents.first { words($0).contains("sshd") }
    }
  }

  /// Kills one end of a member's connection, once there is one. Throws where the job ends before.
  private func cut(_ end: End, of name: String, _ job: LiveJob) throws {
    var found: pid_t?
    try job.wait(until: "\(name) has a \(end)") { job in
      found = process(end, of: name, job)
      return found != nil
    }
    #expect(kill(try #require(found), SIGKILL) == 0)
  }

  /// Whether processes that ran on the "other host" are all gone.
  private func isDeserted() -> Bool {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    let watched = names.compactMap { pid_t($0) }.filter { process in
      let place = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/cwd")
      return place == folder.path
    }.compactMap { Watched($0) }
    return watched.allSatisfy { $0.ends(withinSeconds: 60) }
  }

  @Test("Connections of workers and servers are cut at either end, from before the first step on: the same bytes")
  func sameBytes() throws {
    let daemon = try LoopbackSSH()
    let job = try start(daemon, ["--restarts", "1000", "--restart-backoff", "0.05", "--restart-backoff-limit", "0.2"])
    // The first comes as soon as there is a connection that stands.
    try job.wait(until: "worker.1 is connected") { $0.log("worker.1").contains("connected") }
    try cut(.client, of: "worker.1", job)
    let cuts: [(name: String, end: End)] = [
      ("worker.0", .session), ("server.0", .client), ("worker.1", .session), ("server.1", .session),
      ("worker.0", .client), ("server.0", .session), ("server.1", .client),
    ]
    var done = 1
    do {
      for (index, cut) in cuts.enumerated() {
        try job.wait(forStep: SurvivalTests.step(after: 0.1 * Double(index + 1)))
        try self.cut(cut.end, of: cut.name, job)
        done += 1
      }
    } catch let error as LiveJob.EndedEarly {
      // A job may be over before the last cuts, on a machine that starts processes slowly; not before each kind came.
      try #require(done >= 5, "\(error)")
    }
    #expect(try job.finish()["parameters_sha256"] as? String == SurvivalTests.undisturbed)
    let said = job.process.wait().errors
    #expect(said.contains("lost its ssh client, which was ended by signal 9 (Killed): restart"), "\(said)")
    #expect(said.contains("lost its ssh connection or was killed there: ssh ended with exit code 255: restart"))
    #expect(isDeserted())
  }

  @Test(
    "A cut connection whose restarts are used up ends the job with that reason: host, process and how",
    arguments: [
      ("worker.0", End.session, "lost its ssh connection or was killed there: ssh ended with exit code 255; "),
      ("server.1", .client, "lost its ssh client, which was ended by signal 9 (Killed); "),
    ])
  func usedUp(name: String, end: End, reason: String) throws {
    let daemon = try LoopbackSSH()
    // Long enough that it is not over before the launcher sees the end of its ssh.
    let job = try start(daemon, ["--restarts", "0"], steps: 100_000)
    try job.wait(forStep: 1)
    try cut(end, of: name, job)
    let outcome = job.process.wait()
    #expect(outcome.exitCode == 1)
    #expect(outcome.errors.contains("convoy: \(name) on 127.0.0.1 \(reason)"), "\(outcome.errors)")
    #expect(isDeserted())
  }
}

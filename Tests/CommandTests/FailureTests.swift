import Foundation
import Glibc
import ParameterServer
import Runtime
import TestSupport
import Testing
import Transport

/// What happens when processes die, people stop a job, and strangers speak to it.
@Suite(.serialized, .timeLimit(.minutes(30))) struct FailureTests {
  /// Starts a job that would take long, and waits until it trains.
  private func start(
    _ folder: TemporaryFolder, transport: String = "ipc", options: [String] = []
  ) throws -> (job: Running, members: [String: pid_t]) {
    let job = try Running(
      [
        "train", "--servers", "2", "--workers", "2", "--epochs", "1000", "--transport", transport, "--run-dir",
        "\(folder.path)/run",
      ] + options, environment: ["TMPDIR": "\(folder.path)/"])
    try #require(job.waitForLine(containing: "the first step begins"), "\(job.wait().errors)")
    return (job, members(of: job))
  }

  /// The job's processes by name, as their command lines tell.
  private func members(of job: Running) -> [String: pid_t] {
    var members: [String: pid_t] = [:]
    for child in children(of: job.identifier) {
      let line = (try? String(contentsOfFile: "/proc/\(child)/cmdline", encoding: .utf8)) ?? ""
      let words = line.split(separator: "\0").map(String.init)
      let name = words.firstIndex(of: "--name").map { words[$0 + 1] } ?? "coordinator"
      members[name] = child
    }
    return members
  }

  /// Whether nothing of a job is left but its run folder.
  private func expectNothingLeft(_ folder: TemporaryFolder, _ watched: [Watched]) throws {
    for process in watched { #expect(process.ends(withinSeconds: 5)) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["run"])
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run/token"))
  }

  @Test(
    "Without restarts, a process that dies ends the job with a line that names it",
    arguments: ["worker.1", "server.0", "coordinator"])
  func death(_ name: String) throws {
    let folder = TemporaryFolder()
    let (job, members) = try start(folder, options: ["--restarts", "0"])
    #expect(members.count == 5)
    let watched = members.values.compactMap { Watched($0) }
    kill(try #require(members[name]), SIGKILL)
    let outcome = job.wait()
    #expect(outcome.exitCode == 1)
    let line = try #require(outcome.errors.split(separator: "\n").last { $0.hasPrefix("convoy: ") })
    #expect(line.hasPrefix("convoy: \(name) was ended by signal 9 (Killed)"), "\(line)")
    #expect(line.contains("its last words: "))
    try expectNothingLeft(folder, watched)
  }

  @Test(
    "Ctrl-C and SIGTERM stop everything and say so", arguments: [(SIGINT, "SIGINT", 130), (SIGTERM, "SIGTERM", 143)])
  func interruption(_ signal: Int32, _ name: String, _ code: Int32) throws {
    let folder = TemporaryFolder()
    let (job, members) = try start(folder, transport: "tcp")
    let watched = members.values.compactMap { Watched($0) }
    job.send(signal)
    let outcome = job.wait()
    #expect(outcome.exitCode == code)
    #expect(outcome.errors.contains("stopped by \(name): ending 5 processes"))
    try expectNothingLeft(folder, watched)
  }

  @Test("When the launcher is killed, its processes leave and their sockets go")
  func launcherKilled() throws {
    let folder = TemporaryFolder()
    let (job, members) = try start(folder)
    let watched = members.values.compactMap { Watched($0) }
    job.send(SIGKILL)
    for process in watched { #expect(process.ends(withinSeconds: 5)) }
    #expect(job.wait().exitCode == 128 + SIGKILL)
    let left = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []
    #expect(!left.contains { $0.hasPrefix("convoy-") && $0.contains("/") }, "\(left)")
  }

  @Test("A worker that cannot reach its coordinator says the address and gives up")
  func unreachable() throws {
    let folder = TemporaryFolder()
    let token = "\(folder.path)/token"
    _ = FileManager.default.createFile(
      atPath: token, contents: Data(String(repeating: "ab", count: 16).utf8), attributes: [.posixPermissions: 0o600])
    // A port that was free a moment ago.
    let hub = try Strangers.holder(of: #require(JobToken([UInt8](repeating: 1, count: 16)))).makeHub(
      HubLimits(maximumFrameBytes: 1024, maximumFrames: 2, maximumQueuedMessages: 16))
    let address = try hub.listen(on: .tcp(host: "127.0.0.1", port: 0))
    hub.close(lingerMilliseconds: 0)
    let outcome = try Convoy.run([
      "worker", "--coordinator", "\(address)", "--token-file", token, "--join-timeout", "1",
    ])
    #expect(outcome.exitCode == 75)
    #expect(outcome.errors.contains("\(address)"))
    #expect(outcome.errors.contains("did not answer within 1 s"))
  }

  @Test("A port in use is named with its address")
  func portInUse() throws {
    let folder = TemporaryFolder()
    let job = "\(folder.path)/job.yaml"
    try Data("workers: 1\n".utf8).write(to: URL(fileURLWithPath: job))
    let hub = try Strangers.holder(of: #require(JobToken([UInt8](repeating: 1, count: 16)))).makeHub(
      HubLimits(maximumFrameBytes: 1024, maximumFrames: 2, maximumQueuedMessages: 16))
    let address = try hub.listen(on: .tcp(host: "127.0.0.1", port: 0))
    let outcome = try Convoy.run([
      "coordinator", "--job", job, "--listen", "\(address)", "--run-dir", "\(folder.path)/run",
    ])
    #expect(outcome.exitCode == 78)
    #expect(outcome.errors.contains("\(address) is in use"))
    hub.close(lingerMilliseconds: 0)
  }

  @Test("An address that other machines reach is refused", arguments: ["tcp://0.0.0.0:5555", "tcp://192.0.2.1:5555"])
  func notLoopback(_ address: String) throws {
    let folder = TemporaryFolder()
    let job = "\(folder.path)/job.yaml"
    try Data("workers: 1\n".utf8).write(to: URL(fileURLWithPath: job))
    let coordinator = try Convoy.run([
      "coordinator", "--job", job, "--listen", address, "--run-dir", "\(folder.path)/run",
    ])
    #expect(coordinator.exitCode == 77)
    #expect(
      coordinator.errors.contains(
        "\(address) is no loopback address, and without keys whoever learns the job's token there could pose as any member"
      ))
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run"))
    let worker = try Convoy.run(["worker", "--coordinator", address, "--token-file", "\(folder.path)/none"])
    #expect(worker.exitCode == 77)
  }

  @Test("Strangers' messages are refused and counted, and the coordinator goes on, saying who is missing")
  func strangers() throws {
    let folder = TemporaryFolder()
    let job = "\(folder.path)/job.yaml"
    try Data("workers: 1\nmax-steps: 2\n".utf8).write(to: URL(fileURLWithPath: job))
    let environment = ["XDG_RUNTIME_DIR": folder.path]
    let coordinator = try Running(
      ["coordinator", "--job", job, "--listen", "tcp://127.0.0.1:0", "--run-dir", "\(folder.path)/run"],
      environment: environment)
    #expect(coordinator.waitForLine(containing: "listens on tcp://"))
    let line = try #require(coordinator.line(containing: "listens on tcp://"))
    let address = String(try #require(line.firstMatch(of: /tcp:\/\/[0-9.:]+/)).0)
    try Strangers.speak(to: address, token: TokenFile.read("\(folder.path)/run/token"))
    #expect(coordinator.waitForLine(containing: "waiting for server.0, worker.0"))
    let members = try ["server", "worker"].map {
      try Running([$0, "--coordinator", address], environment: environment)
    }
    for member in members { #expect(member.wait().exitCode == 0) }
    let outcome = coordinator.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("messages were refused"))
  }
}

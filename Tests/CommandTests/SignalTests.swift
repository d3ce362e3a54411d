import Foundation
import Glibc
import TestSupport
import Testing

/// Signals as a shell sends them, and what is left after a launcher that had no time to clean up.
@Suite(.serialized, .timeLimit(.minutes(30))) struct SignalTests {
  /// Starts a command with no signal blocked, as a shell does. The threads that tests run on block them all, and what
  /// they start inherits that.
  private func startUnblocked(_ arguments: [String], environment: [String: String]) throws -> Running {
    var none = sigset_t()
    var earlier = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &earlier)
    defer { pthread_sigmask(SIG_SETMASK, &earlier, nil) }
    return try Running(arguments, environment: environment)
  }

  private func startTraining(_ folder: TemporaryFolder) throws -> (job: Running, watched: [Watched]) {
    let job = try startUnblocked(
      ["train", "--epochs", "1000", "--run-dir", "\(folder.path)/run"],
      // The library's own threads exist before the program's first line.
      environment: ["TMPDIR": "\(folder.path)/", "OPENBLAS_NUM_THREADS": "2"])
    try #require(job.waitForLine(containing: "the first step begins"), "\(job.wait().errors)")
    return (job, children(of: job.identifier).compactMap { Watched($0) })
  }

  @Test(
    "A signal is heard although the library's threads do not block it",
    arguments: [(SIGINT, 130), (SIGTERM, 143)] as [(Int32, Int32)])
  func heard(signal: Int32, code: Int32) throws {
    let folder = TemporaryFolder()
    let (job, watched) = try startTraining(folder)
    #expect(watched.count == 4)
    job.send(signal)
    let outcome = job.wait()
    #expect(outcome.exitCode == code)
    #expect(outcome.errors.contains("ending 4 processes"))
    for process in watched { #expect(process.ends(withinSeconds: 5)) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["run"])
  }

  @Test(
    "A signal to the whole process group, as when a terminal is closed, leaves no socket, token or address",
    arguments: [(SIGHUP, 129), (SIGTERM, 143)] as [(Int32, Int32)])
  func group(signal: Int32, code: Int32) throws {
    let folder = TemporaryFolder()
    let (job, watched) = try startTraining(folder)
    let process = job.identifier
    try #require(getpgid(process) == process && children(of: process).allSatisfy { getpgid($0) == process })
    kill(-process, signal)
    #expect(job.wait().exitCode == code)
    for process in watched { #expect(process.ends(withinSeconds: 5)) }
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/run")
    #expect(!left.contains("token") && !left.contains("address"), "\(left)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["run"])
  }

  @Test("A coordinator that is told to stop twice leaves no socket, token or address")
  func twice() throws {
    let folder = TemporaryFolder()
    try Data("workers: 1\n".utf8).write(to: URL(filePath: "\(folder.path)/job.yaml"))
    let run = "\(folder.path)/run"
    let coordinator = try startUnblocked(
      ["coordinator", "--job", "\(folder.path)/job.yaml", "--listen", "ipc://\(folder.path)/s", "--run-dir", run],
      environment: ["XDG_RUNTIME_DIR": folder.path])
    try #require(coordinator.waitForLine(containing: "listens on"), "\(coordinator.wait().errors)")
    let joined = try Running(
      ["server", "--coordinator", "ipc://\(folder.path)/s", "--token-file", "\(run)/token"])
    try #require(coordinator.waitForLine(containing: "server.0 has joined"))
    // A member that does not answer makes the coordinator wait before it leaves.
    joined.send(SIGSTOP)
    coordinator.send(SIGTERM)
    coordinator.send(SIGHUP)
    #expect([129, 143].contains(coordinator.wait().exitCode))
    joined.send(SIGKILL)
    _ = joined.wait()
    let left = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    #expect(!left.contains { $0 == "s" || $0.hasSuffix("token") || $0.hasSuffix("address") }, "\(left)")
  }

  @Test("Under nohup the end of the terminal ends nothing")
  func nohup() throws {
    let folder = TemporaryFolder()
    let job = try Running(
      ["train", "--max-steps", "60", "--run-dir", "\(folder.path)/run"], behind: ["/usr/bin/nohup"])
    try #require(job.waitForLine(containing: "the first step begins"), "\(job.wait().errors)")
    kill(-job.identifier, SIGHUP)
    let outcome = job.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
  }

  @Test("When the launcher is killed, the last of its processes takes the folder of their sockets away")
  func socketFolder() throws {
    let folder = TemporaryFolder()
    let (job, watched) = try startTraining(folder)
    job.send(SIGKILL)
    for process in watched { #expect(process.ends(withinSeconds: 5)) }
    _ = job.wait()
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["run"])
  }

  @Test("An unknown command under models names the nearest")
  func modelsCommand() throws {
    let outcome = try Convoy.run(["models", "shwo"])
    #expect(outcome.exitCode == 64)
    #expect(outcome.errors == "convoy: there is no command models shwo; did you mean show?\n")
    #expect(outcome.output.isEmpty)
  }
}

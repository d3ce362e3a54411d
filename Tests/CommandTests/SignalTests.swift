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

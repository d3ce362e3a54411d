import Foundation
import Glibc
import TestSupport
import Testing

/// Whatever state a process inherits from whoever starts it, a job goes as ever.
@Suite(.serialized, .timeLimit(.minutes(30))) struct InheritedStateTests {
  private static let job = ["train", "--max-steps", "2", "--workers", "1", "--shards", "1", "--batch", "32"]

  private let folder = TemporaryFolder()
  private var run: String { "\(folder.path)/run" }

  /// The words that have a shell do something to itself before it becomes the program.
  private func shell(_ line: String, closing: String = "") -> [String] {
    ["/bin/sh", "-c", "\(line)\nexec \"$0\" \"$@\" \(closing)"]
  }

  @Test("A job ends although SIGCHLD is ignored and signals are blocked")
  func ignoredSignals() throws {
    let outcome = try Convoy.run(
      Self.job + ["--run-dir", run],
      behind: [
        "/usr/bin/env", "--ignore-signal=CHLD", "--ignore-signal=PIPE", "--block-signal=CHLD", "--block-signal=TERM",
      ])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("test accuracy"))
  }

  @Test(
    "Closed standard descriptors are as good as /dev/null",
    arguments: ["<&- >&- 2>&-", "<&-", ">&-", "2>&-", "<&- >&-"])
  func closedDescriptors(closing: String) throws {
    // What is opened first has the lowest number: no pipe of the job's may be taken for standard output.
    let outcome = try Convoy.run(["models", "show", "lenet", "--json"], behind: shell("", closing: closing))
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    guard closing.hasPrefix("<&- >&-") else { return }
    let trained = try Convoy.run(Self.job + ["--run-dir", run], behind: shell("", closing: closing))
    #expect(trained.exitCode == 0, "\(trained.errors)")
    #expect(try folder.read("run/summary.json").contains("\"steps\":2"))
  }

  @Test("With any umask the owner may use the files of a run")
  func umask() throws {
    let outcome = try Convoy.run(Self.job + ["--run-dir", run], behind: shell("umask 0777"))
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    for name in [".", "job.yaml", "logs", "logs/worker.0.log", "summary.json", "checkpoints", "model.safetensors"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(run)/\(name)")
      let mode = try #require(attributes[.posixPermissions] as? Int)
      #expect(mode & 0o600 == 0o600, "\(name) has mode \(String(mode, radix: 8))")
      #expect(mode & 0o077 == 0, "\(name) has mode \(String(mode, radix: 8))")
    }
  }

  @Test("What a limit keeps from being written is an error that is told, and no signal ends a process")
  func fileSize() throws {
    let job = try Running(
      Self.job + ["--run-dir", run], behind: shell("ulimit -f 100"))
    #expect(job.waitForLine(containing: "File too large"), "\(job.wait().errors)")
    job.send(SIGTERM)
    let outcome = job.wait()
    #expect(outcome.exitCode == 143)
    #expect(!outcome.errors.contains("signal 25"), "\(outcome.errors)")
  }

  @Test("A small limit of descriptors is raised as far as it may be")
  func descriptors() throws {
    let outcome = try Convoy.run(Self.job + ["--run-dir", run], behind: shell("ulimit -S -n 16"))
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
  }

  @Test("Without any environment a job goes as ever")
  func noEnvironment() throws {
    let outcome = try Convoy.run(Self.job + ["--run-dir", run], behind: ["/usr/bin/env", "-i"])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
  }
}

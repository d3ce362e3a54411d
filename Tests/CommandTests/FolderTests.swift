import Foundation
import Glibc
import TestSupport
import Testing

/// Folders that the environment or the person names, which cannot be used, or have odd names.
@Suite(.serialized, .timeLimit(.minutes(30))) struct FolderTests {
  private static let job = ["--max-steps", "2", "--workers", "1", "--shards", "1", "--batch", "32"]

  private let folder = TemporaryFolder()

  /// A folder with a name of so many bytes, or one with a space.
  private func make(_ name: String) throws -> String {
    let path = "\(folder.path)/\(name)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  @Test("A job trains whatever TMPDIR is, and says where its sockets are", arguments: ["long", "space", "none"])
  func temporaryFolder(kind: String) throws {
    let path =
      switch kind {
      case "long": try make(String(repeating: "n", count: 110))
      case "space": try make("a b")
      default: "\(folder.path)/none"
      }
    let outcome = try Convoy.run(
      ["train"] + Self.job + ["--run-dir", "\(folder.path)/run"], environment: ["TMPDIR": path])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let line = outcome.errors.firstMatch(of: /the job's sockets are in (\/\S+): (.*)/)
    #expect(line?.2.hasPrefix("\(path) cannot hold sockets: ") == true, "\(outcome.errors)")
    // They are gone, and what was named is as it was.
    #expect(try !FileManager.default.fileExists(atPath: String(#require(line).1)))
    #expect((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] == [])
  }

  @Test("Members find a coordinator's token although XDG_RUNTIME_DIR is not there")
  func sharedToken() throws {
    let environment = ["XDG_RUNTIME_DIR": "\(folder.path)/none", "TMPDIR": folder.path]
    try Data("workers: 1\nshards: 1\nbatch: 32\nmax-steps: 2\n".utf8).write(
      to: URL(filePath: "\(folder.path)/job.yaml"))
    let coordinator = try Running(
      [
        "coordinator", "--job", "\(folder.path)/job.yaml", "--listen", "tcp://127.0.0.1:0", "--run-dir",
        "\(folder.path)/run",
      ], environment: environment)
    try #require(coordinator.waitForLine(containing: "the job's token is in"), "\(coordinator.wait().errors)")
    let address = try folder.read("run/address").trimmingCharacters(in: .whitespacesAndNewlines)
    #expect(try Convoy.run(["status", address], environment: environment).exitCode == 0)
    let members = try ["server", "worker"].map {
      try Running([$0, "--coordinator", address], environment: environment)
    }
    let outcome = coordinator.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    for member in members { #expect(member.wait().exitCode == 0) }
    let left = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    #expect(!left.contains { $0.hasSuffix(".token") }, "\(left)")
  }

  @Test("A run folder may have any name that a file may have")
  func oddRunFolder() throws {
    let odd = "tcp:; 'ü\" $x\\\n" + String(repeating: "n", count: 200)
    let run = "\(folder.path)/\(odd)/run"
    let outcome = try Convoy.run(
      ["train"] + Self.job + ["--run-dir", run, "--json"], environment: ["CONVOY_STATE_DIR": "\(folder.path)/none"])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try outcome.json()["run_dir"] as? String == run)
    let evaluated = try Convoy.run(["evaluate", "--checkpoint", run, "--data", "fashion-mnist"])
    #expect(evaluated.exitCode == 0, "\(evaluated.errors)")
    #expect(try Convoy.run(["checkpoints", "verify", run]).exitCode == 0)
  }
}

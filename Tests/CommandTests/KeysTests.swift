import Foundation
import Testing

/// `convoy keys`.
@Suite(.timeLimit(.minutes(30))) struct KeysTests {
  @Test("keys makes a folder of keys, says what a host needs, and prints no secret")
  func make() throws {
    let folder = TemporaryFolder()
    let keys = "\(folder.path)/keys"
    let outcome = try Convoy.run(["keys", keys, "--servers", "1", "--workers", "2", "--json"])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(outcome.errors.isEmpty)
    let report = try outcome.json()
    #expect(report["folder"] as? String == keys && report["token"] as? String == "\(keys)/token")
    let made = try #require(report["keys"] as? [[String: Any]])
    #expect(
      made.compactMap { $0["name"] as? String } == ["coordinator", "server.0", "worker.0", "worker.1", "client"])
    #expect(made[2]["host_files"] as? [String] == ["allowed", "token", "worker.0.key"])
    let secret = try #require(folder.read("keys/worker.0.key").split(separator: "\n").last?.split(separator: " ").last)
    let second = try Convoy.run(["keys", "\(folder.path)/more"])
    #expect(second.exitCode == 0)
    #expect(second.output.contains("keys of coordinator, server.0, worker.0 to worker.1, client are in "))
    #expect(second.output.contains("allowed, token, and the .key files"))
    let theirs = try #require(folder.read("more/client.key").split(separator: "\n").last?.split(separator: " ").last)
    #expect(!outcome.output.contains(secret) && !second.output.contains(theirs))
  }

  @Test("keys overwrites nothing, and refuses numbers that no job has")
  func refusals() throws {
    let folder = TemporaryFolder()
    try Data("mine".utf8).write(to: URL(fileURLWithPath: "\(folder.path)/notes.txt"))
    let outcome = try Convoy.run(["keys", folder.path])
    #expect(outcome.exitCode == 78)
    #expect(
      outcome.errors
        == "convoy: the key folder \(folder.path) is not empty (it has notes.txt): keys are never overwritten; name another folder\n"
    )
    let none = try Convoy.run(["keys", "\(folder.path)/keys", "--workers", "0"])
    #expect(none.exitCode == 64)
    #expect(none.errors.contains("--workers: 0 is no whole number from 1 to 1024"))
    #expect(try Convoy.run(["keys"]).exitCode == 64)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["notes.txt"])
  }
}

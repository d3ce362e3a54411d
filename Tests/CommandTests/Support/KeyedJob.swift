import Foundation
import Testing

/// A job with keys whose processes a test starts one by one: the folder of its files, and the coordinator.
final class KeyedJob {
  let folder = TemporaryFolder()
  /// The coordinator.
  let coordinator: Running
  /// Where it listens.
  let address: String

  var keys: String { "\(folder.path)/keys" }

  /// Makes keys and a job file and starts a coordinator.
  ///
  /// - Parameters:
  ///   - job: the job file.
  ///   - host: the coordinator's address.
  ///   - prefix: the words of a program that runs the coordinator elsewhere.
  init(_ job: String, servers: Int, workers: Int, host: String = "127.0.0.1", behind prefix: [String] = []) throws {
    let made = try Convoy.run(["keys", "\(folder.path)/keys", "--servers", "\(servers)", "--workers", "\(workers)"])
    try #require(made.exitCode == 0, "\(made.errors)")
    try Data(job.utf8).write(to: URL(filePath: "\(folder.path)/job.yaml"))
    coordinator = try Running(
      [
        "coordinator", "--job", "\(folder.path)/job.yaml", "--listen", "tcp://\(host):0", "--run-dir",
        "\(folder.path)/run", "--keys", "\(folder.path)/keys", "--json",
      ], behind: prefix)
    try #require(coordinator.waitForLine(containing: "listens on tcp://"), "\(coordinator.wait().errors)")
    let line = try #require(coordinator.line(containing: "listens on tcp://"))
    address = String(try #require(line.firstMatch(of: /tcp:\/\/[0-9.:]+/)).0)
  }

  deinit {
    coordinator.send(SIGKILL)
  }

  /// Starts a member by its name.
  func start(_ name: String, behind prefix: [String] = []) throws -> Running {
    try Running(words(name, keys), behind: prefix)
  }

  /// A member's command line, with keys of a folder.
  func words(_ name: String, _ keys: String) -> [String] {
    ["\(name.prefix { $0 != "." })", "--coordinator", address, "--keys", keys, "--name", name]
  }

  /// A folder of keys by which a worker.0 knows the coordinator, and the coordinator does not know it.
  func forgedKeys() throws -> String {
    let forged = "\(folder.path)/forged"
    if FileManager.default.fileExists(atPath: forged) { return forged }
    let made = try Convoy.run(["keys", forged])
    try #require(made.exitCode == 0)
    let own = try folder.read("forged/allowed").split(separator: "\n").first { $0.hasPrefix("worker.0 ") }
    let lines = try folder.read("keys/allowed").split(separator: "\n").map {
      $0.hasPrefix("worker.0 ") ? own ?? "" : $0
    }
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: "\(forged)/allowed"))
    try Data(folder.read("keys/token").utf8).write(to: URL(filePath: "\(forged)/token"))
    return forged
  }

  /// What `convoy status` says, by name.
  func status(behind prefix: [String] = []) throws -> [String: Any] {
    let outcome = try Convoy.run(["status", address, "--keys", keys, "--json"], behind: prefix)
    try #require(outcome.exitCode == 0, "\(outcome.errors)")
    return try outcome.json()
  }

  /// The newest step that the coordinator has told.
  static func step(_ lines: [Substring]) -> Int {
    lines.compactMap { $0.firstMatch(of: /step (\d+)\//).flatMap { Int($0.1) } }.last ?? 0
  }
}

import Foundation
import Glibc
import TestSupport
import Testing

/// Real jobs whose processes are killed, frozen, added, sent away and replaced, and whose result has the same bytes.
@Suite(.serialized, .timeLimit(.minutes(30))) struct SurvivalTests {
  /// What all jobs here train; the steps are enough for some seconds on the machine at hand, so that there is time to
  /// join and to leave. The learning rate is one that trains whatever the steps: with the usual one the schedules of some
  /// numbers of steps, as of 271 and 317, diverge with batches as small.
  static let arguments = [
    "--shards", "4", "--batch", "32", "--seed", "3", "--learning-rate", "0.01", "--max-steps", "\(steps)",
  ]
  static let steps = measuredSteps()

  /// What the same job ends in when nobody disturbs it.
  static let undisturbed: String = {
    let folder = TemporaryFolder()
    let run = ["--workers", "1", "--transport", "inproc", "--json", "--run-dir", "\(folder.path)/run"]
    let outcome = try! Convoy.run(["train"] + arguments + run)
    // Where it failed, the tests that compare with it say how.
    let digest = (try? outcome.json())?["parameters_sha256"] as? String
    return digest ?? "exit code \(outcome.exitCode): \(outcome.output)\(outcome.errors)"
  }()

  private static func measuredSteps() -> Int {
    let folder = TemporaryFolder()
    let outcome = try! Convoy.run([
      "train", "--shards", "4", "--batch", "32", "--max-steps", "30", "--workers", "1", "--transport", "inproc",
      "--run-dir", "\(folder.path)/run", "--json",
    ])
    let images = (try? outcome.json())?["images_per_second"] as? Double ?? 0
    return min(max(Int(images / 32 * 6), 160), 1200)
  }

  /// A step after a share of the job.
  static func step(after share: Double) -> Int { Int(Double(steps) * share) }

  let folder = TemporaryFolder()
  var run: String { "\(folder.path)/run" }

  func start(_ options: [String], servers: Int = 2, workers: Int = 3) throws -> LiveJob {
    // Both are measured before the job begins: not beside it.
    _ = Self.undisturbed
    return try LiveJob(
      Self.arguments + ["--servers", "\(servers)", "--workers", "\(workers)"] + options, run: run)
  }

  /// A job by hand: its coordinator, and the address.
  func coordinate(servers: Int, workers: Int) throws -> (coordinator: Running, address: String) {
    _ = Self.undisturbed
    let job = "\(folder.path)/job.yaml"
    let text = "servers: \(servers)\nworkers: \(workers)\nshards: 4\nbatch: 32\nseed: 3\nlearning-rate: 0.01\n"
    try Data((text + "max-steps: \(Self.steps)\n").utf8).write(to: URL(filePath: job))
    let coordinator = try Running(
      ["coordinator", "--job", job, "--listen", "tcp://127.0.0.1:0", "--run-dir", run, "--json"],
      environment: ["XDG_RUNTIME_DIR": folder.path])
    try #require(coordinator.waitForLine(containing: "listens on tcp://"), "\(coordinator.wait().errors)")
    let line = try #require(coordinator.line(containing: "listens on tcp://"))
    return (coordinator, String(try #require(line.firstMatch(of: /tcp:\/\/[0-9.:]+/)).0))
  }

  /// A member by hand, for the job of this test's run folder.
  func startMember(_ role: String, at address: String, name: String? = nil) throws -> Running {
    try Running(
      [role, "--coordinator", address, "--token-file", "\(run)/token"] + (name.map { ["--name", $0] } ?? []))
  }

  /// Where the coordinator of the run is.
  func address() throws -> String {
    try folder.read("run/address").trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// What `convoy status` says of the run.
  func status() throws -> [String: Any] { try Convoy.run(["status", run, "--json"]).json() }

  /// How many workers the job has, as `convoy status` says.
  func workers() throws -> Int {
    let members = try status()["members"] as? [[String: Any]] ?? []
    return members.count {
      ($0["place"] as? String)?.hasPrefix("worker") == true && $0["state"] as? String == "working"
    }
  }

  // MARK: Deaths

  @Test(
    "A worker, a server and the coordinator are killed in turn, with replicas or by way of checkpoints: the same bytes",
    arguments: [["--replicas", "1"], ["--checkpoint-every", "20"]])
  func kills(options: [String]) throws {
    let job = try start(options)
    for (name, share) in [("worker.1", 0.1), ("server.0", 0.4), ("coordinator", 0.7)] {
      try job.wait(forStep: Self.step(after: share))
      try job.send(SIGKILL, to: name)
      let line = "\(name) was ended by signal 9 (Killed): restart 1 in 0.2 s, 9 left"
      #expect(job.process.waitForLine(containing: line))
    }
    let summary = try job.finish()
    #expect(summary["parameters_sha256"] as? String == Self.undisturbed)
    #expect(summary["steps"] as? Int == Self.steps)

    // How long each cost is in the metrics, and said.
    let hasReplicas = options == ["--replicas", "1"]
    let reasons = job.resumptions.map(\.reason)
    for (reason, milliseconds) in job.resumptions { print("training went on after \(milliseconds) ms: \(reason)") }
    #expect(reasons.contains { $0.hasPrefix("worker.1 is gone: its process has ended") })
    #expect(
      reasons.contains {
        hasReplicas ? $0.hasPrefix("server.0 is gone") : $0 == "the job went back to its last checkpoint"
      }, "\(reasons)")
    let said = job.process.wait().errors
    #expect(said.contains("training goes on after "))
    #expect(said.contains("the job goes back to the checkpoint of step ") == !hasReplicas, "\(said)")
    #expect(!said.contains("refused"), "\(said)")
    // What was under way to the view before is counted, and no line for a person.
    for name in ["server.0", "server.1", "coordinator"] { #expect(!job.log(name).contains("refused: view")) }
    #expect(job.metrics.last { $0["event"] as? String == "progress" }?["step"] as? Int == Self.steps)
  }

  @Test("A worker that was frozen until it was removed is fenced and comes back as another life: the same bytes")
  func zombie() throws {
    let job = try start([])
    try job.wait(forStep: Self.step(after: 0.1))
    try job.send(SIGSTOP, to: "worker.1")
    // Heartbeats say that it is silent; nobody's process has ended.
    try job.wait(forResumption: "worker.1 is gone: silent for")
    try job.send(SIGCONT, to: "worker.1")
    #expect(try job.finish()["parameters_sha256"] as? String == Self.undisturbed)
    #expect(job.log("worker.1").contains("comes back as another life"))
    #expect(!job.log("launcher").contains("now\n"), "the launcher started nothing again")
    #expect(job.log("coordinator").components(separatedBy: "worker.1 has joined").count > 2)
  }

  // MARK: Growing and shrinking

  @Test("A job grows from one worker to four and shrinks to two, and the bytes are the same")
  func elastic() throws {
    let job = try start(["--restarts", "5"], servers: 1, workers: 1)
    try job.wait(forStep: 1)
    let address = try address()
    let added = try (0..<3).map { _ in try startMember("worker", at: address) }
    try job.wait(until: "there are four workers") { _ in (try? workers()) == 4 }
    try job.send(SIGTERM, to: "worker.0")
    added[0].send(SIGTERM)
    #expect(added[0].wait().exitCode == 143)
    try job.wait(until: "there are two workers") { _ in (try? workers()) == 2 }
    #expect(try job.finish()["parameters_sha256"] as? String == Self.undisturbed)
    for worker in added[1...] { #expect(worker.wait().exitCode == 0) }
    let said = job.process.wait().errors
    #expect(said.contains("worker.0 was asked to leave, and left: it is not started again"), "\(said)")
    #expect(job.log("launcher").contains("worker.0, process "))
    #expect(job.log("launcher").contains("ended with exit code 143"))
    #expect(!job.log("launcher").contains("now\n"))
  }

  // MARK: Connections

  @Test("Connections between workers and the coordinator are cut again and again, and the bytes are the same")
  func cutConnections() throws {
    let (coordinator, address) = try coordinate(servers: 1, workers: 2)
    let port = try #require(UInt16(address.split(separator: ":").last ?? ""))
    let proxy = try ChaosProxy(to: port)
    let server = try startMember("server", at: address)
    let workers = try (0..<2).map { _ in try startMember("worker", at: "tcp://127.0.0.1:\(proxy.port)") }
    #expect(coordinator.waitForLine(containing: "the first step begins"), "\(coordinator.wait().errors)")
    // A cut comes when both are back and have spoken: eight bytes are less than any message.
    for _ in 0..<5 {
      let before = proxy.counts
      proxy.cutAll()
      proxy.wait { $0.accepted >= before.accepted + 2 && $0.bytes > before.bytes + 512 }
    }
    let outcome = coordinator.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try outcome.json()["parameters_sha256"] as? String == Self.undisturbed)
    for member in workers + [server] { #expect(member.wait().exitCode == 0) }
    #expect(proxy.counts.cut >= 10)
    proxy.stop()
  }
}

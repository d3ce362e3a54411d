import Foundation
import Glibc
import ParameterServer
import Runtime
import Testing
import Transport
import WireFormat

/// Jobs with keys on this machine: who is let in, who is not, and what is said of it.
@Suite(.serialized, .timeLimit(.minutes(30))) struct KeyedJobTests {
  /// A number of this machine that others reach; nil where it has none.
  static let outerHost: String? = (try? Interfaces.all())?.flatMap(\.hosts)
    .first { !$0.contains(":") && !Address.tcp(host: $0, port: 1).isLoopback }

  /// Says something with a key and waits for the answer.
  private func answer(
    to message: Message, of sender: Member, key name: String, _ job: KeyedJob
  ) throws -> Message? {
    let keys = try KeyFolder(path: job.keys)
    let hub = try ZeroMQTransport(security: keys.security(for: name)).makeHub(
      HubLimits(maximumFrameBytes: 1 << 20, maximumFrames: 2, maximumQueuedMessages: 16))
    defer { hub.close(lingerMilliseconds: 0) }
    let peer = try hub.connect(to: Address(parsing: job.address), expecting: "coordinator")
    let envelope = try Envelope(
      token: keys.token(), view: .none, sender: sender, incarnation: Incarnation(1), message: message)
    _ = try hub.send([Frame(copying: WireFormat.encode(envelope))], to: peer)
    while true {
      switch try hub.receive(timeoutMilliseconds: 30_000) {
      case .message(_, let frames): return try frames[0].withBytes { try WireFormat.decode($0) }.message
      case .timeout: return nil
      case .woken, .refused: continue
      }
    }
  }

  /// Knocks at a server with a key that is on no list, until the job's status says that somebody did; returns it.
  private func knock(
    at name: String, of server: Running, _ job: KeyedJob, until isCounted: ([String: Any]) -> Bool
  ) throws -> [String: Any] {
    try #require(server.waitForLine(containing: "\(name) listens on "))
    let line = try #require(server.line(containing: "\(name) listens on "))
    let address = String(try #require(line.firstMatch(of: /tcp:\/\/[0-9.:]+/)).0)
    let keys = try KeyFolder(path: job.forgedKeys())
    let hub = try ZeroMQTransport(security: keys.security(for: "worker.0")).makeHub(
      HubLimits(maximumFrameBytes: 1 << 20, maximumFrames: 2, maximumQueuedMessages: 16))
    defer { hub.close(lingerMilliseconds: 0) }
    _ = try hub.connect(to: Address(parsing: address), expecting: name)
    while true {
      let status = try job.status()
      if isCounted(status) { return status }
    }
  }

  @Test("Without a key, with an unknown one or by another's name nobody takes part; the job goes on and counts them")
  func strangers() throws {
    let job = try KeyedJob("workers: 1\nepochs: 1000\n", servers: 2, workers: 3)
    let members = try ["server.0", "worker.0"].map { try job.start($0) }
    try #require(job.coordinator.waitForLine(containing: "the first step begins"), "\(job.coordinator.wait().errors)")
    let before = try #require(job.status()["refused"] as? Int)
    let coordinates = ["worker", "--coordinator", job.address]
    let others = "\(job.folder.path)/others"
    _ = try Convoy.run(["keys", others])
    let refused = try [
      // Whoever knows the token, but has no key.
      Running(coordinates + ["--token-file", "\(job.keys)/token", "--join-timeout", "2"]),
      // Keys of another job.
      Running(coordinates + ["--keys", others, "--name", "worker.0", "--join-timeout", "2"]),
      // A key that is on no list.
      Running(job.words("worker.0", job.forgedKeys())),
    ].map { $0.wait() }
    #expect(refused.map(\.exitCode) == [75, 75, 77])
    #expect(refused[1].errors.contains("did not answer within 2 s: it has another key than the one that was named"))
    #expect(refused[2].errors.contains("takes no connection: it does not know this process's key"))
    // A worker's key posing as a server, as a member of the job, and as whoever may change it.
    for (message, sender) in [
      (.hello(Hello(role: .server, name: "server.1")), Member(.server, Member.unassigned)),
      (
        .leaving(Leaving(text: "", isOrderly: true, progress: ParameterServer.Progress(steps: 0, shards: 0))),
        Member(.server, 0)
      ),
      (.setMode(.async), Member(.client, 0)),
    ] as [(Message, Member)] {
      guard case .refused(let refusal) = try answer(to: message, of: sender, key: "worker.2", job) else {
        Issue.record("\(message) was not refused")
        continue
      }
      #expect(refusal.reason == .wrongKey)
      #expect(refusal.explanation.hasPrefix("the key is worker.2's, and the message is "))
    }
    let status = try job.status()
    #expect(try #require(status["refused"] as? Int) == before + 3)
    #expect((status["refusals"] as? [String: Int])?["wrong_key"] == 3)
    let refusedHere = try #require(status["refused_connections"] as? Int)
    #expect(refusedHere >= 3)
    let reasons = try #require(status["connection_refusals"] as? [String: Int])
    #expect(reasons["unknown_key"] == 1 && reasons.values.reduce(0, +) == refusedHere)
    // A server counts for itself, and tells the coordinator.
    let later = try knock(at: "server.0", of: members[0], job) {
      ($0["connection_refusals"] as? [String: Int])?["unknown_key"] ?? 0 > 1
    }
    #expect(try #require(later["refused_connections"] as? Int) > refusedHere)
    let text = try Convoy.run(["status", job.address, "--keys", job.keys])
    #expect(text.output.contains(/messages refused: .*3 wrong key/), "\(text.output)")
    #expect(text.output.contains(/\d+ connections refused: .*\d+ with an unknown key/), "\(text.output)")
    #expect(status["mode"] as? String == "sync")
    #expect(status["state"] as? String == "training")
    let step = try #require(status["step"] as? Int)
    #expect(job.coordinator.wait { KeyedJob.step($0) > step })
    #expect(job.coordinator.waitForLine(containing: "connections refused so far: 1 with an unknown key"))
    job.coordinator.send(SIGINT)
    #expect(job.coordinator.wait().exitCode == 130)
    for member in members { _ = member.wait() }
  }

  @Test("A member with keys says what it misses")
  func missing() throws {
    let folder = TemporaryFolder()
    let keys = "\(folder.path)/keys"
    #expect(try Convoy.run(["keys", keys]).exitCode == 0)
    let common = ["--coordinator", "tcp://127.0.0.1:1"]
    let cases: [([String], Int32, String)] = [
      (["worker"] + common + ["--keys", keys], 78, "holds the secret keys of worker.0, worker.1: say with --name"),
      (["server"] + common + ["--keys", keys, "--name", "worker.0"], 78, "worker.0 is no name of a server"),
      (["worker"] + common + ["--keys", keys, "--name", "worker.7"], 78, "has no key of worker.7"),
      (["worker"] + common + ["--keys", keys, "--token-file", "x"], 64, "--keys holds the job's token"),
      (["worker"] + common + ["--keys", keys, "--insecure"], 64, "--keys and --insecure exclude each other"),
      (["worker"] + common + ["--keys", keys, "--secrets-stdin"], 64, "--secrets-stdin holds the job's keys"),
      (["worker"] + common + ["--threads", "0"], 64, "--threads: 0 is no whole number from 1 to 256"),
      (["train", "--interface", "lo", "--transport", "ipc"], 64, "--interface: ipc stays on one machine"),
    ]
    for (words, code, said) in cases {
      let outcome = try Convoy.run(words)
      #expect(outcome.exitCode == code, "\(words)")
      #expect(outcome.errors.contains(said), "\(outcome.errors)")
    }
  }

  @Test(
    "The keys of a run are found by its folder, and go with the job",
    .enabled(if: outerHost != nil, "this machine has no address but loopback"))
  func status() throws {
    let host = try #require(Self.outerHost)
    let folder = TemporaryFolder()
    let job = try Running(
      ["train", "--epochs", "1000", "--listen", "tcp://\(host):0", "--run-dir", "\(folder.path)/run"])
    try #require(job.waitForLine(containing: "the first step begins"), "\(job.wait().errors)")
    let status = try Convoy.run(["status", "\(folder.path)/run", "--json"])
    #expect(try status.json()["refused_connections"] as? Int == 0, "\(status.errors)")
    let stranger = try Convoy.run(["status", "\(folder.path)/run", "--keys", "\(folder.path)/none"])
    #expect(stranger.exitCode == 78)
    job.send(SIGTERM)
    #expect(job.wait().exitCode == 143)
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run/keys"))
  }

  @Test(
    "A job on an address that others reach makes keys for itself, or does without where it is told so",
    .enabled(if: outerHost != nil, "this machine has no address but loopback"))
  func outer() throws {
    let host = try #require(Self.outerHost)
    let folder = TemporaryFolder()
    let words = ["train", "--workers", "1", "--shards", "2", "--max-steps", "2", "--json"]
    // On every interface: told to the members is the one that leads to others.
    let keyed = try Convoy.run(words + ["--listen", "tcp://*:0", "--run-dir", "\(folder.path)/keyed"])
    guard case .tcp(let told, _) = try Interfaces.advertised(.tcp(host: "*", port: 0)) else { return }
    let open = try Convoy.run(
      words + ["--interface", host, "--insecure", "--run-dir", "\(folder.path)/open"])
    let plain = try Convoy.run(words + ["--run-dir", "\(folder.path)/plain"])
    for outcome in [keyed, open, plain] { #expect(outcome.exitCode == 0, "\(outcome.errors)") }
    #expect(keyed.errors.contains("the coordinator listens on tcp://\(told):"))
    #expect(keyed.errors.contains(", with keys of coordinator, server.0 to server.4, "))
    #expect(try folder.read("keyed/logs/server.0.log").contains("listens on tcp://\(told):"))
    // The interface that is stated comes before all that --listen opens.
    let stated = try Convoy.run(
      words + ["--listen", "tcp://*:0", "--interface", "127.0.0.1", "--run-dir", "\(folder.path)/stated"])
    #expect(stated.exitCode == 0, "\(stated.errors)")
    #expect(try folder.read("stated/logs/coordinator.log").contains("listens on tcp://127.0.0.1:"))
    #expect(!stated.errors.contains(", with keys of "), "the loopback interface needs none")
    #expect(try folder.read("open/logs/coordinator.log").contains("is open to everybody who has the job's token"))
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/keyed/keys"))
    let digests = try [keyed, open, plain].map { try $0.json()["parameters_sha256"] as? String }
    #expect(Set(digests).count == 1 && digests[0] != nil)
  }
}

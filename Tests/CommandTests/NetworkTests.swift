import Foundation
import Glibc
import TestSupport
import Testing

/// A job over four hosts, each a network namespace with an address of its own, with keys.
@Suite(
  .serialized, .timeLimit(.minutes(30)), .enabled(if: NetworkNamespaces.isAvailable, "\(NetworkNamespaces.requirement)")
)
struct NetworkTests {
  private static let job = """
    servers: 2
    workers: 2
    replicas: 1
    shards: 4
    max-steps: 160
    seed: 3

    """
  /// Who runs on which host, beside the coordinator on the first.
  private static let hosts = [(0, "server.0"), (1, "server.1"), (2, "worker.0"), (3, "worker.1")]
  /// Steps that go by while a host is away. A worker's cable of 40 Mbit/s lets the model's 1.7 MB through in a third of a
  /// second, so these take eight seconds on any machine, and the wait until the host is given up is added.
  private static let stepsAway = 25

  private func count(_ text: String, _ lines: [Substring]) -> Int { lines.count { $0.contains(text) } }

  @Test(
    "One host is cut off and healed, a process on another is killed and replaced, strangers come by: the same bytes",
    arguments: [(cut: 1, killed: 3), (cut: 2, killed: 1)])
  func disturbed(_ cut: Int, _ killed: Int) throws {
    let network = try NetworkNamespaces(hosts: 4)
    for worker in [2, 3] { try network.slow(worker, kilobitsPerSecond: 40_000) }
    let job = try KeyedJob(
      Self.job, servers: 2, workers: 3, host: network.address(of: 0), behind: network.command(on: 0))
    var members: [String: Running] = [:]
    for (host, name) in Self.hosts { members[name] = try job.start(name, behind: network.command(on: host)) }
    let coordinator = job.coordinator
    let (away, gone) = (Self.hosts[cut].1, Self.hosts[killed].1)
    try #require(coordinator.wait { KeyedJob.step($0) >= 5 }, "\(coordinator.wait().errors)")

    try network.cut(cut)
    #expect(coordinator.waitForLine(containing: "\(away) is gone: silent for"))
    var step = 0
    #expect(
      coordinator.wait { lines in
        step = KeyedJob.step(lines)
        return true
      })
    #expect(coordinator.wait { KeyedJob.step($0) >= step + Self.stepsAway })
    try network.heal(cut)
    #expect(coordinator.wait { count("\(away) has joined", $0) >= 2 })
    #expect(try #require(members[away]).waitForLine(containing: "comes back as another life"))

    try #require(members[gone]).send(SIGKILL)
    #expect(members[gone]?.wait().exitCode == 128 + SIGKILL)
    members[gone] = try job.start(gone, behind: network.command(on: killed))
    #expect(coordinator.wait { count("\(gone) has joined", $0) >= 2 })

    let forged = try Convoy.run(job.words("worker.0", job.forgedKeys()), behind: network.command(on: 3))
    #expect(forged.exitCode == 77)
    #expect(try #require(job.status(behind: network.command(on: 2))["refused_connections"] as? Int) >= 1)

    let outcome = coordinator.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    for (name, member) in members {
      let ended = member.wait()
      #expect(ended.exitCode == 0, "\(name): \(ended.errors)")
    }
    let plain = try Convoy.run(
      ["train", "--job", "\(job.folder.path)/job.yaml", "--run-dir", "\(job.folder.path)/plain", "--json"])
    let digests = try [outcome, plain].map { try $0.json()["parameters_sha256"] as? String }
    #expect(digests[0] != nil && digests[0] == digests[1])
  }
}

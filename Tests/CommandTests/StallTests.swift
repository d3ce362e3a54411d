import Foundation
import Glibc
import Runtime
import TestSupport
import Testing

/// Hosts that all reach the coordinator, and not each other: jobs that would stand still for ever.
@Suite(
  .serialized, .timeLimit(.minutes(30)), .enabled(if: NetworkNamespaces.isAvailable, "\(NetworkNamespaces.requirement)")
)
struct StallTests {
  /// Seconds until the coordinator acts; it tells a second before.
  private static let timeout = 6

  private static func job(servers: Int, workers: Int, replicas: Int) -> String {
    """
    servers: \(servers)
    workers: \(workers)
    replicas: \(replicas)
    shards: 4
    max-steps: 40
    seed: 3
    stall-timeout: \(timeout)

    """
  }

  /// A job over hosts: the coordinator's is the first, then come the servers', then the workers'.
  private final class Cluster {
    let network: NetworkNamespaces
    let job: KeyedJob
    let servers: Int
    private(set) var members: [String: Running] = [:]

    init(servers: Int, workers: Int, replicas: Int) throws {
      self.servers = servers
      network = try NetworkNamespaces(hosts: 1 + servers + workers)
      job = try KeyedJob(
        StallTests.job(servers: servers, workers: workers, replicas: replicas), servers: servers, workers: workers,
        host: network.address(of: 0), behind: network.command(on: 0))
    }

    deinit { for member in members.values { member.send(SIGKILL) } }

    func start() throws {
      for host in 1..<network.count {
        let name = host <= servers ? "server.\(host - 1)" : "worker.\(host - 1 - servers)"
        members[name] = try job.start(name, behind: network.command(on: host))
      }
    }

    /// What the first server sends to a worker is dropped.
    func sever(_ worker: Int) throws { try network.drop(from: 1, to: 1 + servers + worker) }

    /// The result of the same job where nobody disturbs it.
    var undisturbed: String? {
      get throws {
        let words = [
          "train", "--job", "\(job.folder.path)/job.yaml", "--run-dir", "\(job.folder.path)/plain", "--json",
        ]
        return try Convoy.run(words).json()["parameters_sha256"] as? String
      }
    }
  }

  private func isTold(_ waiter: String, _ cluster: Cluster) throws {
    let coordinator = cluster.job.coordinator
    let sentence = "\(waiter) waits for server.0 at tcp://\(cluster.network.address(of: 1)):"
    try #require(coordinator.waitForLine(containing: sentence), "\(coordinator.wait().errors)")
    let line = try #require(coordinator.line(containing: sentence))
    #expect(line.contains(/for \d+ s \((pull|push) of chunk \d+, step \d+\)/), "\(line)")
  }

  @Test("One worker's packets have no answer from one server, from the first on: both are named, and the job goes on")
  func fromTheBeginning() throws {
    let cluster = try Cluster(servers: 2, workers: 2, replicas: 0)
    try cluster.sever(1)
    try cluster.start()
    try isTold("worker.1", cluster)
    let waits = try cluster.job.status(behind: cluster.network.command(on: 0))["waits"] as? [[String: Any]]
    #expect(waits?.map { $0["member"] as? String } == ["worker.1"])
    #expect(waits?.first?["server"] as? String == "server.0")
    #expect((waits?.first?["address"] as? String)?.hasPrefix("tcp://\(cluster.network.address(of: 1)):") == true)
    let text = try Convoy.run(
      ["status", cluster.job.address, "--keys", cluster.job.keys], behind: cluster.network.command(on: 0))
    #expect(text.output.contains("\n  worker.1 waits for server.0 at tcp://"), "\(text.output)")
    let outcome = cluster.job.coordinator.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("worker.1 is gone: worker.1 waits for server.0 at tcp://"), "\(outcome.errors)")
    #expect(try outcome.json()["parameters_sha256"] as? String == cluster.undisturbed)
    for (name, member) in cluster.members { #expect(member.wait().exitCode == 0, "\(name)") }
  }

  @Test("In the middle no worker reaches one server any more: its replicas serve, and the bytes are the same")
  func inTheMiddle() throws {
    let cluster = try Cluster(servers: 2, workers: 2, replicas: 1)
    for worker in [3, 4] { try cluster.network.slow(worker, kilobitsPerSecond: 40_000) }
    try cluster.start()
    let coordinator = cluster.job.coordinator
    try #require(coordinator.wait { KeyedJob.step($0) >= 5 }, "\(coordinator.wait().errors)")
    for worker in 0..<2 { try cluster.sever(worker) }
    // Whichever of them is told of first.
    #expect(coordinator.wait { $0.contains { $0.contains(/worker\.\d waits for server\.0 at tcp:/) } })
    let outcome = coordinator.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains(/server\.0 is gone: worker\.\d waits for server\.0 at tcp:/), "\(outcome.errors)")
    #expect(try outcome.json()["parameters_sha256"] as? String == cluster.undisturbed)
    for (name, member) in cluster.members { #expect(member.wait().exitCode == 0, "\(name)") }
  }

  @Test("Where nobody else is left, the job ends with the sentence")
  func nobodyElse() throws {
    let cluster = try Cluster(servers: 1, workers: 1, replicas: 0)
    try cluster.sever(0)
    try cluster.start()
    let outcome = cluster.job.coordinator.wait()
    #expect(outcome.exitCode == 1)
    let last = outcome.errors.split(separator: "\n").last ?? ""
    #expect(
      last.contains(
        /^convoy: worker\.0 waits for server\.0 at tcp:\/\/[0-9.]+:\d+ for \d+ s \(pull of chunk \d+, step 0\)$/),
      "\(outcome.errors)")
    for member in cluster.members.values { #expect(member.wait().exitCode == 1) }
  }
}

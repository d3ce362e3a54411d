import ConvoySimulation
import Foundation
import Testing

/// Whole clusters, as somebody uses them who imports this library alone.
struct ClusterTests {
  private static let modes: [Mode] = [.sync, .ssp(2), .async, .backup(1), .local(3)]

  @Test func aJobSurvivesALostServer() {
    var cluster = Cluster(seed: 7)
    cluster.workers = 4
    cluster.replicas = 1
    cluster.branches = []
    let crash = Fault(.crash, of: .server(1), at: 80_000, lasting: 500_000)
    let report = cluster.run(ToyJob(steps: 30), faults: [crash])
    #expect(report.violations == [])
    #expect(report.isCompleted && report.steps == 30)
    #expect(report.coverage.faults[.crash] == 1)
  }

  @Test(arguments: modes, [0, 1]) func everyModeEndsItsJob(mode: Mode, replicas: Int) {
    for seed in 0..<4 as Range<UInt64> {
      var cluster = Cluster(seed: seed)
      cluster.workers = 4
      cluster.replicas = replicas
      cluster.branches = []
      let report = cluster.run(ToyJob(steps: 12, mode: mode))
      #expect(report.violations == [], "\(mode), seed \(seed)")
      #expect(report.isCompleted && report.steps == 12, "\(mode), seed \(seed)")
    }
  }

  @Test(arguments: modes, [0, 1]) func faultsBreakNothing(mode: Mode, replicas: Int) {
    var cluster = Cluster(seed: 0)
    cluster.workers = 4
    cluster.replicas = replicas
    var campaign = Campaign(cluster, ToyJob(steps: 10, mode: mode), faults: .all)
    campaign.repeatedShare = 3
    for seed in 0..<6 as Range<UInt64> {
      let report = campaign.run(seed: seed)
      #expect(report.violations == [], "\(mode), seed \(seed)")
    }
  }

  /// In this run a shard goes to another worker, both compute it, and the old primary and the new one each take one of the
  /// two for the same version, which nobody has seen.
  @Test func whichOfTwoGradientsOfAShardIsTakenDoesNotMatter() {
    var cluster = Cluster(seed: 0)
    cluster.workers = 8
    cluster.servers = 3
    cluster.replicas = 1
    let report = Campaign(cluster, ToyJob(steps: 50, mode: .ssp(3)), faults: .all).run(seed: 1054)
    #expect(report.violations == [] && report.isCompleted)
  }

  @Test(arguments: [Mode.sync, .backup(1)], [0, 1]) func faultsBreakNothingWhereGradientsAreClipped(
    mode: Mode, replicas: Int
  ) {
    var cluster = Cluster(seed: 0)
    cluster.workers = 4
    cluster.replicas = replicas
    cluster.branches = [.clippedNorm, .buffers]
    let campaign = Campaign(cluster, ToyJob(steps: 10, mode: mode), faults: .all)
    var total = CampaignReport()
    for seed in 0..<6 as Range<UInt64> {
      let report = campaign.run(seed: seed)
      #expect(report.violations == [], "\(mode), seed \(seed)")
      total.add(report)
    }
    #expect((total.coverage.events[.normAdded] ?? 0) > 0)
  }

  @Test func whatIsClippedWaitsForEveryServer() {
    var cluster = Cluster(seed: 5)
    cluster.workers = 2
    cluster.servers = 3
    cluster.branches = [.clippedNorm]
    let report = cluster.run(ToyJob(steps: 10))
    #expect(report.violations == [] && report.isCompleted)
    // One server adds, once for each step.
    #expect(report.coverage.events[.normAdded] == 10)
  }

  @Test func theSameSeedGivesTheSameTrace() {
    func run(_ seed: UInt64) -> RunReport {
      var cluster = Cluster(seed: seed)
      cluster.workers = 4
      cluster.tracing = true
      return cluster.run(ToyJob(steps: 8, mode: .async), faults: .all)
    }
    let first = run(3)
    let second = run(3)
    #expect(first.hash == second.hash && first.trace == second.trace && !first.trace.isEmpty)
    #expect(run(4).hash != first.hash)
  }

  @Test func aFailingRunIsSavedShrunkAndRunAgain() throws {
    var cluster = Cluster(seed: 0)
    cluster.workers = 4
    cluster.bug = .oldestCheckpoint
    let campaign = Campaign(cluster, ToyJob(steps: 20), faults: FaultPlan([.crash]))
    let failing = (0..<200 as Range<UInt64>).lazy.map(campaign.run(seed:)).first { !$0.violations.isEmpty }
    let report = try #require(failing)
    let faults = campaign.shrink(report)
    #expect(!faults.isEmpty && faults.count < max(2, report.faults.count))
    let data = try JSONEncoder().encode(campaign.replay(report, faults: faults))
    let replay = try JSONDecoder().decode(Replay.self, from: data)
    #expect(replay.isSound)
    // The bug is this test's own: the file does not carry it.
    var again = replay.cluster
    again.bug = .oldestCheckpoint
    #expect(again.run(replay.job, faults: replay.faults).violations.first?.invariant == report.violations[0].invariant)
    #expect(replay.cluster.run(replay.job, faults: replay.faults).violations == [])
  }

  @Test func aCampaignCountsWhatOccurred() {
    var cluster = Cluster(seed: 0)
    cluster.workers = 2
    cluster.servers = 2
    let campaign = Campaign(cluster, ToyJob(steps: 5), faults: FaultPlan([.loss]))
    var total = CampaignReport()
    for seed in 0..<8 as Range<UInt64> { total.add(campaign.run(seed: seed)) }
    #expect(total.runs == 8 && total.completed == 8 && total.failedSeeds == [])
    #expect(total.coverage.faults.keys.allSatisfy { $0 == .loss })
    let wanted = Campaign(cluster, ToyJob(steps: 5), faults: FaultPlan([.crash]))
    #expect(total.missing(wanted).contains("crash") && !total.missing(wanted).contains("replicaBuilt"))
    #expect(total.simulatedTime > 0 && total.eventCount > 1000)
  }
}

import ConvoySimulation
import Testing

/// What machines refuse and pass over in whole clusters: nothing but what is expected.
struct DropTests {
  private static let modes: [Mode] = [.sync, .ssp(2), .async, .backup(1), .local(3)]

  /// What is refused where something fails: what belongs to a job, a view, a life or a place that is not, or not any more.
  private static let expected: Set = [
    "wrong_job", "old_view", "dead_incarnation", "unknown_member", "name_taken", "misplaced",
  ]

  private func campaign(_ mode: Mode, _ replicas: Int, steps: Int, _ faults: FaultPlan, undisturbed: Bool) -> Coverage {
    var cluster = Cluster(seed: 0)
    cluster.workers = 4
    cluster.replicas = replicas
    if undisturbed { cluster.branches = [.manyCheckpoints, .fixedShards] }
    var job = ToyJob(steps: steps, mode: mode)
    job.checkpointEvery = 3
    let campaign = Campaign(cluster, job, faults: faults)
    var total = CampaignReport()
    for seed in 0..<6 as Range<UInt64> { total.add(campaign.run(seed: seed)) }
    #expect(total.failedSeeds.isEmpty && total.completed == total.runs)
    return total.coverage
  }

  @Test("Where nothing fails nothing is refused: no restore, no snapshot, no command", arguments: modes, [0, 1])
  func undisturbed(mode: Mode, replicas: Int) {
    let coverage = campaign(mode, replicas, steps: 12, .none, undisturbed: true)
    #expect(coverage.refusals.isEmpty, "\(coverage.refusals)")
    let benign: Set = ["repeated", "outdated", "needless", "untimely", "after the end"]
    #expect(Set(coverage.drops.keys).isSubset(of: benign), "\(coverage.drops)")
  }

  @Test("Whatever fails, no number is out of bounds, and nothing cannot be read", arguments: modes, [0, 1])
  func disturbed(mode: Mode, replicas: Int) {
    let coverage = campaign(mode, replicas, steps: 10, .all, undisturbed: false)
    #expect(Set(coverage.refusals.keys).isSubset(of: Self.expected), "\(coverage.refusals)")
    #expect(coverage.drops["repeated"] ?? 0 > 0 && coverage.drops["outdated"] ?? 0 > 0, "\(coverage.drops)")
  }
}

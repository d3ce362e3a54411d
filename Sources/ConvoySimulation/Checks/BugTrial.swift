/// A job and faults in which a planted bug shows, and who reports it.
package struct BugTrial: Sendable {
  /// The bug.
  package let bug: PlantedBug
  /// The mode of the job.
  package let mode: Mode
  /// 1 with replicas, or 0.
  package let replicas: Int
  /// Steps of the job.
  package let steps: Int
  /// The faults that runs may have.
  package let faults: FaultPlan
  /// The one invariant that it breaks; nil where it breaks several.
  package let onlyBreaks: Invariant?

  private init(
    _ bug: PlantedBug, _ mode: Mode, replicas: Int = 0, steps: Int = 20, _ faults: [FaultKind] = [],
    only invariant: Invariant? = nil
  ) {
    self.bug = bug
    self.mode = mode
    self.replicas = replicas
    self.steps = steps
    self.faults = FaultPlan(faults)
    onlyBreaks = invariant
  }

  /// The runs that show it: a small cluster, every seed twice where it is determinism that is broken.
  package var campaign: Campaign {
    var cluster = Cluster(seed: 0)
    cluster.workers = 4
    cluster.replicas = replicas
    cluster.bug = bug
    var campaign = Campaign(cluster, ToyJob(steps: steps, mode: mode), faults: faults)
    campaign.repeatedShare = bug == .unseeded ? 1 : .max
    return campaign
  }

  /// The trial of a bug.
  package init(_ bug: PlantedBug) {
    switch bug {
    case .doubledPart: self.init(bug, .backup(1), only: .exactlyOnce)
    case .lostUpdate: self.init(bug, .async, only: .foldOfLog)
    case .forgetfulReplica: self.init(bug, .async, replicas: 1, only: .survivesCrash)
    case .tornSnapshot: self.init(bug, .sync, only: .consistentCut)
    case .leakedPayloads: self.init(bug, .sync, steps: 100, only: .progress)
    case .looseSlack: self.init(bug, .ssp(2), only: .boundedSpread)
    case .earlyAcknowledgement: self.init(bug, .sync, replicas: 1, [.crash])
    case .lostOptimizer: self.init(bug, .sync, replicas: 1, [.crash])
    case .wrongVersion: self.init(bug, .sync, steps: 40, [.crash, .pause, .slowLink])
    case .staleParameters: self.init(bug, .sync, only: .synchronousSteps)
    case .hastyInstall: self.init(bug, .backup(1), [.duplicates, .reordering], only: .versionsRise)
    case .forgottenSums: self.init(bug, .sync, [.loss])
    case .swappedChunks: self.init(bug, .sync)
    case .talkativeReplica: self.init(bug, .sync, replicas: 1, only: .singleWriter)
    case .earlyStored: self.init(bug, .sync, [.crash], only: .completeCheckpoint)
    case .forgottenJournal: self.init(bug, .sync, [.crash])
    case .unsyncedJournal: self.init(bug, .async, [.crash])
    case .forgetfulJournal: self.init(bug, .async, [.crash], only: .contract)
    case .tornCheckpoint: self.init(bug, .sync, [.crash])
    case .oldestCheckpoint: self.init(bug, .sync, [.crash])
    case .leasedTwice: self.init(bug, .async, only: .samplesOnce)
    case .sameIncarnation: self.init(bug, .sync, [.crash, .zombie])
    case .lostTimers: self.init(bug, .sync, [.loss])
    case .lostWaits: self.init(bug, .sync, [.severed], only: .progress)
    case .misorderedNorm: self.init(bug, .sync, only: .synchronousSteps)
    case .unseeded: self.init(bug, .sync, only: .determinism)
    }
  }
}

import ParameterServer

/// Many runs that differ in their seed only, and what they came to together.
public struct Campaign: Sendable {
  /// The cluster; its seed is replaced by each run's.
  public var cluster: Cluster
  /// The job.
  public var job: ToyJob
  /// Which faults the runs have.
  public var plan: FaultPlan
  /// One of so many seeds is run twice, and must give the same trace.
  public var repeatedShare: UInt64 = 64
  /// Runs that may be spent to make one failing schedule smaller.
  public var shrinkingBudget = 100

  /// Runs of a job.
  public init(_ cluster: Cluster, _ job: ToyJob, faults plan: FaultPlan) {
    self.cluster = cluster
    self.job = job
    self.plan = plan
  }

  /// Runs one seed, twice where it is its turn.
  public func run(seed: UInt64) -> RunReport {
    var cluster = cluster
    cluster.seed = seed
    let report = cluster.run(job, faults: plan)
    guard seed % repeatedShare == 0, cluster.invariants.contains(.determinism) else { return report }
    let again = cluster.run(job, faults: report.faults)
    return again.hash == report.hash ? report : report.adding(Self.difference(report, again))
  }

  private static func difference(_ first: RunReport, _ second: RunReport) -> Violation {
    Violation(
      invariant: .determinism, at: 0, text: "the same seed gave the traces \(first.hash) and \(second.hash)")
  }

  /// The smallest schedule found that breaks one of the same invariants.
  public func shrink(_ report: RunReport) -> [Fault] {
    var cluster = cluster
    cluster.seed = report.seed
    let broken = Set(report.violations.map(\.invariant))
    let job = job
    var shrinking = Shrinking(budget: shrinkingBudget) { faults in
      let violations = cluster.run(job, faults: faults).violations
      return violations.contains { broken.contains($0.invariant) }
    }
    return shrinking.shrink(report.faults)
  }

  /// The file from which a failing run can be run again.
  public func replay(_ report: RunReport, faults: [Fault]) -> Replay {
    Replay(
      seed: report.seed, workers: cluster.workers, servers: cluster.servers, replicas: cluster.replicas, job: job,
      faults: faults, violations: report.violations)
  }
}

/// A run that can be run again: what decides it, and what came of it.
public struct Replay: Hashable, Sendable, Codable {
  /// The version of this format: 1.
  public var format = 1
  /// The seed.
  public let seed: UInt64
  /// Workers.
  public let workers: Int
  /// Servers.
  public let servers: Int
  /// 1 with replicas, or 0.
  public let replicas: Int
  /// The job.
  public let job: ToyJob
  /// The faults, shrunk.
  public let faults: [Fault]
  /// What was broken.
  public let violations: [Violation]

  init(
    seed: UInt64, workers: Int, servers: Int, replicas: Int, job: ToyJob, faults: [Fault], violations: [Violation]
  ) {
    self.seed = seed
    self.workers = workers
    self.servers = servers
    self.replicas = replicas
    self.job = job
    self.faults = faults
    self.violations = violations
  }

  /// Whether a file that was read states what a cluster can be made of.
  public var isSound: Bool {
    format == 1 && (1...64).contains(workers) && (1...16).contains(servers) && (0...1).contains(replicas)
      && (1...100_000).contains(job.steps) && (job.checkpointEvery ?? 1) > 0
      && faults.allSatisfy(\.isSound) && (job.shards.map { [1, 2, 4, 8, 16, 32, 64].contains($0) } ?? true)
  }

  /// The cluster that it ran on.
  public var cluster: Cluster {
    var cluster = Cluster(seed: seed)
    cluster.workers = workers
    cluster.servers = servers
    cluster.replicas = replicas
    return cluster
  }
}

extension RunReport {
  /// The same with a violation more.
  fileprivate func adding(_ violation: Violation) -> RunReport {
    RunReport(
      seed: seed, hash: hash, violations: violations + [violation], isCompleted: isCompleted, steps: steps,
      simulatedTime: simulatedTime, eventCount: eventCount, coverage: coverage, faults: faults, trace: trace)
  }
}

/// What many runs came to.
public struct CampaignReport: Hashable, Sendable, Codable {
  /// Runs.
  public private(set) var runs = 0
  /// Jobs that were completed.
  public private(set) var completed = 0
  /// Seeds that broke an invariant, in order.
  public private(set) var failedSeeds: [UInt64] = []
  /// Virtual microseconds, all runs together.
  public private(set) var simulatedTime: UInt64 = 0
  /// Things that happened, all runs together.
  public private(set) var eventCount: UInt64 = 0
  /// How often what happened.
  public private(set) var coverage = Coverage()
  /// A hash over the runs' hashes.
  public var hash: String { combined.description }
  private var combined = TraceHash()

  private enum CodingKeys: String, CodingKey {
    case runs, completed, failedSeeds, simulatedTime, eventCount, coverage
  }

  /// No run yet.
  public init() {}

  /// Adds a run.
  public mutating func add(_ report: RunReport) {
    runs += 1
    if report.isCompleted { completed += 1 }
    if !report.violations.isEmpty { failedSeeds.append(report.seed) }
    simulatedTime += report.simulatedTime
    eventCount += report.eventCount
    coverage.add(report.coverage)
    for byte in report.hash.utf8 { combined.mix(UInt64(byte)) }
  }

  /// What never occurred of what a campaign asks for: its faults, what is rare, and what its job can come to.
  public func missing(_ campaign: Campaign) -> [String] {
    campaign.plan.kinds.filter { coverage.faults[$0] == nil }.map(\.rawValue)
      + RareBranch.allCases.filter { coverage.branches[$0] == nil }.map(\.rawValue)
      + Event.allCases.filter { coverage.events[$0] == nil && $0.isPossible(in: campaign) }.map(\.rawValue)
  }
}

extension Mode {
  /// Whether updates wait for the norm of the whole gradient, where a job clips.
  fileprivate var clipsAtServers: Bool {
    switch consistency {
    case .sync, .backup: true
    case .ssp, .async, .local: false
    }
  }
}

extension Event {
  /// Whether a campaign's runs can come to it, with all faults.
  fileprivate func isPossible(in campaign: Campaign) -> Bool {
    switch self {
    case .replicaBuilt, .replicaApplied, .viewRespread, .stateAsked: campaign.cluster.replicas > 0
    case .stalled: campaign.plan.kinds.contains(.severed)
    // Where all workers are cut off, which needs many faults.
    case .cutOff: false
    case .stalePush: !campaign.job.mode.consistency.isSummed
    case .normAdded: campaign.job.mode.clipsAtServers
    case .scaleTold: campaign.job.mode.clipsAtServers && !campaign.plan.kinds.isEmpty
    default: !campaign.plan.kinds.isEmpty
    }
  }
}

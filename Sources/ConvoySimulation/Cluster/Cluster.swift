package import ParameterServer

/// A cluster in a test: the very state machines of production on one thread, with a virtual clock and a network, disk and
/// processes that fail as they are told.
///
///     var cluster = Cluster(seed: 7)
///     cluster.replicas = 1
///     let report = cluster.run(ToyJob(steps: 50), faults: [Fault(.crash, of: .server(1), at: 200_000, lasting: 500_000)])
///     #expect(report.violations.isEmpty && report.steps == 50)
///
/// A value: running changes nothing in it, and the same value gives the same run, to the bit.
public struct Cluster: Sendable {
  /// What everything random follows from.
  public var seed: UInt64
  /// Workers that the job begins with.
  public var workers = 8
  /// Servers.
  public var servers = 3
  /// 1 where each chunk has a replica on a second server, or 0.
  public var replicas = 0
  /// The network while nothing disturbs it.
  public var network = NetworkShape()
  /// What is rare; nil draws each with a chance of a quarter.
  public var branches: Set<RareBranch>?
  /// What is checked.
  public var invariants = Set(Invariant.allCases)
  /// Whether the report has a line for everything that happens.
  public var tracing = false
  /// How many times as long as others a worker computes, by its number.
  public var slowdowns: [Int: Int] = [:]
  /// Multiply-accumulates that a worker computes in a microsecond, where the job is a real network's: a step takes three
  /// times those of its forward pass. The default is about what a core of the README's table comes to.
  public var computingSpeed = 30_000
  /// How long the members wait.
  package var deadlines = Deadlines()
  /// Whether servers send zeros for a chunk's floats on purpose: the toy numbers beside them stay right.
  package var spoilsFloats = false
  /// What is wrong with the cluster on purpose.
  package var bug: PlantedBug?

  /// A cluster of eight workers and three servers.
  public init(seed: UInt64) {
    self.seed = seed
    // Toy jobs are over in a second: looks at the workers' speeds come as much closer.
    deadlines.rebalance = 150
  }

  /// Runs a job with faults that follow from a plan and the seed.
  public func run(_ job: ToyJob, faults plan: FaultPlan) -> RunReport {
    run(job, faults: schedule(job, plan))
  }

  /// The faults that follow from a plan and the seed.
  public func schedule(_ job: ToyJob, _ plan: FaultPlan) -> [Fault] {
    let shape = RunShape(cluster: self, job: job)
    return plan.schedule(
      seed: seed, servers: servers, workers: workers, span: shape.expectedTime, silence: deadlines.silence * 1000)
  }

  /// Runs a job with these faults.
  public func run(_ job: ToyJob, faults: [Fault] = []) -> RunReport {
    var simulation = Simulation(shape: RunShape(cluster: self, job: job), cluster: self, faults: faults)
    return simulation.run()
  }
}

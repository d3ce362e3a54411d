import Networks
import ParameterServer
public import Runtime
import Tensors

extension Cluster {
  /// Trains a real network on real samples, with faults that follow from a plan and the seed.
  ///
  /// See `train(_:faults:evaluates:progress:)`.
  public func train(
    _ job: Job, faults plan: FaultPlan, evaluates: Bool = true,
    progress: ((TrainingReport.Point) -> Void)? = nil
  ) throws(ConvoyError) -> TrainingReport {
    let (cluster, model) = try prepared(job)
    let shape = RunShape(cluster: cluster, training: model)
    let faults = plan.schedule(
      seed: seed, servers: servers, workers: workers, span: shape.expectedTime, silence: deadlines.silence * 1000)
    return try cluster.train(model, faults, evaluates: evaluates, progress)
  }

  /// Trains a real network on real samples: gradients, updates and checkpoints are those of `convoy train`, and a `sync` or
  /// `local` job has the same bytes, whatever fails.
  ///
  /// The cluster says how many workers and servers there are and whether chunks have replicas; the job says the rest, its
  /// own seed included. Of what is rare nothing happens but what `branches` names; what the job states itself stays as it
  /// is. The engine computes on the calling thread: a run takes as long as all its gradients one after the other.
  ///
  /// - Parameters:
  ///   - evaluates: whether the result is tried on the test set.
  ///   - progress: told of each tenth of the steps.
  /// - Throws: `ConvoyError` where the job cannot be computed: unknown names, missing data, too many shards.
  public func train(
    _ job: Job, faults: [Fault] = [], evaluates: Bool = true, progress: ((TrainingReport.Point) -> Void)? = nil
  ) throws(ConvoyError) -> TrainingReport {
    let (cluster, model) = try prepared(job)
    return try cluster.train(model, faults, evaluates: evaluates, progress)
  }

  private func prepared(_ job: Job) throws(ConvoyError) -> (Cluster, TrainingModel) {
    var job = job
    job.workers = workers
    job.servers = servers
    job.replicas = replicas
    guard job.shards <= ToyJob.maximumShards else {
      throw ConvoyError(
        .configuration, "a simulated job has up to \(ToyJob.maximumShards) shards, not \(job.shards): state fewer")
    }
    guard job.clipNorm == nil else {
      throw ConvoyError(.configuration, "a simulated network's gradients are not clipped: leave --clip-norm out")
    }
    var cluster = self
    cluster.branches = branches ?? []
    // A real network's job lasts long enough for the usual looks at the workers' speeds.
    cluster.deadlines.rebalance = Deadlines().rebalance
    return (cluster, try TrainingModel(job, isSwitched: cluster.branches?.contains(.modeSwitch) ?? false))
  }

  private func train(
    _ model: TrainingModel, _ faults: [Fault], evaluates: Bool, _ progress: ((TrainingReport.Point) -> Void)?
  ) throws(ConvoyError) -> TrainingReport {
    model.record.progress = progress
    model.isSpoilt = spoilsFloats
    var simulation = Simulation(
      shape: RunShape(cluster: self, training: model), cluster: self, faults: faults, training: model)
    let run = simulation.run()
    var vectors: ModelVectors?
    var evaluation: Evaluation?
    if run.isCompleted, let checkpoint = simulation.disk.newest {
      let found = try model.vectors(of: checkpoint)
      if evaluates { evaluation = try model.evaluate(found) }
      vectors = found
    }
    let record = model.record
    let curve = record.curve
    return TrainingReport(
      run: run, curve: curve, staleness: record.staleness, samples: curve.reduce(0) { $0 + $1.samples },
      trainingTime: record.endedAt - min(record.beganAt ?? 0, record.endedAt),
      parameters: model.rules.chunks.elements, parametersSHA256: vectors?.parameters.sha256().description,
      buffersSHA256: vectors?.buffers.sha256().description, testAccuracy: evaluation?.accuracy,
      testLoss: evaluation?.loss)
  }
}

extension RunShape {
  /// What follows from a real network's job; its virtual times are those of a network and workers of the stated speeds.
  init(cluster: Cluster, training: TrainingModel) {
    let job = training.prepared.job
    let rules = training.rules
    var stream = SeededStream(seed: cluster.seed, purpose: "shape")
    branches = cluster.branches ?? []
    seed = cluster.seed
    workers = cluster.workers
    servers = cluster.servers
    hasReplicas = cluster.replicas > 0
    self.job = ToyJob(steps: rules.steps, mode: Mode(job.mode))
    shards = job.shards
    batch = job.batch
    samples = training.samples
    elements = rules.chunks.elements
    buffers = rules.chunks.bufferElements
    var network = cluster.network
    if branches.contains(.slowNetwork) { network.latency = UInt64(stream.number(in: 1000...10_000)) }
    if branches.contains(.shortQueues) { network.highWaterMark = stream.number(in: 6...24) }
    self.network = network
    model = ToyModel(
      numbers: cluster.seed % 2 == 0 ? .integers : .doubles,
      seed: SeededStream.word(seed: cluster.seed, purpose: "numbers"))
    deadlines = cluster.deadlines
    let operations = 3 * training.prepared.network.forwardMACs * rules.schedule.largestShard
    computeTime = UInt64(max(1, operations / max(1, cluster.computingSpeed)))
    let bytes = UInt64(4 * rules.chunks.elements)
    storeTime = branches.contains(.slowDisk) ? UInt64(stream.number(in: 50_000...500_000)) : 200 + bytes / 200
    checkpointEvery = job.checkpointEvery ?? rules.steps
    let shardsEach = (job.shards + cluster.workers - 1) / cluster.workers
    // Each server's share goes out to every worker and comes back.
    let transfer = 2 * bytes * UInt64(cluster.workers) / UInt64(cluster.servers) / max(1, network.bytesPerMicrosecond)
    let perStep = computeTime * UInt64(shardsEach) + 4 * (network.latency + network.jitter) + 300 + transfer
    expectedTime = 100_000 + UInt64(rules.steps) * perStep
    var plan = training.plan
    plan.job = "toy"
    plan.digests = Self.digests
    statedPlan = plan
    slowdowns = cluster.slowdowns
  }
}

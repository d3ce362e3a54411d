import ParameterServer

/// A job and its cluster, resolved: what follows from the seed is decided here.
struct RunShape: Sendable {
  let seed: UInt64
  let workers: Int
  let servers: Int
  let hasReplicas: Bool
  let job: ToyJob
  let branches: Set<RareBranch>
  let shards: Int
  let batch: Int
  let samples: Int
  let elements: Int
  let buffers: Int
  let network: NetworkShape
  let model: ToyModel
  let deadlines: Deadlines
  /// Microseconds that a shard takes to be computed.
  let computeTime: UInt64
  /// Microseconds that a checkpoint takes to be stored.
  let storeTime: UInt64
  let checkpointEvery: Int
  /// Microseconds that the job would take without faults, roughly.
  let expectedTime: UInt64
  /// What the coordinator is told of a real network's job; nil where it follows from the rest.
  let statedPlan: JobPlan?
  /// How much slower than others workers compute, by number.
  let slowdowns: [Int: Int]

  static let token = JobToken([UInt8](repeating: 7, count: JobToken.byteCount))!
  static let strangersToken = JobToken([UInt8](repeating: 8, count: JobToken.byteCount))!
  /// Elements of a chunk: small, since none is held.
  private static let chunkElements = 1024

  init(cluster: Cluster, job: ToyJob) {
    var stream = SeededStream(seed: cluster.seed, purpose: "shape")
    var branches: Set<RareBranch> = []
    let apart: [RareBranch: String] = [
      .boundedStaleness: "staleness", .clippedNorm: "clipping", .lostPair: "pair",
    ]
    for branch in RareBranch.allCases {
      // Those that came later have streams of their own, so that the others stay as they were.
      if let purpose = apart[branch] {
        if SeededStream.word(seed: cluster.seed, purpose: purpose) % 4 == 0 { branches.insert(branch) }
      } else if stream.chance(25) {
        branches.insert(branch)
      }
    }
    if let stated = cluster.branches { branches = stated }
    self.branches = branches
    seed = cluster.seed
    workers = cluster.workers
    servers = cluster.servers
    hasReplicas = cluster.replicas > 0
    self.job = job
    var shards = 1
    while shards < cluster.workers, shards < ToyJob.maximumShards { shards *= 2 }
    if branches.contains(.fewShards) { shards = max(1, shards / 4) }
    if case .backup(let spared) = job.mode {
      while shards <= spared { shards *= 2 }
    }
    self.shards = job.shards ?? shards
    batch = self.shards * stream.number(in: 1...4)
    let perEpoch = stream.number(in: 2...max(2, job.steps / 2))
    let isUneven = branches.contains(.unevenBatches)
    samples = batch * perEpoch - (isUneven ? stream.number(in: 1...batch - 1 + (batch == 1 ? 1 : 0)) : 0)
    elements = Self.chunkElements * ToyJob.chunksPerServer * cluster.servers
    buffers = branches.contains(.buffers) ? Self.chunkElements * 2 : 0
    var network = cluster.network
    if branches.contains(.slowNetwork) { network.latency = UInt64(stream.number(in: 1000...10_000)) }
    if branches.contains(.shortQueues) { network.highWaterMark = stream.number(in: 6...24) }
    if branches.contains(.clippedNorm) {
      // No push is answered before all of a step are there: queues hold what a worker has under way, as real ones do.
      let chunks = (elements + buffers) / Self.chunkElements
      network.highWaterMark = max(network.highWaterMark, chunks * self.shards)
    }
    self.network = network
    let numbers = job.numbers ?? (cluster.seed % 2 == 0 ? .integers : .doubles)
    model = ToyModel(numbers: numbers, seed: SeededStream.word(seed: cluster.seed, purpose: "numbers"))
    deadlines = cluster.deadlines
    computeTime = UInt64(
      branches.contains(.quickCompute) ? stream.number(in: 5...100) : stream.number(in: 500...10_000))
    storeTime = UInt64(
      branches.contains(.slowDisk) ? stream.number(in: 50_000...500_000) : stream.number(in: 200...5000))
    let often = branches.contains(.manyCheckpoints) ? stream.number(in: 1...4) : stream.number(in: 8...20)
    checkpointEvery = job.checkpointEvery ?? often
    let shardsEach = (self.shards + cluster.workers - 1) / cluster.workers
    let perStep = computeTime * UInt64(shardsEach) + 4 * (network.latency + network.jitter) + 300
    expectedTime = 100_000 + UInt64(job.steps) * perStep
    statedPlan = nil
    slowdowns = cluster.slowdowns
  }

  static func digest(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 32) }

  static let digests = Digests(build: digest(1), network: digest(2), job: digest(3), data: [])

  var plan: JobPlan {
    if let statedPlan { return statedPlan }
    var plan = JobPlan(
      consistency: job.mode.consistency, servers: servers, workers: workers, tree: ShardTree(shards: shards)!,
      batch: batch, epochs: job.steps, maximumSteps: job.steps, elements: elements, job: "toy", digests: Self.digests)
    plan.hasReplicas = hasReplicas
    plan.rebalances = !branches.contains(.fixedShards)
    plan.buffers = buffers
    plan.slots = 1
    plan.checkpointEvery = checkpointEvery
    plan.clipsNorm = branches.contains(.clippedNorm)
    if branches.contains(.boundedStaleness) { plan.maximumStaleness = UInt64(shards) }
    return plan
  }

  func ready(_ role: Role, slot: Int) -> Ready {
    var digests = Self.digests
    if role == .worker { digests.data = Self.digest(4) }
    return Ready(
      digests: digests, samples: role == .worker ? UInt64(samples) : 0,
      engineFingerprint: role == .worker ? "toy" : "", address: role == .server ? Self.address(slot) : "")
  }

  /// What a server states as its address.
  static func address(_ slot: Int) -> String { "simulated://\(slot)" }

  /// The slot of an address.
  static func slot(_ address: String) -> Int? { Int(address.dropFirst("simulated://".count)) }
}

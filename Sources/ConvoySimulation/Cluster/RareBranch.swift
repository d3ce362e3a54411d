/// What a run has only sometimes: each is on in a quarter of the runs, drawn from the seed.
public enum RareBranch: String, Hashable, Sendable, Codable, CaseIterable, CodingKeyRepresentable {
  /// Queues are so short that messages are dropped.
  case shortQueues
  /// Messages take milliseconds.
  case slowNetwork
  /// The last batch of an epoch is so small that shards are empty.
  case unevenBatches
  /// The job has buffers beside its parameters.
  case buffers
  /// There are fewer shards than workers: some stand by.
  case fewShards
  /// A worker more joins while the job runs.
  case lateWorker
  /// A worker is asked to leave.
  case leavingWorker
  /// Another mode is set while the job runs.
  case modeSwitch
  /// There is a checkpoint every few steps.
  case manyCheckpoints
  /// Nobody tells the coordinator that a process has ended.
  case silentLauncher
  /// A checkpoint takes long to be stored.
  case slowDisk
  /// One worker is much slower than the others.
  case slowWorker
  /// Shards stay where they are.
  case fixedShards
  /// Computing takes no time against exchanging.
  case quickCompute
  /// Pushes outside summed modes are refused past a small staleness.
  case boundedStaleness
  /// Two servers are lost at once late in the job: with replicas too it goes back to its checkpoint.
  case lostPair
  /// Gradients are clipped by their norm: updates wait for a scale.
  case clippedNorm
}

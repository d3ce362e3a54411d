import Datasets
import Engines
import Networks
import ParameterServer
import Runtime
import Tensors
import Transport

/// What the members of a simulated job of a real network share: its settings, its samples, one engine, and the record of
/// what was computed.
///
/// The engine computes an order at once and on the thread that simulates; how long that takes in the simulation follows
/// from the network's multiplications, so that the same seed gives the same run on every machine.
final class TrainingModel {
  /// The sums of an order's nodes, and what was learnt from each shard.
  struct Computed {
    var sums: [(node: ShardNode, vectors: ModelVectors)] = []
    var results: [ShardResult] = []
  }

  /// The job with its network.
  let prepared: PreparedJob
  /// How servers update.
  let settings: UpdateSettings
  /// What the coordinator is told.
  let plan: JobPlan
  /// What follows for the job's samples.
  let rules: JobRules
  /// Number of training samples.
  let samples: Int
  /// What happened to the numbers.
  let record: TrainingRecord
  /// Whether servers send wrong floats on purpose.
  var isSpoilt = false
  private let work: PreparedWork
  private let summer: ShardSummer
  /// The parameters that the engine reads, put together for each order; the optimiser's state once it came with them.
  private var model: ModelVectors

  /// Reads a job's data and compiles its network: about a second.
  ///
  /// - Parameter isSwitched: whether the job's mode will change.
  init(_ job: Job, isSwitched: Bool = false) throws(ConvoyError) {
    prepared = try PreparedJob(job: job, text: job.yaml)
    settings = try prepared.updateSettings()
    plan = try CoordinatorRole.plan(prepared)
    work = try PreparedWork(Welcome(member: Member(.worker, 0), job: job.yaml))
    samples = work.sampleCount
    guard let rules = plan.rules(samples: samples) else {
      work.samples.close()
      throw ConvoyError(.configuration, "the job has no step: \(samples) samples, \(job.epochs) epochs")
    }
    self.rules = rules
    record = TrainingRecord(rules, isSwitched: isSwitched)
    do throws(ConvoyError) {
      summer = ShardSummer(
        plan: try work.compile(batch: rules.schedule.largestShard), samples: ShardSummer.SampleSource(work.samples),
        chunks: rules.chunks, totalSteps: rules.steps, settings: settings)
    } catch {
      work.samples.close()
      throw error
    }
    model = ModelVectors(rules.chunks)
  }

  deinit { work.samples.close() }

  /// Computes an order at parameters that are given chunk by chunk, in some cases with the optimiser's state after them.
  func compute(_ order: ComputeOrder, at parameters: [Frame]) throws(ConvoyError) -> Computed {
    let chunks = rules.chunks
    for (chunk, frame) in parameters.enumerated() {
      if frame.count > chunks.bytes(of: chunk), model.slots.isEmpty {
        model = ModelVectors(
          parameters: model.parameters, buffers: model.buffers,
          slots: settings.optimizer.makeState(count: chunks.elements))
      }
      frame.withBytes { model.copy($0, to: chunk, of: chunks) }
    }
    var computed = Computed()
    work.readAhead(order)
    try summer.compute(
      order, model: model,
      ready: { node, _, vectors in
        if computed.sums.last?.node != node { computed.sums.append((node, vectors)) }
      }, computed: { computed.results.append($0) })
    return computed
  }

  /// The parameters and buffers of a checkpoint.
  func vectors(of checkpoint: StoredCheckpoint) throws(ConvoyError) -> ModelVectors {
    let form = CutForm(network: prepared.network, optimizer: settings.optimizer)
    return try CutVectors(checkpoint.mark, states: checkpoint.frames.compactMap(\.self), form: form).model
  }

  /// How good parameters are on the test set.
  func evaluate(_ vectors: ModelVectors) throws(ConvoyError) -> Evaluation {
    let job = prepared.job
    return try Evaluation.evaluate(
      prepared.network, vectors, engine: try prepared.engine(), data: job.data, directory: job.dataDirectory)
  }
}

package import Datasets
package import Engines
import Networks
package import ParameterServer
import Tensors

/// What a worker works with, once it has read the job and its data.
package struct PreparedWork: Sendable {
  private let prepared: PreparedJob
  private let engine: any Engine
  private let dataset: ImageDataset
  private let threads: Int

  /// The samples, read ahead.
  package let samples: PrefetchingReader
  /// The digests that it tells the coordinator.
  package let digests: Digests
  /// What decides the bits of its gradients.
  package let fingerprint: String

  /// Batches that are read ahead of the computation.
  static let readAheadBatches = 4

  /// Reads the job and its data.
  ///
  /// - Parameter threads: threads of this worker; nil for the job's.
  package init(_ welcome: Welcome, threads: Int? = nil) throws(ConvoyError) {
    AnsweringThread.requireOther("the data set")
    prepared = try PreparedJob(text: welcome.job)
    let job = prepared.job
    engine = try prepared.engine()
    self.threads = threads ?? job.threads
    // Before it joins: what a plan for more threads than there are computes is wrong.
    do throws(EngineError) { try engine.requireThreads(self.threads) } catch { throw ConvoyError(error) }
    fingerprint = engine.fingerprint(threads: self.threads, precision: prepared.precision)
    do throws(DatasetError) {
      dataset = try DatasetCatalogue.load(job.data, split: .train, directory: job.dataDirectory)
      let reader = try BatchReader(
        dataset: dataset, part: .training(prepared.holdout),
        order: SampleOrder(count: prepared.holdout.trainingCount, seed: job.seed),
        sampleShape: prepared.network.inputShape)
      let largest = (min(job.batch, prepared.holdout.trainingCount) + job.shards - 1) / job.shards
      samples = PrefetchingReader(
        reader: reader, capacity: largest, depth: Self.readAheadBatches,
        sampleShape: prepared.network.inputShape)
    } catch {
      throw ConvoyError(.badData, error.description)
    }
    var digests = prepared.digests
    digests.data = dataset.digest.bytes
    self.digests = digests
  }

  /// Number of samples that are trained on.
  package var sampleCount: Int { prepared.holdout.trainingCount }

  /// What to tell of a number format that this machine does not compute in; nil where it does.
  package var precisionProblem: String? { prepared.job.precisionProblem }

  /// Refuses rules of other vectors than the network's, or of a job that clips where this one does not.
  func requireFit(_ rules: JobRules) throws(ConvoyError) { try prepared.requireFit(rules) }

  /// The engine's plan for shards of up to so many samples.
  package func compile(batch: Int) throws(ConvoyError) -> any Plan {
    AnsweringThread.requireOther("an engine's plan")
    do throws(EngineError) {
      return try engine.compile(
        prepared.network, batch: batch,
        options: CompileOptions(
          threads: threads, purpose: .training(seed: prepared.job.seed), precision: prepared.precision,
          memoryLimit: prepared.job.memoryLimit))
    } catch {
      throw ConvoyError(error)
    }
  }

  /// How shards train by themselves.
  package func updateSettings() throws(ConvoyError) -> UpdateSettings { try prepared.updateSettings() }

  /// Has the samples of an order read ahead, shard by shard as they are computed.
  package func readAhead(_ order: ComputeOrder) {
    for node in order.nodes {
      for shard in node.shards {
        for step in order.steps {
          let positions = order.schedule.positions(ofStep: step, shard: shard)
          guard !positions.isEmpty else { continue }
          samples.enqueue(SampleBlock(epoch: order.schedule.epoch(ofStep: step), positions: positions))
        }
      }
    }
  }
}

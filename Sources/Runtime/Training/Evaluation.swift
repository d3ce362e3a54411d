package import Datasets
package import Engines
import Foundation
package import Networks
import Synchronization
import Tensors

/// How good a model is on some samples.
package struct Evaluation: Hashable, Sendable {
  /// Share of the samples whose largest logit is the label's.
  package let accuracy: Double
  /// Mean loss.
  package let loss: Double
  /// Number of samples.
  package let samples: Int

  /// Evaluates a model on a data set's test split, on every core that the environment grants and in fp32, whatever it was
  /// trained in. The last bits of the loss follow from the number of cores.
  ///
  /// - Parameter cancellation: what gives it up.
  package static func evaluate(
    _ network: Network, _ model: ModelVectors, engine: any Engine, data: String, directory: String?,
    cancellation: Cancellation = Cancellation()
  ) throws(ConvoyError) -> Evaluation {
    let threads: Int
    do throws(EngineError) {
      threads = try engine.grantedThreads(of: ProcessInfo.processInfo.activeProcessorCount).count
    } catch {
      throw ConvoyError(error)
    }
    let evaluator = try Evaluator(
      network, engine: engine, data: data, directory: directory, split: .test, threads: threads)
    return try evaluator.evaluate(model, cancellation: cancellation)
  }
}

/// A wish, from another thread, that an evaluation be given up.
package final class Cancellation: Sendable {
  private let flag = Atomic(false)

  /// Nobody wishes so yet.
  package init() {}

  /// Whether somebody does.
  package var isCancelled: Bool { flag.load(ordering: .relaxed) }

  /// Wishes so.
  package func cancel() { flag.store(true, ordering: .relaxed) }
}

/// Evaluates models on one part of a data set, which it reads once; in fp32, whatever they were trained in.
package final class Evaluator {
  private let reader: BatchReader
  private let plan: any Plan
  private let samples: Batch
  private let count: Int

  /// Samples that are computed together.
  static let batch = 200

  /// Reads the data set and compiles the network.
  ///
  /// - Parameters:
  ///   - holdout: evaluates on what is held out, of the training split; nil for all samples of the split.
  ///   - threads: threads to compute with; the loss's last bits follow from their number.
  package init(
    _ network: Network, engine: any Engine, data: String, directory: String?, split: Split, holdout: Holdout? = nil,
    threads: Int
  ) throws(ConvoyError) {
    AnsweringThread.requireOther("the data set")
    do throws(DatasetError) {
      let dataset = try DatasetCatalogue.load(data, split: split, directory: directory)
      count = holdout?.count ?? dataset.count
      reader = try BatchReader(
        dataset: dataset, part: holdout.map { .heldOut($0) } ?? .all, order: nil, sampleShape: network.inputShape)
    } catch {
      throw ConvoyError(.badData, error.description)
    }
    do throws(EngineError) {
      plan = try engine.compile(network, batch: Self.batch, threads: threads, purpose: .inference)
    } catch {
      throw ConvoyError(error)
    }
    samples = Batch(capacity: Self.batch, sampleShape: network.inputShape)
  }

  /// Evaluates a model.
  ///
  /// - Throws: where it is given up, or the engine cannot compute it.
  package func evaluate(_ model: ModelVectors, cancellation: Cancellation) throws(ConvoyError) -> Evaluation {
    AnsweringThread.requireOther("an evaluation")
    var correct = 0
    var lossSum = 0.0
    do throws(EngineError) {
      for first in stride(from: 0, to: count, by: Self.batch) where !cancellation.isCancelled {
        reader.read(SampleBlock(epoch: 0, positions: first..<min(first + Self.batch, count)), into: samples)
        let result = try plan.evaluate(samples, parameters: model.parameters, buffers: model.buffers)
        correct += result.correct
        lossSum += result.lossSum
      }
    } catch {
      throw ConvoyError(.failed, error.description)
    }
    if cancellation.isCancelled { throw ConvoyError(.interrupted, "the evaluation was given up") }
    let total = Double(max(count, 1))
    return Evaluation(accuracy: Double(correct) / total, loss: lossSum / total, samples: count)
  }
}

import Datasets
package import Engines
import Foundation
package import Networks
import Tensors

/// How good a model is on the test set.
package struct Evaluation: Sendable {
  /// Share of the samples whose largest logit is the label's.
  package let accuracy: Double
  /// Mean loss.
  package let loss: Double
  /// Number of samples.
  package let samples: Int

  /// Samples that are computed together.
  static let batch = 200

  /// Evaluates a model on a data set's test split, on every core of the machine and in fp32, whatever it was trained in.
  package static func evaluate(
    _ network: Network, _ model: ModelVectors, engine: any Engine, data: String, directory: String?
  ) throws(ConvoyError) -> Evaluation {
    let dataset: ImageDataset
    let reader: BatchReader
    do throws(DatasetError) {
      dataset = try DatasetCatalogue.load(data, split: .test, directory: directory)
      reader = try BatchReader(dataset: dataset, order: nil, sampleShape: network.inputShape)
    } catch {
      throw ConvoyError(.badData, error.description)
    }
    do throws(EngineError) {
      let plan = try engine.compile(
        network, batch: batch, threads: ProcessInfo.processInfo.activeProcessorCount, purpose: .inference)
      let samples = Batch(capacity: batch, sampleShape: network.inputShape)
      var correct = 0
      var lossSum = 0.0
      for first in stride(from: 0, to: dataset.count, by: batch) {
        reader.read(SampleBlock(epoch: 0, positions: first..<min(first + batch, dataset.count)), into: samples)
        let result = try plan.evaluate(samples, parameters: model.parameters, buffers: model.buffers)
        correct += result.correct
        lossSum += result.lossSum
      }
      let count = Double(max(dataset.count, 1))
      return Evaluation(accuracy: Double(correct) / count, loss: lossSum / count, samples: dataset.count)
    } catch {
      throw ConvoyError(.failed, error.description)
    }
  }
}

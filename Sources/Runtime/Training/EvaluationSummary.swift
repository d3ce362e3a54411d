import Engines
import ModelFiles
import Networks

/// What an evaluation found.
public struct EvaluationSummary: Codable, Sendable {
  /// Share of the samples that the model names right.
  public let testAccuracy: Double
  /// Mean loss.
  public let testLoss: Double
  /// Number of samples.
  public let samples: Int
  /// The model's name.
  public let model: String
  /// The data set's name.
  public let data: String
  /// The model's file.
  public let checkpoint: String

  enum CodingKeys: String, CodingKey {
    case testAccuracy = "test_accuracy"
    case testLoss = "test_loss"
    case samples, model, data, checkpoint
  }
}

/// Evaluates a stored model on a data set's test split.
///
/// - Parameters:
///   - checkpoint: a run folder, a checkpoint, or a model file.
///   - model: the network's name; nil reads it from the file.
package func evaluate(
  checkpoint: String, model: String? = nil, data: String, dataDirectory: String?, engine: String
) throws(ConvoyError) -> EvaluationSummary {
  let path = try RunFolder.modelFile(at: checkpoint)
  let file: SafetensorsFile
  do throws(ModelFileError) {
    file = try Safetensors.read(path: path)
  } catch {
    throw ConvoyError(.badData, error.description)
  }
  guard let name = model ?? file.metadata["convoy.model"] else {
    throw ConvoyError(.badData, "\(path) does not say which network it is of: name it with --model")
  }
  guard Catalogue.network(named: name) != nil else {
    throw ConvoyError(.badData, "\(path) is of the network \(name), which is not in the catalogue")
  }
  let network = try PreparedJob.network(named: name, for: data)
  let vectors: ModelVectors
  do throws(ModelFileError) {
    vectors = try ModelVectors(file, of: network)
  } catch {
    throw ConvoyError(.badData, error.description)
  }
  guard let engine = Engines.engine(named: engine) else {
    throw ConvoyError(.configuration, "there is no engine \(engine)")
  }
  let result = try Evaluation.evaluate(
    network, vectors, engine: engine, data: data, directory: dataDirectory)
  return EvaluationSummary(
    testAccuracy: result.accuracy, testLoss: result.loss, samples: result.samples, model: network.name, data: data,
    checkpoint: path)
}

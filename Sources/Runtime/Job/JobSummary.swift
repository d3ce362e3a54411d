import Foundation

/// What a job that is over reports: the one object of `convoy train --json`, and a run's `summary.json`.
public struct JobSummary: Codable, Hashable, Sendable {
  /// Share of the test set that the model names right.
  public var testAccuracy: Double
  /// Mean loss over the test set.
  public var testLoss: Double
  /// Mean loss over the last epoch's samples, as they were trained on.
  public var trainLoss: Double
  /// Steps applied.
  public var steps: Int
  /// Epochs begun.
  public var epochs: Int
  /// Seconds of the whole command.
  public var seconds: Double
  /// Samples applied in a second, from the first step's start to the last apply.
  public var imagesPerSecond: Double
  /// Number of parameters.
  public var parameters: Int
  /// SHA-256 over the final flat fp32 vector, little-endian.
  public var parametersSHA256: String
  /// SHA-256 over the buffers, likewise; over nothing where the network has none.
  public var buffersSHA256: String
  /// When servers applied what workers pushed.
  public var mode: String
  /// Virtual shards of a step.
  public var shards: Int
  /// Number of workers.
  public var workers: Int
  /// Number of servers.
  public var servers: Int
  /// The engine.
  public var engine: String
  /// The number format.
  public var precision: String
  /// The run's folder.
  public var runDirectory: String
  /// Share of the samples that were held out that the model names right; nil where none were, or it has no checkpoint.
  public var validationAccuracy: Double?
  /// Mean loss over them.
  public var validationLoss: Double?
  /// The step of the checkpoint that is the best by them, of those that are kept.
  public var bestStep: Int?
  /// How late what was pushed came; nil where nothing was applied one by one.
  public var staleness: StalenessSummary?
  /// What of the run could not be written to disk, and why, a line each; nil where all of it is there.
  public var notStored: [String]?

  enum CodingKeys: String, CodingKey {
    case testAccuracy = "test_accuracy"
    case testLoss = "test_loss"
    case trainLoss = "train_loss"
    case steps, epochs, seconds
    case imagesPerSecond = "images_per_second"
    case parameters
    case parametersSHA256 = "parameters_sha256"
    case buffersSHA256 = "buffers_sha256"
    case mode, shards, workers, servers, engine, precision, staleness
    case runDirectory = "run_dir"
    case validationAccuracy = "validation_accuracy"
    case validationLoss = "validation_loss"
    case bestStep = "best_step"
    case notStored = "not_stored"
  }

  /// Throws where a part of the run is not on disk: its command has failed, although the model is there.
  package func requireStored() throws(ConvoyError) {
    guard let notStored, !notStored.isEmpty else { return }
    throw ConvoyError(
      .failed,
      "the model is in \(runDirectory)/\(RunFolder.modelName), but not all of the run could be stored: \(notStored.joined(separator: "; "))"
    )
  }

  /// The summary as one JSON object on one line.
  public var json: String { JSONText.line(self) }
}

/// JSON on one line.
public enum JSONText {
  /// A value as one line of JSON; numbers that JSON has no word for become strings.
  public static func line(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    guard let data = try? encoder.encode(value) else { preconditionFailure("\(value) has no JSON") }
    return String(decoding: data, as: UTF8.self)
  }
}

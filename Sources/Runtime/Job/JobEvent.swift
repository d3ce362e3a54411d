import Foundation

/// How far a job is.
public struct ProgressEvent: Codable, Hashable, Sendable {
  /// Steps that every working worker has begun.
  public var step: Int
  /// Steps of the job.
  public var steps: Int
  /// The epoch, from 1: what people and files count by.
  public var epoch: Int
  /// Mean loss over the newest samples.
  public var loss: Double
  /// Samples computed in a second, lately.
  public var imagesPerSecond: Double

  enum CodingKeys: String, CodingKey {
    case step, steps, epoch, loss
    case imagesPerSecond = "images_per_second"
  }
}

/// What a coordinator tells whoever started it: a line of JSON each, on its standard output.
public enum JobEvent: Hashable, Sendable {
  /// Members may connect.
  case listening(address: String)
  /// These members have not joined.
  case waiting(missing: [String])
  /// Training begins, so many seconds after the command was given.
  case started(seconds: Double)
  /// How far it is.
  case progress(ProgressEvent)
  /// Something that the person should know at once: a member is gone, a checkpoint failed.
  case notice(String)
  /// It is over.
  case finished(JobSummary)
  /// It failed.
  case failed(message: String, exitCode: Int32)
}

extension JobEvent: Codable {
  private enum Key: String, CodingKey {
    case event, address, missing, seconds, message
    case exitCode = "exit_code"
  }

  /// Reads an encoded value.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    switch try values.decode(String.self, forKey: .event) {
    case "listening": self = .listening(address: try values.decode(String.self, forKey: .address))
    case "waiting": self = .waiting(missing: try values.decode([String].self, forKey: .missing))
    case "started": self = .started(seconds: try values.decode(Double.self, forKey: .seconds))
    case "progress": self = .progress(try ProgressEvent(from: decoder))
    case "notice": self = .notice(try values.decode(String.self, forKey: .message))
    case "finished": self = .finished(try JobSummary(from: decoder))
    case "failed":
      self = .failed(
        message: try values.decode(String.self, forKey: .message),
        exitCode: try values.decode(Int32.self, forKey: .exitCode))
    case let name:
      throw DecodingError.dataCorruptedError(forKey: .event, in: values, debugDescription: "no event \(name)")
    }
  }

  /// Writes an encoded value.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    switch self {
    case .listening(let address):
      try values.encode("listening", forKey: .event)
      try values.encode(address, forKey: .address)
    case .waiting(let missing):
      try values.encode("waiting", forKey: .event)
      try values.encode(missing, forKey: .missing)
    case .started(let seconds):
      try values.encode("started", forKey: .event)
      try values.encode(seconds, forKey: .seconds)
    case .progress(let progress):
      try values.encode("progress", forKey: .event)
      try progress.encode(to: encoder)
    case .notice(let message):
      try values.encode("notice", forKey: .event)
      try values.encode(message, forKey: .message)
    case .finished(let summary):
      try values.encode("finished", forKey: .event)
      try summary.encode(to: encoder)
    case .failed(let message, let exitCode):
      try values.encode("failed", forKey: .event)
      try values.encode(message, forKey: .message)
      try values.encode(exitCode, forKey: .exitCode)
    }
  }

  /// Reads a line; nil where it is no event.
  public init?(line: String) {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    guard let event = try? decoder.decode(JobEvent.self, from: Data(line.utf8)) else { return nil }
    self = event
  }
}

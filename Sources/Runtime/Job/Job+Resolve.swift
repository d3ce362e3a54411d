import Foundation
import Observability

/// Where a setting's text was written.
enum OptionPlace: Sendable {
  case flag
  case environment
  case file(String, line: Int)

  func prefix(_ option: JobOption) -> String {
    switch self {
    case .flag: "--\(option.name)"
    case .environment: option.environmentName
    case .file(let path, let line): "\(path):\(line): \(option.name)"
    }
  }

  var code: ExitCode {
    switch self {
    case .flag: .usage
    case .environment, .file: .configuration
    }
  }
}

extension Job {
  /// Resolves settings: flags over the environment over the job file over the defaults.
  ///
  /// - Parameters:
  ///   - flags: texts by option name, without `--`.
  ///   - environment: of the process; what begins with `CONVOY_` and the name of an option counts.
  ///   - file: the job file, if there is one.
  public static func resolve(
    flags: [String: String], environment: [String: String], file: String?
  ) throws(ConvoyError) -> Job {
    var values: [String: (text: String, place: OptionPlace)] = [:]
    if let file {
      for entry in try JobFile.read(path: file) { values[entry.name] = (entry.text, .file(file, line: entry.line)) }
    }
    for option in JobOption.all {
      if let text = environment[option.environmentName] { values[option.name] = (text, .environment) }
      if let text = flags[option.name] { values[option.name] = (text, .flag) }
    }
    return try Job(values)
  }

  init(_ values: [String: (text: String, place: OptionPlace)]) throws(ConvoyError) {
    self.init()
    for option in JobOption.all {
      guard let (text, place) = values[option.name] else { continue }
      do throws(OptionProblem) {
        try option.set(&self, text)
      } catch {
        throw ConvoyError(place.code, "\(place.prefix(option)): \(error.text)")
      }
    }
    if values["shards"] == nil {
      shards = 1
      while shards < workers { shards *= 2 }
    }
    guard momentum > 0 || !nesterov else {
      let place = values["nesterov"]?.place ?? .flag
      throw ConvoyError(
        .configuration, "\(place.prefix(JobOption.all.first { $0.name == "nesterov" }!)): it needs a momentum above 0")
    }
  }
}

import Foundation
import Observability
import ParameterServer

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

  /// Flags come before the environment, and that before a file.
  var precedence: Int {
    switch self {
    case .flag: 2
    case .environment: 1
    case .file: 0
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
  ///   - environment: of the process; `CONVOY_` and the name of an option counts, and other names that begin so are refused.
  ///   - file: the job file, if there is one.
  public static func resolve(
    flags: [String: String], environment: [String: String], file: String?
  ) throws(ConvoyError) -> Job {
    try EnvironmentNames.requireKnown(environment)
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
    if values["warmup-steps"] == nil, !mode.isSummed { warmupSteps = Self.asynchronousWarmupSteps }
    try settleOptimizer(values)
    try checkMembers(values)
    guard momentum > 0 || !nesterov else {
      let place = values["nesterov"]?.place ?? .flag
      throw ConvoyError(
        .configuration, "\(place.prefix(JobOption.all.first { $0.name == "nesterov" }!)): it needs a momentum above 0")
    }
  }

  /// Refuses replicas and spared shards that the job has no room for.
  private func checkMembers(_ values: [String: (text: String, place: OptionPlace)]) throws(ConvoyError) {
    func prefix(_ name: String) -> String {
      (values[name]?.place ?? .flag).prefix(JobOption.all.first { $0.name == name }!)
    }
    if replicas >= servers {
      throw ConvoyError(
        .configuration, "\(prefix("replicas")): a replica needs a second server, and there is 1: add --servers 2")
    }
    if mode.sparedShards >= shards {
      throw ConvoyError(
        .configuration,
        "\(prefix("mode")): \(mode) spares \(mode.sparedShards) of \(shards) shards: state more --shards or spare fewer"
      )
    }
  }

  /// Steps of warm-up where gradients come late. The first gradients are the largest, and late ones make them worse: without
  /// warm-up LeNet's loss overflowed within 30 steps in 5 of 12 runs of one seed on a busy machine.
  private static let asynchronousWarmupSteps = 100

  /// Gives the optimiser its own defaults, and refuses settings that it has not.
  ///
  /// What a place of less precedence than the optimiser's says of another optimiser is left aside: `--optimizer adam` over
  /// the job file of a run with SGD.
  private mutating func settleOptimizer(
    _ values: [String: (text: String, place: OptionPlace)]
  ) throws(ConvoyError) {
    let kind = optimizerKind
    let standard = Job()
    for option in JobOption.all where OptimizerKind.options.contains(option.name) && kind.defaults[option.name] == nil {
      guard let (_, place) = values[option.name] else { continue }
      if let chosen = values["optimizer"]?.place, place.precedence < chosen.precedence { continue }
      let having = OptimizerKind.having(option.name).map(\.rawValue).joined(separator: ", ")
      throw ConvoyError(place.code, "\(place.prefix(option)): the optimizer \(optimizer) has none; it is for \(having)")
    }
    if kind != .sgd { (momentum, nesterov) = (standard.momentum, standard.nesterov) }
    beta1 = optimizerSetting("beta1", beta1)
    beta2 = optimizerSetting("beta2", beta2)
    rho = optimizerSetting("rho", rho)
    epsilon = optimizerSetting("epsilon", epsilon)
    if values["learning-rate"] == nil { learningRate = kind.defaultLearningRate }
  }
}

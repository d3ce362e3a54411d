import Observability
import ParameterServer

extension JobOption {
  /// What a job survives, and what it keeps.
  static let survival: [JobOption] = [
    JobOption(
      name: "replicas", valueName: "0|1", help: "replicas of each chunk on another server",
      set: { job, text throws(OptionProblem) in job.replicas = try integer(text, 0...1) }, get: { "\($0.replicas)" }),
    JobOption(
      name: "stall-timeout", valueName: "s",
      help: "seconds that a member may hear nothing of a server before the job goes on without one of the two",
      set: { job, text throws(OptionProblem) in
        let seconds = try number(text, 0...86_400)
        guard seconds >= 6 else { throw OptionProblem(text: "\(text) seconds are less than 6") }
        job.stallTimeout = seconds
      }, get: { "\($0.stallTimeout)" }),
    JobOption(
      name: "checkpoint-every", valueName: "n", help: "steps between two checkpoints (default: only the last)",
      set: { job, text throws(OptionProblem) in job.checkpointEvery = try integer(text, 1...1_000_000_000) },
      get: { $0.checkpointEvery.map { "\($0)" } }),
    JobOption(
      name: "checkpoint-minutes", valueName: "x", help: "minutes between two checkpoints (default: none by time)",
      set: { job, text throws(OptionProblem) in
        let minutes = try number(text, 0...1e6)
        guard minutes >= 0.001 else { throw OptionProblem(text: "\(text) minutes are less than 0.001") }
        job.checkpointMinutes = minutes
      }, get: { $0.checkpointMinutes.map { "\($0)" } }),
    JobOption(
      name: "keep", valueName: "n", help: "checkpoints that are kept, beside the best",
      set: { job, text throws(OptionProblem) in job.keep = try integer(text, 1...1_000_000) }, get: { "\($0.keep)" }),
    JobOption(
      name: "validation", valueName: "n",
      help: "training samples, or the share of them, that are held out of training to choose the best checkpoint by",
      set: { job, text throws(OptionProblem) in
        guard let size = ValidationSize(text) else {
          throw OptionProblem(text: "\(text) is neither a number of samples nor a share from 0 to below 1")
        }
        job.validation = size
      }, get: { "\($0.validation)" }),
    JobOption(
      name: "rebalance", valueName: "on|off", help: "whether faster workers are given more shards",
      set: { job, text throws(OptionProblem) in job.rebalance = try known(text, ["on", "off"], "setting") == "on" },
      get: { $0.rebalance ? "on" : "off" }),
  ]

  /// What becomes of late gradients.
  static let lateness: [JobOption] = [
    JobOption(
      name: "max-staleness", valueName: "n",
      help: "updates past which a late gradient is refused, in ssp and async (default: no bound)",
      set: { job, text throws(OptionProblem) in job.maxStaleness = try integer(text, 0...1_000_000_000) },
      get: { $0.maxStaleness.map { "\($0)" } }),
    JobOption(
      name: "staleness-scaling", valueName: "form",
      help: "what a late gradient's learning rate is divided by: none, or inverse for 1 + updates that it missed",
      set: { job, text throws(OptionProblem) in
        job.stalenessScaling = try known(
          text, UpdateSettings.StalenessScaling.allCases.map(\.rawValue), "staleness scaling")
      }, get: { $0.stalenessScaling }),
    JobOption(
      name: "delay-compensation", valueName: "lambda",
      help: "how much of a late gradient's delay is compensated (DC-ASGD), in ssp and async",
      set: { job, text throws(OptionProblem) in job.delayCompensation = try number(text, 0...1e6) },
      get: { "\($0.delayCompensation)" }),
  ]

  /// Reads a mode; the error names the modes.
  static func mode(_ text: String) throws(OptionProblem) -> Consistency {
    if let mode = Consistency(text) { return mode }
    let word = String(text.prefix { $0 != ":" })
    let forms = ["sync", "ssp:SLACK", "async", "backup:SPARED", "local:STEPS"]
    if ["ssp", "backup", "local"].contains(word) {
      throw OptionProblem(
        text: "\(text) is no mode: \(word) takes a number from 1 to \(Consistency.maximumArgument), as in \(word):3")
    }
    if ["sync", "async"].contains(word) { throw OptionProblem(text: "\(text) is no mode: \(word) takes no number") }
    let hint = NearestName.hint(for: word, in: forms)
    throw OptionProblem(text: "there is no mode \(text); \(hint)")
  }
}

import Datasets
import Engines
import Networks
import Observability
import ParameterServer
import Tensors

/// One setting of a job: its name in every place, and how its text is read.
///
/// One table serves flags (`--learning-rate`), the environment (`CONVOY_LEARNING_RATE`) and the job file
/// (`learning-rate:`), so that no place knows less than another.
public struct JobOption: Sendable {
  /// The name in the job file; a flag is `--` and the name.
  public let name: String
  /// The word that stands for a value in help.
  public let valueName: String
  /// What it sets, for help.
  public let help: String
  /// Reads a text into a job; throws what is wrong with the text.
  let set: @Sendable (inout Job, String) throws(OptionProblem) -> Void
  /// The value of a job as text; nil where it has none.
  let get: @Sendable (Job) -> String?

  /// The name in the environment.
  public var environmentName: String {
    "CONVOY_" + name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
  }

  /// The default as text, for help.
  public var defaultText: String? {
    switch name {
    case "shards": "the power of two at or above --workers"
    case "learning-rate": Self.defaults { $0.defaultLearningRate }
    case let name where OptimizerKind.having(name) != [.sgd] && OptimizerKind.options.contains(name):
      Self.defaults { $0.defaults[name] }
    default: get(Job())
    }
  }

  /// What each optimiser takes, those of one value together: `0.9 for adadelta, 0.99 for rmsprop`.
  private static func defaults(_ value: (OptimizerKind) -> Double?) -> String {
    var groups: [(value: Double, names: [String])] = []
    for kind in OptimizerKind.allCases {
      guard let value = value(kind) else { continue }
      if let index = groups.firstIndex(where: { $0.value == value }) {
        groups[index].names.append(kind.rawValue)
      } else {
        groups.append((value, [kind.rawValue]))
      }
    }
    if groups.count == 1 { return "\(groups[0].value)" }
    return groups.map { "\($0.value) for \($0.names.joined(separator: " and "))" }.joined(separator: ", ")
  }
}

/// What is wrong with an option's text.
struct OptionProblem: Error {
  let text: String
}

extension JobOption {
  /// All settings, in the order of help and of the job file.
  public static let all: [JobOption] = places + training + survival + optimisation + lateness

  private static let places: [JobOption] = [
    JobOption(
      name: "model", valueName: "name", help: "network to train",
      set: { job, text throws(OptionProblem) in job.model = try known(text, Catalogue.networks.map(\.name), "model") },
      get: { $0.model }),
    JobOption(
      name: "data", valueName: "name", help: "data set to train on",
      set: { job, text throws(OptionProblem) in job.data = try known(text, DatasetCatalogue.names, "data set") },
      get: { $0.data }),
    JobOption(
      name: "data-dir", valueName: "folder", help: "folder of the data set's files",
      set: { job, text throws(OptionProblem) in job.dataDirectory = try notEmpty(text) }, get: { $0.dataDirectory }),
    JobOption(
      name: "servers", valueName: "n", help: "parameter servers",
      set: { job, text throws(OptionProblem) in job.servers = try integer(text, 1...1024) }, get: { "\($0.servers)" }),
    JobOption(
      name: "workers", valueName: "n", help: "workers",
      set: { job, text throws(OptionProblem) in job.workers = try integer(text, 1...1024) }, get: { "\($0.workers)" }),
    JobOption(
      name: "transport", valueName: "kind",
      help: "how processes reach each other: auto, tcp, ipc, or inproc (threads of one process)",
      set: { job, text throws(OptionProblem) in
        job.transport = TransportKind(rawValue: try known(text, TransportKind.allCases.map(\.rawValue), "transport"))!
      }, get: { $0.transport.rawValue }),
  ]

  private static let training: [JobOption] = [
    JobOption(
      name: "mode", valueName: "mode",
      help: "when servers apply what workers push: sync, ssp:SLACK, async, backup:SPARED, or local:STEPS",
      set: { job, text throws(OptionProblem) in job.mode = try mode(text) }, get: { "\($0.mode)" }),
    JobOption(
      name: "epochs", valueName: "n", help: "epochs to train",
      set: { job, text throws(OptionProblem) in job.epochs = try integer(text, 1...1_000_000) }, get: { "\($0.epochs)" }
    ),
    JobOption(
      name: "max-steps", valueName: "n", help: "most steps to train, if that ends before the epochs",
      set: { job, text throws(OptionProblem) in job.maxSteps = try integer(text, 1...1_000_000_000) },
      get: { $0.maxSteps.map { "\($0)" } }),
    JobOption(
      name: "seed", valueName: "n", help: "what all that is random follows from",
      set: { job, text throws(OptionProblem) in
        guard let seed = UInt64(text) else { throw OptionProblem(text: "\(text) is no whole number from 0") }
        job.seed = seed
      }, get: { "\($0.seed)" }),
    JobOption(
      name: "batch", valueName: "n", help: "samples of a step, all workers together",
      set: { job, text throws(OptionProblem) in job.batch = try integer(text, 1...1_000_000) }, get: { "\($0.batch)" }),
    JobOption(
      name: "shards", valueName: "n",
      help: "virtual shards of a step, a power of two: state it for the same bytes on other counts of workers",
      set: { job, text throws(OptionProblem) in job.shards = try shards(text) }, get: { "\($0.shards)" }),
    JobOption(
      name: "engine", valueName: "name", help: "what computes the gradients",
      set: { job, text throws(OptionProblem) in job.engine = try known(text, Engines.names, "engine") },
      get: { $0.engine }),
    JobOption(
      name: "precision", valueName: "format", help: "number format of a step: fp32, or bf16 where the CPU has it",
      set: { job, text throws(OptionProblem) in
        job.precision = try known(text, Precision.allCases.map(\.rawValue), "precision")
      },
      get: { $0.precision }),
    JobOption(
      name: "threads", valueName: "n", help: "threads of each worker",
      set: { job, text throws(OptionProblem) in job.threads = try integer(text, 1...256) }, get: { "\($0.threads)" }),
    JobOption(
      name: "memory-limit", valueName: "size",
      help: "most memory of each worker for activations, as in 2GiB: what does not fit is computed again, or in parts",
      set: { job, text throws(OptionProblem) in
        guard let size = MemorySize(text) else {
          throw OptionProblem(text: "\(text) is no size of memory, such as 512MiB or 2GiB")
        }
        job.memoryLimit = size.bytes
      }, get: { $0.memoryLimit.map { "\($0)" } }),
  ]

  private static let optimisation: [JobOption] = [
    JobOption(
      name: "optimizer", valueName: "name",
      help: "what servers update with: sgd, adagrad, adadelta, rmsprop, adam, or adamw",
      set: { job, text throws(OptionProblem) in
        job.optimizer = try known(text, OptimizerKind.allCases.map(\.rawValue), "optimizer")
      }, get: { $0.optimizer }),
    JobOption(
      name: "learning-rate", valueName: "x", help: "learning rate that the schedule starts from",
      set: { job, text throws(OptionProblem) in job.learningRate = try number(text, 0...1e6) },
      get: { "\($0.learningRate)" }),
    JobOption(
      name: "momentum", valueName: "x", help: "share of the velocity that stays, for sgd",
      set: { job, text throws(OptionProblem) in job.momentum = try number(text, 0...1) },
      get: { job in job.optimizerSetting("momentum", job.momentum).map { "\($0)" } }),
    JobOption(
      name: "nesterov", valueName: "true|false", help: "whether momentum looks ahead, for sgd",
      set: { job, text throws(OptionProblem) in
        guard let value = Bool(text) else { throw OptionProblem(text: "\(text) is neither true nor false") }
        job.nesterov = value
      }, get: { $0.optimizerKind == .sgd ? "\($0.nesterov)" : nil }),
    JobOption(
      name: "beta1", valueName: "x", help: "share of the gradients' running mean that stays, for adam and adamw",
      set: { job, text throws(OptionProblem) in job.beta1 = try share(text) },
      get: { job in job.optimizerSetting("beta1", job.beta1).map { "\($0)" } }),
    JobOption(
      name: "beta2", valueName: "x",
      help: "share of the squared gradients' running mean that stays, for adam and adamw",
      set: { job, text throws(OptionProblem) in job.beta2 = try share(text) },
      get: { job in job.optimizerSetting("beta2", job.beta2).map { "\($0)" } }),
    JobOption(
      name: "rho", valueName: "x", help: "share of the running means that stays, for adadelta and rmsprop",
      set: { job, text throws(OptionProblem) in job.rho = try share(text) },
      get: { job in job.optimizerSetting("rho", job.rho).map { "\($0)" } }),
    JobOption(
      name: "epsilon", valueName: "x", help: "what keeps a divisor from 0, for all optimizers but sgd",
      set: { job, text throws(OptionProblem) in job.epsilon = try epsilon(text) },
      get: { job in job.optimizerSetting("epsilon", job.epsilon).map { "\($0)" } }),
    JobOption(
      name: "weight-decay", valueName: "x",
      help: "what is added to the gradient for each unit of weight; adamw takes it from the weight itself",
      set: { job, text throws(OptionProblem) in job.weightDecay = try number(text, 0...1e6) },
      get: { "\($0.weightDecay)" }),
    JobOption(
      name: "clip-norm", valueName: "x",
      help: "norm of the gradient above which it is scaled down to it (default: none)",
      set: { job, text throws(OptionProblem) in
        job.clipNorm = try number(text, 1e-30...1e30)
      }, get: { $0.clipNorm.map { "\($0)" } }),
    JobOption(
      name: "schedule", valueName: "form",
      help: "how the learning rate changes: \(LearningRateSchedule.forms.joined(separator: ", "))",
      set: { job, text throws(OptionProblem) in
        do throws(ScheduleError) { job.schedule = try LearningRateSchedule(parsing: text).description } catch {
          throw OptionProblem(text: error.description)
        }
      }, get: { $0.schedule }),
    JobOption(
      name: "warmup-steps", valueName: "n", help: "steps of linear warm-up",
      set: { job, text throws(OptionProblem) in job.warmupSteps = try integer(text, 0...1_000_000_000) },
      get: { "\($0.warmupSteps)" }),
  ]

  // MARK: Reading

  static func known(_ text: String, _ names: [String], _ what: String) throws(OptionProblem) -> String {
    guard names.contains(text) else {
      throw OptionProblem(text: "there is no \(what) \(text); \(NearestName.hint(for: text, in: names))")
    }
    return text
  }

  private static func notEmpty(_ text: String) throws(OptionProblem) -> String {
    guard !text.isEmpty else { throw OptionProblem(text: "it is empty") }
    return text
  }

  static func integer(_ text: String, _ range: ClosedRange<Int>) throws(OptionProblem) -> Int {
    guard let value = Int(text), range.contains(value) else {
      throw OptionProblem(text: "\(text) is no whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  static func number(_ text: String, _ range: ClosedRange<Double>) throws(OptionProblem) -> Double {
    guard let value = Double(text), range.contains(value) else {
      throw OptionProblem(text: "\(text) is no number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// A share that leaves something for what is new: below 1 in fp32, in which servers compute.
  private static func share(_ text: String) throws(OptionProblem) -> Double {
    guard let value = Double(text), value >= 0, Float(value) < 1 else {
      throw OptionProblem(text: "\(text) is no number from 0 to below 1")
    }
    return value
  }

  private static func epsilon(_ text: String) throws(OptionProblem) -> Double {
    guard let value = Double(text), (1e-30...1).contains(value) else {
      throw OptionProblem(text: "\(text) is no number from 1e-30 to 1")
    }
    return value
  }

  private static func shards(_ text: String) throws(OptionProblem) -> Int {
    let value = try integer(text, 1...ShardTree.maximumShards)
    guard ShardTree(shards: value) != nil else {
      let lower = 1 << (Int.bitWidth - 1 - value.leadingZeroBitCount)
      throw OptionProblem(text: "\(value) is no power of two; the nearest are \(lower) and \(2 * lower)")
    }
    return value
  }
}

import Engines
public import ParameterServer

/// How the processes of a job reach each other.
public enum TransportKind: String, Codable, Hashable, Sendable, CaseIterable {
  /// The fastest that fits: sockets in the file system, as all processes are on this machine.
  case auto
  /// TCP on the loopback interface.
  case tcp
  /// Sockets in the file system.
  case ipc
  /// Threads of one process.
  case inproc
}

/// A job's settings, resolved: every one has its value.
public struct Job: Hashable, Sendable {
  /// The network, by its name in the catalogue.
  public var model = "lenet"
  /// The data set, by its name.
  public var data = "fashion-mnist"
  /// The data set's folder; nil for where its package puts it.
  public var dataDirectory: String?
  /// Number of parameter servers.
  public var servers = 1
  /// Number of workers.
  public var workers = 2
  /// When servers apply what workers push.
  public var mode = Consistency.sync
  /// Epochs to train; whichever ends first of this and `maxSteps`.
  public var epochs = 2
  /// Most steps to train; nil for no bound.
  public var maxSteps: Int?
  /// What all that is random follows from.
  public var seed: UInt64 = 1
  /// Virtual shards of a step: a power of two.
  public var shards = 2
  /// Samples of a step, all workers together.
  public var batch = 128
  /// The engine that computes gradients.
  public var engine = Engines.defaultName
  /// The format of the numbers in a step.
  public var precision = "fp32"
  /// Threads of each worker.
  public var threads = 1
  /// Most bytes that each worker takes for activations and their gradients; nil for as many as it takes.
  public var memoryLimit: Int?
  /// The optimiser, by its name: see `OptimizerKind`.
  public var optimizer = "sgd"
  /// The learning rate that the schedule starts from; `Job.resolve` has a default for each optimiser.
  public var learningRate = 0.03
  /// Share of the velocity that stays: SGD's.
  public var momentum = 0.9
  /// Whether momentum looks ahead: SGD's.
  public var nesterov = false
  /// What is added to the gradient for each unit of weight; AdamW takes it from the weight itself.
  public var weightDecay = 0.0
  /// Share of Adam's and AdamW's running mean of gradients that stays; nil for the optimiser's default.
  public var beta1: Double?
  /// Share of Adam's and AdamW's running mean of squares that stays; nil for the optimiser's default.
  public var beta2: Double?
  /// Share of Adadelta's and RMSProp's running means that stays; nil for the optimiser's default.
  public var rho: Double?
  /// What keeps a divisor from 0, in all but SGD; nil for the optimiser's default.
  public var epsilon: Double?
  /// The norm of the gradient above which it is clipped; nil for none.
  public var clipNorm: Double?
  /// How the learning rate changes, as text: see `LearningRateSchedule`.
  public var schedule = "cosine"
  /// Steps of linear warm-up.
  public var warmupSteps = 0
  /// How the processes reach each other.
  public var transport = TransportKind.auto
  /// Replicas of each chunk on other servers: 0 or 1.
  public var replicas = 0
  /// Steps between two checkpoints; nil for none but the last.
  public var checkpointEvery: Int?
  /// Minutes between two checkpoints; nil for none by time.
  public var checkpointMinutes: Double?
  /// Seconds that a member may hear nothing of a server before the job goes on without one of the two.
  public var stallTimeout = 30.0
  /// Checkpoints that are kept, beside the best.
  public var keep = 3
  /// Training samples that are held out, to choose the best checkpoint by; where there are none, the training loss does.
  public var validation = ValidationSize.none
  /// Whether faster workers are given more shards.
  public var rebalance = true
  /// Applies past which a late gradient is refused; nil for no bound.
  public var maxStaleness: Int?
  /// What staleness does to the learning rate: `none` or `inverse`.
  public var stalenessScaling = "none"
  /// λ of delay compensation; 0 for none.
  public var delayCompensation = 0.0

  /// A job of defaults.
  public init() {}
}

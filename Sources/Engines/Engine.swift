public import Networks
public import Tensors

/// Computes networks: compiles a whole graph for a batch size into a plan.
public protocol Engine: Sendable {
  /// Its name.
  var name: String { get }
  /// What decides the bits of its results, as in `openblas 0.3.21 SkylakeX fp32 threads 1`.
  func fingerprint(threads: Int, precision: Precision) -> String
  /// Whether this processor computes in a precision with instructions of its own.
  ///
  /// Where it does not, an engine may still compute in it, many times slower than in fp32: for tests.
  func supports(_ precision: Precision) -> Bool
  /// Looks how many threads of a number the environment grants to what computes; a plan for more than that is refused.
  ///
  /// - Throws: where not even the calling thread may compute.
  func grantedThreads(of wanted: Int) throws(EngineError) -> ThreadGrant
  /// Compiles a network for up to `batch` samples at once. All memory is taken here.
  func compile(_ network: Network, batch: Int, options: CompileOptions) throws(EngineError) -> any Plan
}

/// What a plan is for.
public enum PlanPurpose: Hashable, Sendable {
  /// Gradients; the seed keys what is random, as dropout.
  case training(seed: UInt64)
  /// Forward passes only: no memory is taken for gradients.
  case inference
}

/// A network compiled for a batch size.
///
/// Used by one thread at a time.
public protocol Plan: AnyObject {
  /// Most samples of a step.
  var batch: Int { get }

  /// Computes the loss of a batch and its gradient: the sum over the samples. Takes no memory.
  ///
  /// - Parameters:
  ///   - gradient: set, not added to; all zeros for a batch without samples.
  ///   - statistics: where the step writes the mean and the unbiased variance of what each batch normalisation took, as
  ///     the network's `bufferLayout` has it: what running statistics are averaged from. Set, not added to, and not
  ///     multiplied by the number of samples; all zeros for a batch without samples. nil where nobody wants them.
  ///   - onFinal: told of each range of the gradient as it becomes final, on the calling thread, in the order of the
  ///     backward pass. The ranges are disjoint and cover the vector; once a range was told, the step reads neither its
  ///     parameters nor its gradient again.
  func step(
    _ batch: Batch, parameters: FlatVector, gradient: FlatVector, statistics: FlatVector?,
    onFinal: (Range<Int>) -> Void
  ) throws(EngineError) -> StepResult

  /// Computes the loss of a batch without anything that only training does.
  ///
  /// - Parameter buffers: the running statistics that batch normalisation normalises with, as the network's
  ///   `bufferLayout` has them; needed where the network has such layers.
  func evaluate(_ batch: Batch, parameters: FlatVector, buffers: FlatVector?) throws(EngineError) -> StepResult
}

extension Plan {
  /// Computes the loss of a batch and its gradient; the statistics of batch normalisation are left out.
  public func step(
    _ batch: Batch, parameters: FlatVector, gradient: FlatVector, onFinal: (Range<Int>) -> Void
  ) throws(EngineError) -> StepResult {
    try step(batch, parameters: parameters, gradient: gradient, statistics: nil, onFinal: onFinal)
  }

  /// Computes the loss of a batch without anything that only training does, for a network without buffers.
  public func evaluate(_ batch: Batch, parameters: FlatVector) throws(EngineError) -> StepResult {
    try evaluate(batch, parameters: parameters, buffers: nil)
  }
}

extension Plan {
  /// Computes a step and tells what each part of it took; a plan that cannot tell gives one part.
  ///
  /// For benchmarks: telling takes memory and some time of its own.
  public func profile(_ batch: Batch, parameters: FlatVector, gradient: FlatVector) throws(EngineError) -> [PlanPart] {
    if let plan = self as? any ProfiledPlan {
      return try plan.profiledStep(batch, parameters: parameters, gradient: gradient)
    }
    let clock = ContinuousClock()
    let begin = clock.now
    _ = try step(batch, parameters: parameters, gradient: gradient, onFinal: { _ in })
    return [PlanPart(purpose: "step", implementation: "unknown", duration: clock.now - begin)]
  }

  /// Runs the library's primitives of a step one after the other and nothing else: no loops of ours, no checks, no loss.
  ///
  /// For benchmarks, after a step: what it computes is of no use, the gradient included.
  ///
  /// - Returns: whether the plan consists of such primitives.
  package func runBare(_ batch: Batch, parameters: FlatVector, gradient: FlatVector) throws(EngineError) -> Bool {
    guard let plan = self as? any ProfiledPlan else { return false }
    return try plan.bareStep(batch, parameters: parameters, gradient: gradient)
  }
}

/// A plan that can tell what each part of a step takes.
protocol ProfiledPlan: Plan {
  func profiledStep(
    _ batch: Batch, parameters: FlatVector, gradient: FlatVector
  ) throws(EngineError) -> [PlanPart]

  /// Runs the library's primitives of a step; false where the plan has none.
  func bareStep(_ batch: Batch, parameters: FlatVector, gradient: FlatVector) throws(EngineError) -> Bool
}

/// A part of a step: a layer's pass, a reorder, a loop.
public struct PlanPart: Hashable, Sendable {
  /// The layer's name; empty for what belongs to no layer.
  public let layer: String
  /// What it is for, as in `conv1 forward`.
  public let purpose: String
  /// What computes it, as its library names it; `convoy` for loops of ours.
  public let implementation: String
  /// What it took.
  public let duration: Duration

  /// A part as stated.
  public init(layer: String = "", purpose: String, implementation: String, duration: Duration) {
    self.layer = layer
    self.purpose = purpose
    self.implementation = implementation
    self.duration = duration
  }
}

/// What a step found.
public struct StepResult: Hashable, Sendable {
  /// The samples' losses, added in their order; of a network with several the weighted sum.
  public var lossSum: Double
  /// Samples whose largest logit is the label's, by the main loss; 0 for one that does not choose a class for a sample.
  public var correct: Int
  /// Number of samples.
  public var samples: Int
}

/// Where a step first met a value that is not a number, or infinite.
public enum NonFiniteOrigin: Hashable, Sendable {
  /// In what the network was given.
  case input
  /// In the output of a layer of this name; of a layer with a ReLU that is fused into it, after the ReLU.
  case layer(String)
  /// In the loss of this name itself: what it took was finite.
  case loss(String)
}

/// Why an engine cannot compute.
public enum EngineError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The network has something that this engine does not compute.
  case unsupported(String)
  /// The loss is not a number, or infinite.
  ///
  /// `origin` is where values first were so, in the order of the layers.
  case notFinite(loss: Double, origin: NonFiniteOrigin)
  /// A label is none of the network's classes.
  case label(Int32, classes: Int)
  /// A place's label, one of a sample's targets, is none of the network's classes.
  case placeLabel(Float, classes: Int)
  /// The batch has another number of targets for a sample than the network's losses read.
  case targets(given: Int, expected: Int)
  /// What an embedding took names no row of its table.
  case entries(layer: String, wrong: Int, entries: Int)
  /// A batch takes more memory than there is, or than the limit that was set: what it takes at least.
  case memory(samples: Int, needed: Int, bound: Int, isMachine: Bool)
  /// A library that computes failed.
  case library(String)
  /// The process's environment does not let the engine compute as it should: what it is, and what to do.
  case environment(String)

  /// One line for a person.
  public var description: String {
    switch self {
    case .library(let what): what
    case .environment(let what): what
    case .memory(let samples, let needed, let bound, let isMachine):
      "a batch of \(samples) takes at least \(MemorySize(needed)); "
        + (isMachine
          ? "this machine has \(MemorySize(bound)) left: use a smaller batch, or set a memory limit"
          : "the memory limit is \(MemorySize(bound)): use a smaller batch or a larger limit")
    case .unsupported(let what): what
    case .notFinite(let loss, .input):
      "the loss is \(loss): the input has a value that is not finite; look at the data"
    case .notFinite(let loss, .layer(let name)):
      "the loss is \(loss): layer \(name) gave the first value that is not finite; try a smaller learning rate, or "
        + "warm-up"
    case .notFinite(let loss, .loss(let name)):
      "the loss is \(loss): all layers' values are finite up to loss \(name), which is not; look at its targets, or try "
        + "a smaller learning rate"
    case .label(let label, let classes): "a sample has label \(label), the network \(classes) classes"
    case .placeLabel(let label, let classes):
      "a place of a sample has label \(label), the network classes 0 to \(classes - 1)"
    case .targets(let given, let expected):
      "a sample has \(given) targets besides its label, the network's losses read \(expected)"
    case .entries(let layer, let wrong, let entries):
      "layer \(layer): \(wrong) entries of the batch are no whole numbers from 0 to \(entries - 1)"
    }
  }
}

/// The engines that are known by name.
public enum Engines {
  #if OneDNN
    /// The names, the default first.
    public static let names = ["onednn", "openblas"]
  #else
    /// The names, the default first.
    public static let names = ["openblas"]
  #endif

  /// The name of the one that computes where nothing else is said.
  public static var defaultName: String { names[0] }

  /// The engine of a name, or nil.
  public static func engine(named name: String) -> (any Engine)? {
    switch name {
    case "openblas": return OpenBLASEngine()
    #if OneDNN
      case "onednn": return OneDNNEngine()
    #endif
    default: return nil
    }
  }
}

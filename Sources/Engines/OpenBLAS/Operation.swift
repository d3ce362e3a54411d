import Tensors

/// Where a tensor of activations lies in the arena, and how.
struct Slot: Hashable {
  /// Offset of its first element, in elements.
  var offset: Int
  /// Channels of a spatial tensor, or all features of a flat one.
  let channels: Int
  /// Places of a channel's plane; nil for a flat tensor, which is sample-major.
  let plane: Int?

  /// Elements of one sample.
  var count: Int { channels * (plane ?? 1) }
}

/// What a step's operations read and write.
struct StepContext<Scalar: EngineScalar> {
  /// Samples of this step.
  var samples = 0
  let arena: UnsafeMutablePointer<Scalar>
  var parameters: UnsafePointer<Scalar>
  /// nil in a forward pass only.
  var gradient: UnsafeMutablePointer<Scalar>?
  var labels: UnsafePointer<Int32>
  /// The samples' numbers in their data set, and their epoch: what dropout is keyed by.
  var sampleNumbers: UnsafePointer<Int>
  var epoch = 0
  /// Whether what only training does is done.
  var isTraining = false
  var loss = 0.0
  var correct = 0

  func pointer(_ slot: Slot) -> UnsafeMutablePointer<Scalar> { arena + slot.offset }
}

/// One step of a plan: a layer, or several that were fused.
protocol Operation<Scalar>: AnyObject {
  associatedtype Scalar: EngineScalar

  /// Computes the output.
  func forward(_ context: inout StepContext<Scalar>)
  /// Computes the parameters' gradient, and the input's where it is needed.
  func backward(_ context: inout StepContext<Scalar>)
  /// The range of the flat vector that is final once `backward` is done; empty where there are no parameters.
  var parameterRange: Range<Int> { get }
}

/// The places of an operation's tensors.
struct Places {
  let input: Slot
  let output: Slot
  /// The gradient of the output; nil in a plan for inference.
  let outputGradient: Slot?
  /// The gradient of the input; nil where nothing before needs it.
  let inputGradient: Slot?
}

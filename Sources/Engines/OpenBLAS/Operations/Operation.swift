import Tensors

/// Where a tensor of activations lies in the arena, and how.
struct Slot: Hashable {
  /// Offset of its first element, in elements.
  var offset: Int
  /// Channels of a spatial tensor, or all features of a flat one.
  let channels: Int
  /// Places of a channel's plane; nil for a flat tensor, which is sample-major. Spatial ones are channel-major.
  let plane: Int?

  /// Elements of one sample.
  var count: Int { channels * (plane ?? 1) }

  /// A channel's elements in a batch: where the first lies, how many there are, and how far apart.
  func channel(_ index: Int, samples: Int) -> (first: Int, count: Int, stride: Int) {
    if let plane { return (offset + index * samples * plane, samples * plane, 1) }
    return (offset + index, samples, channels)
  }
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
  /// The samples' targets, `targetStride` for each.
  var targets: UnsafePointer<Float>?
  var targetStride = 0
  /// The samples' numbers in their data set, and their epoch: what dropout is keyed by.
  var sampleNumbers: UnsafePointer<Int>
  var epoch = 0
  /// Whether what only training does is done.
  var isTraining = false
  /// Where a training step writes the batch's mean and unbiased variance; nil where nobody wants them.
  var statistics: UnsafeMutablePointer<Float>?
  /// The running statistics that an evaluation normalises with.
  var buffers: UnsafePointer<Float>?
  var loss = 0.0
  var correct = 0
  /// The first thing that an operation could not compute.
  var failure: EngineError?

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

/// A tensor that an operation reads.
struct Source {
  let value: Slot
  /// Where its gradient is to be set; nil where nothing before needs it.
  let gradient: Slot?
}

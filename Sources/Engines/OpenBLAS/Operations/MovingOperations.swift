import CKernels
import Networks
import Tensors

/// Turns a spatial tensor, which is channel-major, into a flat one, which is sample-major, or back.
final class LayoutOperation<Scalar: EngineScalar>: Operation {
  private let places: Places

  init(places: Places) {
    self.places = places
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    swap(places.input, places.output, context)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    guard let outputGradient = places.outputGradient, let inputGradient = places.inputGradient else { return }
    swap(outputGradient, inputGradient, context)
  }

  private func swap(_ from: Slot, _ to: Slot, _ context: StepContext<Scalar>) {
    let spatial = from.plane == nil ? to : from
    let (outer, inner) =
      from.plane == nil ? (context.samples, spatial.channels) : (spatial.channels, context.samples)
    Scalar.kernels.swapOuter(context.pointer(from), outer, inner, spatial.plane ?? 1, context.pointer(to))
  }
}

/// A copy, where a tensor that others read as well goes on under another name.
final class CopyOperation<Scalar: EngineScalar>: Operation {
  private let places: Places

  init(places: Places) {
    self.places = places
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    context.pointer(places.output).update(
      from: context.pointer(places.input), count: context.samples * places.input.count)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    guard let outputGradient = places.outputGradient, let inputGradient = places.inputGradient else { return }
    context.pointer(inputGradient).update(
      from: context.pointer(outputGradient), count: context.samples * places.input.count)
  }
}

/// A part of a tensor, or a tensor within a larger one: crop, slice and pad.
final class RegionOperation<Scalar: EngineScalar>: SharedOperation {
  private let places: Places
  private let forwardRegion: convoy_region
  private let backwardRegion: convoy_region
  private let fill: Scalar
  let team: ThreadTeam
  var pass: Pass<Scalar>?

  init(_ region: Region, inputShape: Shape, fill: Float, places: Places, team: ThreadTeam) {
    self.places = places
    self.fill = Scalar(fill)
    self.team = team
    let (input, output) = (Self.extents(inputShape), Self.extents(region.shape))
    let start = Self.fiveDimensions(region.start, missing: 0)
    forwardRegion = convoy_region(from: Self.tuple(input), to: Self.tuple(output), start: Self.tuple(start))
    backwardRegion = convoy_region(
      from: Self.tuple(output), to: Self.tuple(input), start: Self.tuple(start.map { -$0 }))
  }

  /// The arena's dimensions of a sample's: channels, samples and the plane; or samples and features, innermost.
  private static func fiveDimensions(_ numbers: [Int], missing: Int) -> [Int] {
    guard numbers.count > 1 else { return Array(repeating: missing, count: 4) + numbers }
    return [numbers[0]] + Array(repeating: missing, count: 5 - numbers.count) + numbers.dropFirst()
  }

  private static func extents(_ shape: Shape) -> [Int] { fiveDimensions(shape.extents, missing: 1) }

  private static func tuple(_ numbers: [Int]) -> (Int, Int, Int, Int, Int) {
    (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    share(context, isBackward: false, tasks: forwardRegion.to.0)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    if places.inputGradient != nil { share(context, isBackward: true, tasks: backwardRegion.to.0) }
  }

  func perform(_ channel: Int, _ pass: Pass<Scalar>) {
    let context = pass.context
    if pass.isBackward {
      guard let outputGradient = places.outputGradient, let inputGradient = places.inputGradient else { return }
      copy(backwardRegion, 0, outputGradient, inputGradient, channel, context)
    } else {
      copy(forwardRegion, fill, places.input, places.output, channel, context)
    }
  }

  private func copy(
    _ region: convoy_region, _ fill: Scalar, _ from: Slot, _ to: Slot, _ channel: Int,
    _ context: StepContext<Scalar>
  ) {
    var region = region
    (region.from.1, region.to.1) = (context.samples, context.samples)
    withUnsafePointer(to: region) {
      Scalar.moving.copyRegion(context.pointer(from), $0, fill, channel, channel + 1, context.pointer(to))
    }
  }
}

/// Up-sampling with values between places interpolated, channel by channel.
final class UpsamplingOperation<Scalar: EngineScalar>: SharedOperation {
  private let places: Places
  private let window: convoy_window
  private let alignsCorners: Bool
  let team: ThreadTeam
  var pass: Pass<Scalar>?

  init(_ node: Network.Node, alignsCorners: Bool, places: Places, team: ThreadTeam) {
    self.places = places
    self.alignsCorners = alignsCorners
    self.team = team
    window = convoy_window(input: node.inputShape.extents.dropFirst(), output: node.outputShape.extents.dropFirst())
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    share(context, isBackward: false, tasks: places.input.channels)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    if places.inputGradient != nil { share(context, isBackward: true, tasks: places.input.channels) }
  }

  func perform(_ channel: Int, _ pass: Pass<Scalar>) {
    let (context, samples) = (pass.context, pass.context.samples)
    let input = channel * samples * (places.input.plane ?? 1)
    let output = channel * samples * (places.output.plane ?? 1)
    withUnsafePointer(to: window) { window in
      if !pass.isBackward {
        Scalar.moving.upsample(
          context.pointer(places.input) + input, window, alignsCorners ? 1 : 0, samples,
          context.pointer(places.output) + output)
      } else if let outputGradient = places.outputGradient, let inputGradient = places.inputGradient {
        Scalar.moving.upsampleBackward(
          context.pointer(outputGradient) + output, window, alignsCorners ? 1 : 0, samples,
          context.pointer(inputGradient) + input)
      }
    }
  }
}

/// Rows of a table.
final class EmbeddingOperation<Scalar: EngineScalar>: Operation {
  private let places: Places
  private let layer: Embedding
  private let weights: Range<Int>

  init(_ layer: Embedding, places: Places, weights: Range<Int>) {
    self.places = places
    self.layer = layer
    self.weights = weights
  }

  var parameterRange: Range<Int> { weights }

  func forward(_ context: inout StepContext<Scalar>) {
    let wrong = Scalar.moving.embed(
      context.pointer(places.input), context.parameters + weights.lowerBound, layer.entries, layer.features,
      context.samples, places.input.count, context.pointer(places.output))
    if wrong > 0, context.failure == nil {
      context.failure = .entries(layer: layer.name, wrong: wrong, entries: layer.entries)
    }
  }

  func backward(_ context: inout StepContext<Scalar>) {
    if let inputGradient = places.inputGradient {
      // What an entry names does not change with it by a little.
      context.pointer(inputGradient).update(repeating: 0, count: context.samples * inputGradient.count)
    }
    guard let gradient = context.gradient, let outputGradient = places.outputGradient else { return }
    Scalar.moving.embedBackward(
      context.pointer(places.input), context.pointer(outputGradient), layer.entries, layer.features,
      context.samples, places.input.count, gradient + weights.lowerBound)
  }
}

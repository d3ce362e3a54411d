import Networks
import Tensors

/// A function of each element, whose derivative follows from its output.
final class ActivationOperation<Scalar: EngineScalar>: SharedOperation {
  private let places: Places
  private let function: LayerKernels<Scalar>.Elementwise
  private let derivative: LayerKernels<Scalar>.ElementwiseBackward
  let team: ThreadTeam
  var pass: Pass<Scalar>?

  init(
    _ function: @escaping LayerKernels<Scalar>.Elementwise,
    _ derivative: @escaping LayerKernels<Scalar>.ElementwiseBackward, places: Places, team: ThreadTeam
  ) {
    self.places = places
    self.function = function
    self.derivative = derivative
    self.team = team
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    share(context, isBackward: false, tasks: Pieces.count(context.samples * places.input.count))
  }

  func backward(_ context: inout StepContext<Scalar>) {
    guard places.inputGradient != nil else { return }
    share(context, isBackward: true, tasks: Pieces.count(context.samples * places.input.count))
  }

  func perform(_ piece: Int, _ pass: Pass<Scalar>) {
    let context = pass.context
    let range = Pieces.range(piece, of: context.samples * places.input.count)
    let output = context.pointer(places.output) + range.lowerBound
    if !pass.isBackward {
      function(context.pointer(places.input) + range.lowerBound, output, range.count)
    } else if let outputGradient = places.outputGradient, let inputGradient = places.inputGradient {
      derivative(
        output, context.pointer(outputGradient) + range.lowerBound,
        context.pointer(inputGradient) + range.lowerBound, range.count)
    }
  }
}

/// A leaky ReLU whose slopes are parameters, one for each channel or one for all.
final class PReLUOperation<Scalar: EngineScalar>: SharedOperation {
  private let places: Places
  private let slopes: Range<Int>
  /// The gradient of each channel's slope, where they share one.
  private let channelGradients: Slot
  let team: ThreadTeam
  var pass: Pass<Scalar>?

  init(places: Places, slopes: Range<Int>, team: ThreadTeam, arena: ArenaLayout) {
    self.places = places
    self.slopes = slopes
    self.team = team
    channelGradients = arena.reserve(places.input.channels)
  }

  var parameterRange: Range<Int> { slopes }

  func forward(_ context: inout StepContext<Scalar>) {
    share(context, isBackward: false, tasks: places.input.channels)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    guard let gradient = context.gradient else { return }
    share(context, isBackward: true, tasks: places.input.channels)
    let channels = context.pointer(channelGradients)
    if slopes.count > 1 {
      (gradient + slopes.lowerBound).update(from: channels, count: slopes.count)
    } else {
      Scalar.kernels.sumRows(channels, 1, places.input.channels, gradient + slopes.lowerBound)
    }
  }

  func perform(_ channel: Int, _ pass: Pass<Scalar>) {
    let (context, samples) = (pass.context, pass.context.samples)
    let (first, count, stride) = places.input.channel(channel, samples: samples)
    let slope = context.parameters[slopes.lowerBound + (slopes.count > 1 ? channel : 0)]
    let x = context.arena + first
    if !pass.isBackward {
      let y = context.arena + places.output.channel(channel, samples: samples).first
      Scalar.elementwise.leakyReLU(x, slope, count, stride, y)
    } else if let outputGradient = places.outputGradient {
      let dy = context.arena + outputGradient.channel(channel, samples: samples).first
      Scalar.elementwise.sumNegativeProducts(x, dy, count, stride, context.pointer(channelGradients) + channel)
      guard let inputGradient = places.inputGradient else { return }
      let dx = context.arena + inputGradient.channel(channel, samples: samples).first
      Scalar.elementwise.leakyReLUBackward(x, dy, slope, count, stride, dx)
    }
  }
}

/// The softmax over the channels of each place.
final class SoftmaxOperation<Scalar: EngineScalar>: Operation {
  private let places: Places

  init(places: Places) {
    self.places = places
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    let (input, channels) = (places.input, places.input.channels)
    let (_, count, stride) = input.channel(0, samples: context.samples)
    Scalar.elementwise.softmax(
      context.pointer(input), channels, channelStride(count), count, stride, context.pointer(places.output))
  }

  func backward(_ context: inout StepContext<Scalar>) {
    guard let outputGradient = places.outputGradient, let inputGradient = places.inputGradient else { return }
    let (_, count, stride) = places.input.channel(0, samples: context.samples)
    Scalar.elementwise.softmaxBackward(
      context.pointer(places.output), context.pointer(outputGradient), places.input.channels, channelStride(count),
      count, stride, context.pointer(inputGradient))
  }

  /// Elements between a place's channels.
  private func channelStride(_ count: Int) -> Int { places.input.plane == nil ? 1 : count }
}

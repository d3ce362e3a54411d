import CKernels
import Networks
import Tensors

/// Batch normalisation, channel by channel.
final class BatchNormalizationOperation<Scalar: EngineScalar>: SharedOperation {
  private let places: Places
  private let epsilon: Scalar
  private let (weights, bias): (Range<Int>, Range<Int>)
  /// Where mean and variance lie among the buffers.
  private let (means, variances): (Range<Int>, Range<Int>)
  /// The last forward pass's means, then its deviations' inverses.
  private let saved: Slot
  let team: ThreadTeam
  var pass: Pass<Scalar>?

  init(
    _ layer: BatchNormalization, places: Places, weights: Range<Int>, bias: Range<Int>, means: Range<Int>,
    variances: Range<Int>, team: ThreadTeam, arena: ArenaLayout
  ) {
    epsilon = Scalar(layer.epsilon)
    self.places = places
    (self.weights, self.bias) = (weights, bias)
    (self.means, self.variances) = (means, variances)
    self.team = team
    saved = arena.reserve(2 * places.input.channels)
  }

  var parameterRange: Range<Int> { weights.lowerBound..<bias.upperBound }

  func forward(_ context: inout StepContext<Scalar>) {
    share(context, isBackward: false, tasks: places.input.channels)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    share(context, isBackward: true, tasks: places.input.channels)
  }

  func perform(_ channel: Int, _ pass: Pass<Scalar>) {
    let context = pass.context
    let (first, count, stride) = places.input.channel(channel, samples: context.samples)
    let mean = context.pointer(saved) + channel
    let inverseDeviation = mean + places.input.channels
    let weight = context.parameters[weights.lowerBound + channel]
    if !pass.isBackward {
      let variance = variance(channel, mean: mean, context)
      inverseDeviation.pointee = 1 / (variance + epsilon).squareRoot()
      let scale = weight * inverseDeviation.pointee
      let shift = context.parameters[bias.lowerBound + channel] - mean.pointee * scale
      let output = context.arena + places.output.channel(channel, samples: context.samples).first
      Scalar.normalization.scaleShift(context.arena + first, scale, shift, count, stride, output)
    } else if let gradient = context.gradient, let outputGradient = places.outputGradient {
      let dx = places.inputGradient.map { context.arena + $0.channel(channel, samples: context.samples).first }
      Scalar.normalization.batchNormBackward(
        context.arena + first, context.arena + outputGradient.channel(channel, samples: context.samples).first,
        mean.pointee, inverseDeviation.pointee, weight, count, stride, dx,
        gradient + weights.lowerBound + channel, gradient + bias.lowerBound + channel)
    }
  }

  /// Sets a channel's mean and returns its variance: the batch's own in training, where it also tells them.
  private func variance(
    _ channel: Int, mean: UnsafeMutablePointer<Scalar>, _ context: StepContext<Scalar>
  ) -> Scalar {
    guard context.isTraining else {
      guard let buffers = context.buffers else { return 1 }
      mean.pointee = Scalar(buffers[means.lowerBound + channel])
      return Scalar(buffers[variances.lowerBound + channel])
    }
    let (first, count, stride) = places.input.channel(channel, samples: context.samples)
    // The variance passes through the place that its inverse root is then written to.
    let variance = mean + places.input.channels
    Scalar.normalization.moments(context.arena + first, count, stride, mean, variance)
    if let statistics = context.statistics {
      statistics[means.lowerBound + channel] = Float(mean.pointee)
      // One element has no unbiased variance; its biased one is 0.
      let correction = count > 1 ? Scalar(count) / Scalar(count - 1) : 1
      statistics[variances.lowerBound + channel] = Float(variance.pointee * correction)
    }
    return variance.pointee
  }
}

/// Local response normalisation, across channels or within one.
final class ResponseNormalizationOperation<Scalar: EngineScalar>: SharedOperation {
  private let places: Places
  private let layer: LocalResponseNormalization
  private let window: convoy_window
  /// The squares' factor with their number in it.
  private let alpha: Scalar
  /// k + α Σ x² after a forward pass; dy · y over it in a backward pass.
  private let scales: Slot
  /// Sums of those over neighbours, in a backward pass.
  private let sums: Slot?
  let team: ThreadTeam
  var pass: Pass<Scalar>?

  init(
    _ layer: LocalResponseNormalization, shape: Shape, batch: Int, places: Places, team: ThreadTeam,
    arena: ArenaLayout
  ) {
    self.layer = layer
    self.places = places
    self.team = team
    let plane = shape.extents.dropFirst()
    window = convoy_window(input: plane, output: plane)
    let squares = layer.region == .acrossChannels ? 1 : plane.count
    alpha = Scalar(layer.alpha) / Scalar((0..<squares).reduce(1) { product, _ in product * layer.size })
    scales = arena.reserve(batch * shape.count)
    sums = places.inputGradient == nil ? nil : arena.reserve(batch * shape.count)
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    share(context, isBackward: false, tasks: places.input.channels)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    guard places.inputGradient != nil else { return }
    // Neighbours' quotients are all there before the first sum of them.
    share(context, isBackward: true, phase: 0, tasks: places.input.channels)
    share(context, isBackward: true, phase: 1, tasks: places.input.channels)
  }

  func perform(_ channel: Int, _ pass: Pass<Scalar>) {
    let context = pass.context
    let count = context.samples * (places.input.plane ?? 1)
    let first = channel * count
    let (x, y) = (context.pointer(places.input) + first, context.pointer(places.output) + first)
    let scale = context.pointer(scales) + first
    let beta = Scalar(layer.beta)
    if !pass.isBackward {
      sum(context.pointer(places.input), squares: true, channel, scale, context)
      Scalar.normalization.responseNorm(x, Scalar(layer.k), alpha, beta, count, scale, y)
    } else if let outputGradient = places.outputGradient, let inputGradient = places.inputGradient, let sums {
      let dx = context.pointer(inputGradient) + first
      if pass.phase == 0 {
        Scalar.normalization.responseNormBackward(
          y, context.pointer(outputGradient) + first, beta, count, scale, dx)
      } else {
        sum(context.pointer(scales), squares: false, channel, context.pointer(sums) + first, context)
        Scalar.normalization.subtractProduct(dx, 2 * alpha * beta, x, context.pointer(sums) + first, count)
      }
    }
  }

  private func sum(
    _ values: UnsafeMutablePointer<Scalar>, squares: Bool, _ channel: Int, _ sums: UnsafeMutablePointer<Scalar>,
    _ context: StepContext<Scalar>
  ) {
    let count = context.samples * (places.input.plane ?? 1)
    let reach = layer.size / 2
    switch layer.region {
    case .acrossChannels:
      Scalar.normalization.sumNeighbourChannels(
        values, squares ? 1 : 0, places.input.channels, channel, reach, count, sums)
    case .withinChannel:
      withUnsafePointer(to: window) {
        Scalar.normalization.sumNeighbourPlaces(
          values + channel * count, squares ? 1 : 0, $0, context.samples, reach, sums)
      }
    }
  }
}

import Networks
import Tensors

/// Dropout: zeroes elements while training and scales the others by 1 / (1 − p).
///
/// What happens to an element follows from (seed, layer, epoch, sample) and its index in the sample, whichever shard,
/// worker or thread computes it.
final class DropoutOperation<Scalar: EngineScalar>: Operation {
  private let places: Places
  private let mask: DropoutMask
  /// The factor of each element, 0 or 1 / (1 − p), as the last forward pass drew it.
  private let factors: Slot

  init(_ probability: Double, seed: UInt64, layer: Int, batch: Int, places: Places, arena: ArenaLayout) {
    self.places = places
    mask = DropoutMask(probability, seed: seed, layer: layer)
    factors = arena.reserve(batch * places.input.count)
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    let input = context.pointer(places.input)
    let output = context.pointer(places.output)
    let count = context.samples * places.input.count
    guard context.isTraining else {
      if input != output { output.update(from: input, count: count) }
      return
    }
    draw(context)
    let factors = context.pointer(factors)
    for index in 0..<count { output[index] = input[index] * factors[index] }
  }

  func backward(_ context: inout StepContext<Scalar>) {
    guard let outputGradient = places.outputGradient, let inputGradient = places.inputGradient else { return }
    let (dy, dx) = (context.pointer(outputGradient), context.pointer(inputGradient))
    let factors = context.pointer(factors)
    for index in 0..<context.samples * places.input.count { dx[index] = dy[index] * factors[index] }
  }

  private func draw(_ context: StepContext<Scalar>) {
    let factors = context.pointer(factors)
    let (count, plane, samples) = (places.input.count, places.input.plane, context.samples)
    for sample in 0..<samples {
      mask.fill(factors, count: count, epoch: context.epoch, sample: context.sampleNumbers[sample]) { index in
        guard let plane else { return sample * count + index }
        return (index / plane * samples + sample) * plane + index % plane
      }
    }
  }
}

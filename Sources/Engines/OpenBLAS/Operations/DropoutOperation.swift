import Networks
import Tensors

/// Dropout: zeroes elements while training and scales the others by 1 / (1 − p).
///
/// What happens to an element follows from (seed, layer, epoch, sample) and its index in the sample, whichever shard,
/// worker or thread computes it.
final class DropoutOperation<Scalar: EngineScalar>: Operation {
  private let places: Places
  private let probability: Double
  private let seed: UInt64
  private let layer: Int
  /// The factor of each element, 0 or 1 / (1 − p), as the last forward pass drew it.
  private let factors: Slot

  init(_ probability: Double, seed: UInt64, layer: Int, batch: Int, places: Places, arena: ArenaLayout) {
    self.places = places
    self.probability = probability
    self.seed = seed
    self.layer = layer
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
    let threshold = UInt64(probability * 0x1p32)
    let scale = Scalar(1 / (1 - probability))
    let factors = context.pointer(factors)
    let plane = places.input.plane ?? 1
    for sample in 0..<context.samples {
      let random = CounterRandom(
        seed, UInt64(layer), UInt64(context.epoch), UInt64(context.sampleNumbers[sample]), Self.purpose)
      for first in stride(from: 0, to: places.input.count, by: 4) {
        let words = random.words(at: UInt64(first / 4))
        for index in first..<min(first + 4, places.input.count) {
          let place =
            places.input.plane == nil
            ? sample * places.input.count + index
            : (index / plane * context.samples + sample) * plane + index % plane
          factors[place] = UInt64(words[index - first]) < threshold ? 0 : scale
        }
      }
    }
  }

  /// Sets dropout's random streams apart from others of the same seed.
  private static var purpose: UInt64 { 0x6472_6F70 }
}

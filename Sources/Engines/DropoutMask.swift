import Tensors

/// Which elements dropout zeroes: it follows from (seed, layer, epoch, sample) and the element's index in the sample.
struct DropoutMask {
  private let probability: Double
  private let seed: UInt64
  private let layer: Int

  /// Sets dropout's random streams apart from others of the same seed.
  private static var purpose: UInt64 { 0x6472_6F70 }

  init(_ probability: Double, seed: UInt64, layer: Int) {
    self.probability = probability
    self.seed = seed
    self.layer = layer
  }

  /// Writes the factors of a sample's elements, 0 or 1 / (1 − p), each at the place that is said for its index.
  func fill<Scalar: BinaryFloatingPoint>(
    _ factors: UnsafeMutablePointer<Scalar>, count: Int, epoch: Int, sample: Int, place: (Int) -> Int = { $0 }
  ) {
    let threshold = UInt64(probability * 0x1p32)
    let scale = Scalar(1 / (1 - probability))
    let random = CounterRandom(seed, UInt64(layer), UInt64(epoch), UInt64(sample), Self.purpose)
    for first in stride(from: 0, to: count, by: 4) {
      let words = random.words(at: UInt64(first / 4))
      for index in first..<min(first + 4, count) {
        factors[place(index)] = UInt64(words[index - first]) < threshold ? 0 : scale
      }
    }
  }
}

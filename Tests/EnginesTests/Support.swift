import Engines
import Networks
import Tensors

/// Small whole numbers in −bound…bound, as floats: sums of their products are exact.
func integers(_ count: Int, bound: Int, seed: UInt64) -> [Float] {
  let random = CounterRandom(seed)
  return (0..<count).map { Float(Int(random.bits(at: UInt64($0)) % UInt64(2 * bound + 1)) - bound) }
}

/// Numbers in −bound ..< bound.
func uniforms(_ count: Int, bound: Double, seed: UInt64) -> [Double] {
  let random = CounterRandom(seed)
  return (0..<count).map { (2 * random.uniform(at: UInt64($0)) - 1) * bound }
}

/// A batch of samples numbered from `firstSample`, each with inputs and a label of its own.
func makeBatch(
  _ network: Network, count: Int, capacity: Int? = nil, seed: UInt64 = 1, epoch: Int = 0, firstSample: Int = 0
) -> Batch {
  let batch = Batch(capacity: capacity ?? max(count, 1), sampleShape: network.inputShape)
  batch.removeAll(epoch: epoch)
  for index in firstSample..<firstSample + count {
    let random = CounterRandom(seed, UInt64(index))
    let label = Int32(random.bits(at: 1 << 40) % UInt64(network.classes))
    batch.append(sample: index, label: label) { span in
      for element in span.indices { span[element] = Float(2 * random.uniform(at: UInt64(element)) - 1) }
    }
  }
  return batch
}

extension FlatVector {
  /// The elements' bit patterns: equal exactly when the bytes are.
  var bits: [UInt32] { array.map(\.bitPattern) }
}

/// ‖a − b‖₂ / ‖b‖₂.
func relativeDistance(_ a: [Float], _ b: [Float]) -> Double {
  precondition(a.count == b.count)
  let difference = zip(a, b).reduce(0.0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
  let norm = b.reduce(0.0) { $0 + Double($1) * Double($1) }
  return (difference / norm).squareRoot()
}

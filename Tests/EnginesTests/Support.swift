import Engines
public import Networks
import Tensors
public import Testing

extension Network: CustomTestStringConvertible {
  /// Its name: the whole graph would be pages.
  public var testDescription: String { name }
}

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

/// A batch of samples numbered from `firstSample`, each with inputs, a label and targets in [0, 1) of its own.
func makeBatch(
  _ network: Network, count: Int, capacity: Int? = nil, seed: UInt64 = 1, epoch: Int = 0, firstSample: Int = 0,
  target: (_ element: Int, _ bits: UInt64) -> Float = { Float($1 >> 40) * 0x1p-24 }
) -> Batch {
  let batch = Batch(
    capacity: capacity ?? max(count, 1), sampleShape: network.inputShape, targetCount: network.targetCount)
  batch.removeAll(epoch: epoch)
  for index in firstSample..<firstSample + count {
    let random = CounterRandom(seed, UInt64(index))
    let label = Int32(random.bits(at: 1 << 40) % UInt64(max(network.classes, 1)))
    batch.append(sample: index, label: label) { span in
      for element in span.indices { span[element] = Float(2 * random.uniform(at: UInt64(element)) - 1) }
    } fillTargets: { span in
      for element in span.indices { span[element] = target(element, random.bits(at: 1 << 41 + UInt64(element))) }
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

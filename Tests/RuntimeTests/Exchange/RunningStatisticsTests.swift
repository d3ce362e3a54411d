import Networks
import Runtime
import Tensors
import Testing

/// The moving averages that servers keep for batch normalisation.
@Suite struct RunningStatisticsTests {
  /// Four channels with momentum 0.1, then three with 0.25: 14 buffers.
  static let network = try! Network("two", input: [4, 2, 2]) {
    BatchNormalization("first")
    Convolution("conv", channels: 3, kernel: 1)
    BatchNormalization("second", momentum: 0.25)
    FullyConnected("fc", 2)
    SoftmaxCrossEntropy("loss")
  }

  private static let momenta = [Float](repeating: 0.1, count: 8) + [Float](repeating: 0.25, count: 6)
  private static let running = (0..<14).map { Float($0) * 0.37 - 2 }

  /// Updates the elements of a range, from statistics that begin at an odd address.
  private static func update(
    _ running: [Float], with statistics: [Float], shards: Int, isWholeStep: Bool, in range: Range<Int>
  ) -> [Float] {
    let next = FlatVector(count: range.count)
    var bytes: [UInt8] = [0]
    for value in statistics[range] { withUnsafeBytes(of: value) { bytes += $0 } }
    bytes.withUnsafeBytes { bytes in
      RunningStatistics(network).update(
        with: UnsafeRawBufferPointer(rebasing: bytes[1...]), shards: shards, isWholeStep: isWholeStep, range: range,
        from: FlatVector(Array(running[range])), to: next)
    }
    return next.array
  }

  @Test("A step moves each buffer towards the mean over its shards by its layer's momentum, in whatever chunks")
  func synchronous() {
    let sums = (0..<14).map { Float($0 * $0) * 0.21 + 1 }
    for shards in [1, 3, 4] {
      let expected = (0..<14).map { element in
        let (keep, share): (Float, Float) = element < 8 ? (0.9, 0.1) : (0.75, 0.25)
        return keep * Self.running[element] + share * (sums[element] / Float(shards))
      }
      #expect(Self.update(Self.running, with: sums, shards: shards, isWholeStep: true, in: 0..<14) == expected)
      for middle in [1, 7, 8, 9, 13] {
        let pieces = [0..<middle, middle..<14].flatMap {
          Self.update(Self.running, with: sums, shards: shards, isWholeStep: true, in: $0)
        }
        #expect(pieces == expected, "cut at \(middle)")
      }
    }
  }

  @Test("As many pushes as a step has shards move buffers as far as one synchronous step", arguments: [1, 2, 3, 8])
  func asynchronous(shards: Int) {
    let statistics = (0..<14).map { Float($0) * 0.5 + 0.25 }
    var running = Self.running
    for _ in 0..<shards {
      running = Self.update(running, with: statistics, shards: shards, isWholeStep: false, in: 0..<14)
    }
    for element in 0..<14 {
      let momentum = Self.momenta[element]
      let expected = (1 - momentum) * Self.running[element] + momentum * statistics[element]
      #expect(abs(running[element] - expected) < 1e-5, "\(element)")
    }
  }
}

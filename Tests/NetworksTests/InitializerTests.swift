import Networks
import Tensors
import Testing

@Suite struct InitializerTests {
  /// The first values of weights `[40, 20, 5, 5]` (fan in 500, fan out 1000), or of a bias.
  private func values(_ weights: Initializer, seed: UInt64 = 1, tensor: String = "conv.weight") throws -> [Float] {
    let network = try Network("t", input: [20, 5, 5]) {
      Convolution("conv", channels: 40, kernel: 5, weights: weights, biases: .constant(0.25))
      FullyConnected("fc", 40, weights: weights)
      SoftmaxCrossEntropy("loss")
    }
    let entry = try #require(network.parameterLayout[tensor])
    return Array(network.initialParameters(seed: seed).array[entry.range])
  }

  /// Each distribution, its deviation by the papers' formulas, and its bound if it has one.
  static let distributions: [(Initializer, deviation: Double, bound: Double)] = [
    (.xavier(.uniform), (2.0 / 1500).squareRoot(), (6.0 / 1500).squareRoot()),
    (.xavier(.normal), (2.0 / 1500).squareRoot(), .infinity),
    (.he(.uniform), (2.0 / 500).squareRoot(), (6.0 / 500).squareRoot()),
    (.he(.normal), (2.0 / 500).squareRoot(), .infinity),
    (.gaussian(deviation: 0.01), 0.01, .infinity),
    (.uniform(bound: 0.3), 0.3 / 3.0.squareRoot(), 0.3),
  ]

  @Test(arguments: distributions.indices) func hasItsMoments(index: Int) throws {
    let (initializer, deviation, bound) = Self.distributions[index]
    let values = try values(initializer).map { Double($0) / deviation }
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    let variance = values.reduce(0) { $0 + $1 * $1 } / count
    let kurtosis = values.reduce(0) { $0 + $1 * $1 * $1 * $1 } / count
    // Five deviations of each estimate for 20,000 values.
    #expect(abs(mean) < 5 / count.squareRoot())
    #expect(abs(variance - 1) < 5 * (2 / count).squareRoot())
    #expect(abs(kurtosis - (bound.isFinite ? 1.8 : 3)) < 5 * (96 / count).squareRoot())
    #expect(values.allSatisfy { abs($0) <= bound / deviation * (1 + 1e-6) })
    if bound.isFinite { #expect(values.contains { abs($0) > 0.999 * bound / deviation }) }
  }

  @Test(arguments: distributions.indices) func aPartIsThatOfTheWhole(index: Int) throws {
    let weights = Self.distributions[index].0
    let network = try Network("t", input: [3, 5, 5]) {
      Convolution("conv", channels: 7, kernel: 3, weights: weights, biases: .constant(0.25))
      FullyConnected("fc", 11, weights: weights)
      SoftmaxCrossEntropy("loss")
    }
    let whole = network.initialParameters(seed: 4).array
    // Parts of any length begin anywhere in a counter's four words, and go over the ends of tensors.
    for length in [1, 3, 64, 189, 200, whole.count] {
      for first in stride(from: 0, to: whole.count, by: length) {
        let range = first..<min(first + length, whole.count)
        #expect(network.initialParameters(in: range, seed: 4).array == Array(whole[range]), "\(range)")
      }
    }
  }

  @Test func constantsAreConstant() throws {
    #expect(try values(.constant(-1.5)).allSatisfy { $0 == -1.5 })
    #expect(try values(.constant(-1.5), tensor: "conv.bias") == Array(repeating: 0.25, count: 40))
    #expect(try values(.constant(-1.5), tensor: "fc.bias") == Array(repeating: 0, count: 40))
  }

  @Test func followsFromSeedAndTensorAlone() throws {
    let first = try values(.he(.normal))
    #expect(try values(.he(.normal)) == first)
    #expect(try values(.he(.normal), seed: 2) != first)
    let other = try values(.he(.normal), tensor: "fc.weight")
    #expect(Array(other.prefix(40)) != Array(first.prefix(40)))
    // Neighbouring values of one tensor, and the same places of two tensors, do not go together.
    func correlation(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Double {
      let products = zip(a, b).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      let norms = (a.reduce(0.0) { $0 + Double($1 * $1) }, b.reduce(0.0) { $0 + Double($1 * $1) })
      return products / (norms.0 * norms.1).squareRoot()
    }
    #expect(abs(correlation(first.dropLast(), first.dropFirst())) < 0.04)
    #expect(abs(correlation(other[...], first[..<other.count])) < 0.15)
  }

  /// The known answers of Philox 4×32-10 from its authors' library (Random123, `kat_vectors`).
  @Test func philoxGivesItsKnownAnswers() {
    let zeros = CounterRandom(key: SIMD2(0, 0)).words(at: 0, 0)
    #expect(zeros == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    let ones = CounterRandom(key: SIMD2(repeating: .max)).words(at: .max, .max)
    #expect(ones == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    let digits = CounterRandom(key: SIMD2(0xa409_3822, 0x299f_31d0))
      .words(at: 0x85a3_08d3_243f_6a88, 0x0370_7344_1319_8a2e)
    #expect(digits == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }
}

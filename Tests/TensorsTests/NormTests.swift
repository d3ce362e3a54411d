import Tensors
import Testing

@Suite struct NormTests {
  private var layout: ParameterLayout {
    var layout = ParameterLayout()
    layout.append("conv.weight", shape: [5, 7, 1000])
    layout.append("conv.bias", shape: [5])
    layout.append("fc.weight", shape: [2, 16_384])
    return layout
  }

  @Test("Blocks begin anew with each tensor and cover it")
  func blocks() {
    let blocks = NormBlocks(layout)
    #expect(
      blocks.ranges == [
        0..<16_384, 16_384..<32_768, 32_768..<35_000, 35_000..<35_005, 35_005..<51_389, 51_389..<67_773,
      ]
    )
    #expect(blocks.blocksOfTensor == [0..<3, 3..<4, 4..<6])
  }

  @Test("Sums of any length are those of a plain loop", arguments: [0, 1, 15, 16, 17, 31, 33, 1000, 16_384])
  func sums(count: Int) {
    let numbers = values(stream: 1, count: count + 3)
    let part = numbers[3...].map(Double.init)
    let vector = FlatVector(numbers)
    let (sum, squares) = (part.reduce(0, +), part.reduce(0) { $0 + $1 * $1 })
    #expect(abs(vector.sum(in: 3..<count + 3) - sum) <= 1e-12 * Double(count))
    #expect(abs(vector.squaredNorm(in: 3..<count + 3) - squares) <= 1e-13 * squares)
  }

  @Test("The order of a sum is the one that its comment states, on every instruction set")
  func order() {
    let numbers = values(stream: 2, count: 1003, scale: 1e20)
    var lanes = [Double](repeating: 0, count: 16)
    for (index, value) in numbers.enumerated() { lanes[index % 16] += Double(value) }
    for half in [8, 4, 2, 1] {
      for lane in 0..<half { lanes[lane] += lanes[lane + half] }
    }
    #expect(FlatVector(numbers).sum(in: 0..<1003) == lanes[0])
  }

  @Test("Norms of tensors follow from partial sums that anyone may have computed")
  func partials() {
    let vector = FlatVector(values(stream: 3, count: layout.count))
    let blocks = NormBlocks(layout)
    let sums = blocks.partialSums(of: vector)
    let parts = blocks.partialSums(of: vector, blocks: 0..<2) + blocks.partialSums(of: vector, blocks: 2..<6)
    #expect(parts == sums)
    #expect(blocks.tensorNorms(of: vector)[0] == NormBlocks.norm(of: sums[0..<3]))
    #expect(blocks.tensorNorms(of: vector)[2] == (sums[4] + sums[5]).squareRoot())
  }

  @Test("LARS follows its formula in double precision, whatever the split")
  func lars() {
    let layout = layout
    let lars = LARS(trustCoefficient: 0.02, momentum: 0.9, weightDecay: 1e-3)
    let start = values(stream: 4, count: layout.count)
    let (parameters, parts) = (FlatVector(start), FlatVector(start))
    let (velocity, partsVelocity) = (FlatVector(count: layout.count), FlatVector(count: layout.count))
    var weights = start.map(Double.init)
    var naiveVelocity = [Double](repeating: 0, count: layout.count)
    for update in 1...3 {
      let gradient = values(stream: 4 + update, count: layout.count)
      let vector = FlatVector(gradient)
      let ratios = lars.trustRatios(layout: layout, parameters: parameters, gradient: vector, scale: 0.5)
      for (range, to, state) in [
        (0..<layout.count, parameters, velocity), (0..<20_001, parts, partsVelocity),
        (20_001..<layout.count, parts, partsVelocity),
      ] {
        lars.apply(
          gradient: vector, scale: 0.5, learningRate: 0.4, layout: layout, ratios: ratios, parameters: to,
          velocity: state, range: range)
      }
      for entry in layout.entries {
        let w = entry.range.reduce(0) { $0 + weights[$1] * weights[$1] }.squareRoot()
        let g = entry.range.reduce(0) { $0 + Double(gradient[$1] * gradient[$1]) / 4 }.squareRoot()
        let ratio = entry.shape.rank == 1 ? 1 : 0.02 * w / (g + 1e-3 * w + 1e-8)
        for index in entry.range {
          naiveVelocity[index] =
            0.9 * naiveVelocity[index] + ratio * (Double(gradient[index]) / 2 + 1e-3 * weights[index])
          weights[index] -= 0.4 * naiveVelocity[index]
        }
      }
    }
    #expect(zip(parameters.array, weights).allSatisfy { abs(Double($0) - $1) < 1e-6 })
    #expect(bits(parameters.array) == bits(parts.array))
    #expect(bits(velocity.array) == bits(partsVelocity.array))
  }

  @Test("A tensor without a norm follows plain SGD")
  func ratioOfNothing() {
    #expect(LARS().trustRatio(parameterNorm: 0, gradientNorm: 1) == 1)
    #expect(LARS().trustRatio(parameterNorm: 1, gradientNorm: 0) == 1)
    #expect(LARS().trustRatio(parameterNorm: .nan, gradientNorm: 1) == 1)
    #expect(LARS().trustRatio(parameterNorm: 1, gradientNorm: .infinity) == 1)
  }
}

import Engines
import Networks
import Tensors
import Testing

@Suite struct PoolingTests {
  struct Case: CustomTestStringConvertible {
    let kernel: Extent
    let stride: Extent
    let padding: Extent
    let rounding: PoolingRounding
    let input: (height: Int, width: Int)
    let output: (height: Int, width: Int)

    var testDescription: String {
      "\(input), kernel \(kernel), stride \(stride), padding \(padding), \(rounding) to \(output)"
    }
  }

  /// The outputs' extents are PyTorch's answers, not computed here.
  static let cases = [
    Case(kernel: 2, stride: 2, padding: 0, rounding: .floor, input: (8, 6), output: (4, 3)),
    Case(kernel: 2, stride: 2, padding: 0, rounding: .floor, input: (7, 9), output: (3, 4)),
    Case(kernel: 2, stride: 2, padding: 0, rounding: .ceil, input: (7, 9), output: (4, 5)),
    Case(kernel: 3, stride: 2, padding: 0, rounding: .floor, input: (32, 31), output: (15, 15)),
    Case(kernel: 3, stride: 2, padding: 0, rounding: .ceil, input: (32, 31), output: (16, 15)),
    Case(kernel: 3, stride: 2, padding: 1, rounding: .floor, input: (8, 7), output: (4, 4)),
    Case(kernel: 3, stride: 2, padding: 1, rounding: .ceil, input: (8, 7), output: (5, 4)),
    Case(kernel: 2, stride: 2, padding: 1, rounding: .ceil, input: (5, 6), output: (3, 4)),
    Case(kernel: 2, stride: 3, padding: 0, rounding: .ceil, input: (6, 8), output: (2, 3)),
    Case(kernel: 3, stride: 1, padding: 1, rounding: .floor, input: (5, 5), output: (5, 5)),
    Case(
      kernel: Extent(3, 2), stride: Extent(1, 2), padding: Extent(1, 0), rounding: .ceil, input: (5, 7), output: (5, 4)),
    Case(kernel: 5, stride: 5, padding: 0, rounding: .floor, input: (5, 5), output: (1, 1)),
  ]

  private static let (channels, samples) = (3, 4)

  private func probe(_ it: Case, _ line: any LayerConvertible) throws -> (LayerProbe, NaivePooling) {
    let network = try Network("t", input: [Self.channels, it.input.height, it.input.width]) {
      line
      Flatten("flatten")
      SoftmaxCrossEntropy("loss")
    }
    #expect(network.nodes[0].outputShape == [Self.channels, it.output.height, it.output.width])
    let naive = NaivePooling(
      kernel: it.kernel, stride: it.stride, padding: it.padding, input: it.input, output: it.output)
    return (LayerProbe(network, samples: Self.samples, threads: 2), naive)
  }

  /// Calls for every output: its plane's first input, its own index, and its window.
  private func forEachOutput(_ naive: NaivePooling, _ body: (Int, Int, (places: [Int], counted: Int)) -> Void) {
    for plane in 0..<Self.samples * Self.channels {
      for y in 0..<naive.output.height {
        for x in 0..<naive.output.width {
          body(
            plane * naive.input.height * naive.input.width,
            (plane * naive.output.height + y) * naive.output.width + x, naive.window(y, x))
        }
      }
    }
  }

  @Test(arguments: cases) func maximumEqualsTheDefinition(_ it: Case) throws {
    let line = MaxPooling("pool", it.kernel, stride: it.stride, padding: it.padding, rounding: it.rounding)
    let (probe, naive) = try probe(it, line)
    // Few values, so that many windows have equal largest ones: the first takes the gradient.
    let x = integers(Self.samples * Self.channels * it.input.height * it.input.width, bound: 3, seed: 4)
    let dy = integers(Self.samples * Self.channels * it.output.height * it.output.width, bound: 3, seed: 5)
    var y = [Float](repeating: 0, count: dy.count)
    var dx = [Float](repeating: 0, count: x.count)
    forEachOutput(naive) { base, output, window in
      let largest = window.places.map { x[base + $0] }.max()!
      let place = window.places.first { x[base + $0] == largest }!
      y[output] = largest
      dx[base + place] += dy[output]
    }
    let result = probe.run(inputs: x, outputGradient: dy, parameters: [0])
    #expect(result.output == y)
    #expect(result.inputGradient == dx)
  }

  @Test(arguments: cases) func averageEqualsTheDefinition(_ it: Case) throws {
    let line = AveragePooling("pool", it.kernel, stride: it.stride, padding: it.padding, rounding: it.rounding)
    let (probe, naive) = try probe(it, line)
    let x = integers(Self.samples * Self.channels * it.input.height * it.input.width, bound: 9, seed: 4)
    let dy = integers(Self.samples * Self.channels * it.output.height * it.output.width, bound: 9, seed: 5)
    var y = [Float](repeating: 0, count: dy.count)
    var dx = [Float](repeating: 0, count: x.count)
    forEachOutput(naive) { base, output, window in
      y[output] = window.places.reduce(0) { $0 + x[base + $1] } / Float(window.counted)
      for place in window.places { dx[base + place] += dy[output] / Float(window.counted) }
    }
    let result = probe.run(inputs: x, outputGradient: dy, parameters: [0])
    #expect(result.output == y)
    #expect(zip(result.inputGradient, dx).allSatisfy { abs($0 - $1) <= 1e-5 })
  }
}

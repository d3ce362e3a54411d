import Engines
import Networks
import Tensors
import Testing

@Suite struct ConvolutionTests {
  struct Case: CustomTestStringConvertible {
    var input: Shape = [4, 9, 7]
    var channels = 6
    var kernel: Extent = 3
    var stride: Extent = 1
    var padding: Extent = 0
    var endPadding: Extent?
    var dilation: Extent = 1
    var groups = 1
    var samples = 3
    var bias = true

    var layer: Convolution {
      Convolution(
        "conv", channels: channels, kernel: kernel, stride: stride, padding: padding, endPadding: endPadding,
        dilation: dilation, groups: groups, bias: bias)
    }

    /// The definition, for a convolution between planes of these channels and extents.
    func naive(from input: Shape, to output: Shape) -> NaiveConvolution {
      func numbers(_ extent: Extent) -> [Int] { extent.numbers(dimensions: input.rank - 1)! }
      return NaiveConvolution(
        samples: samples, groups: groups, input: (input[0], Array(input.extents.dropFirst())),
        output: (output[0], Array(output.extents.dropFirst())), kernel: numbers(kernel), stride: numbers(stride),
        padding: numbers(padding), dilation: numbers(dilation))
    }

    var testDescription: String {
      "\(input) to \(channels), kernel \(kernel), stride \(stride), padding \(padding) \(endPadding.map(\.description) ?? ""), dilation \(dilation), groups \(groups)"
    }
  }

  /// Every combination of strides, paddings, dilations and groups that fits, on odd and unequal extents, and some more.
  static let cases: [Case] = {
    var cases: [Case] = []
    for stride in [1, 2, 3] as [Extent] + [Extent(2, 1)] {
      for padding in [0, 1, 2] as [Extent] + [Extent(0, 2)] {
        for dilation in [1, 2] as [Extent] + [Extent(1, 3)] {
          for groups in [1, 2] {
            cases.append(Case(stride: stride, padding: padding, dilation: dilation, groups: groups))
          }
        }
      }
    }
    cases += [
      Case(input: [1, 28, 28], channels: 20, kernel: 5, samples: 11),
      Case(input: [5, 8, 8], channels: 7, kernel: 1, samples: 2),
      Case(input: [64, 16, 16], channels: 8, kernel: 1, samples: 19), Case(kernel: 1, groups: 2),
      Case(kernel: 1, stride: 2), Case(kernel: 1, padding: 1), Case(kernel: 1, endPadding: 1),
      Case(input: [3, 5, 5], channels: 2, kernel: 5, samples: 4),
      Case(input: [6, 7, 5], channels: 6, kernel: Extent(3, 1), padding: Extent(1, 0), groups: 6),
      Case(input: [2, 11, 13], channels: 3, kernel: Extent(2, 4), stride: Extent(3, 2), padding: Extent(1, 3)),
      Case(input: [3, 7, 7], channels: 4, kernel: 7, padding: 3, samples: 1, bias: false),
      Case(input: [2, 3, 3], channels: 4, kernel: 3, padding: 4, samples: 1),
      // Too many weights for partial sums: shared by output channels.
      Case(input: [128, 3, 3], channels: 128, kernel: 3, padding: 1, samples: 2),
      // More blocks of images than partial sums.
      Case(input: [16, 16, 16], channels: 4, kernel: 5, padding: 2, samples: 33),
    ]
    return cases + lopsided + lines + volumes
  }()

  /// Paddings that differ before and after, depthwise as well.
  static let lopsided: [Case] = [
    Case(padding: 0, endPadding: 1), Case(stride: 2, padding: 2, endPadding: 0),
    Case(padding: Extent(0, 1), endPadding: Extent(2, 0), dilation: 2, groups: 2),
    Case(channels: 4, stride: 2, padding: 0, endPadding: 1, groups: 4),
    Case(channels: 8, padding: 1, groups: 4), Case(channels: 4, kernel: 5, padding: 2, dilation: 2, groups: 4),
  ]

  static let lines: [Case] = [1, 2, 3].flatMap { stride in
    [0, 2].flatMap { padding in
      [1, 2].map { dilation in
        Case(
          input: [4, 13], kernel: 3, stride: Extent(all: stride), padding: Extent(all: padding), endPadding: 1,
          dilation: Extent(all: dilation), groups: dilation)
      }
    }
  }

  static let volumes: [Case] = [
    Case(input: [2, 4, 5, 3], channels: 3, kernel: 3),
    Case(input: [2, 4, 5, 3], channels: 3, kernel: 2, stride: 2, padding: 1, endPadding: 0),
    Case(input: [4, 5, 6, 7], kernel: Extent(3, 2, 3), stride: Extent(2, 1, 2), padding: Extent(1, 0, 2), groups: 2),
    Case(input: [2, 5, 6, 7], channels: 4, kernel: Extent(2, 1, 3), padding: 1, dilation: Extent(2, 3, 1), groups: 2),
    Case(input: [3, 3, 4, 4], channels: 3, kernel: 3, padding: 1, groups: 3),
    Case(input: [2, 1, 6, 6], kernel: Extent(1, 3, 3)),
  ]

  @Test(arguments: cases) func equalsTheDefinitionExactly(_ it: Case) throws {
    let network = try Network("t", input: it.input) {
      it.layer
      Flatten("flatten")
      SoftmaxCrossEntropy("loss")
    }
    let output = network.nodes[0].outputShape
    let x = integers(it.samples * it.input.count, bound: 4, seed: 1)
    let parameters = integers(network.parameterLayout.count, bound: 3, seed: 2)
    let dy = integers(it.samples * output.count, bound: 3, seed: 3)
    let weights = network.parameterLayout.entries[0].range
    let naive = it.naive(from: it.input, to: output)

    var y = [Float](repeating: 0, count: dy.count)
    var dx = [Float](repeating: 0, count: x.count)
    var gradient = [Float](repeating: 0, count: parameters.count)
    naive.forEachProduct { input, weight, output in
      y[output] += x[input] * parameters[weight]
      dx[input] += dy[output] * parameters[weight]
      gradient[weight] += x[input] * dy[output]
    }
    let plane = output.count / output[0]
    if it.bias {
      for index in y.indices {
        let bias = weights.upperBound + index / plane % it.channels
        y[index] += parameters[bias]
        gradient[bias] += dy[index]
      }
    }
    for threads in [1, 3] {
      let result = LayerProbe(network, samples: it.samples, threads: threads)
        .run(inputs: x, outputGradient: dy, parameters: parameters)
      #expect(result.output == y)
      #expect(result.inputGradient == dx)
      #expect(result.parameterGradient == gradient)
    }
    for engine in Engines.all {
      let result = try EngineProbe(engine, input: it.input, samples: it.samples) { _ in [it.layer.layer] }
        .run(inputs: x, outputGradient: dy, parameters: parameters)
      #expect(result.output == y, "\(engine.name)")
      #expect(result.inputGradient == dx, "\(engine.name)")
      #expect(result.parameterGradient == gradient, "\(engine.name)")
    }
  }

  /// Transposed convolutions: the same numbers, and what is added to the output's extents.
  static let transposed: [(it: Case, outputPadding: Extent)] = {
    var cases: [(Case, Extent)] = []
    for stride in [1, 2] as [Extent] + [Extent(3, 2)] {
      for padding in [0, 1] as [Extent] {
        for dilation in [1, 2] as [Extent] {
          for groups in [1, 2] {
            let it = Case(input: [4, 4, 5], stride: stride, padding: padding, dilation: dilation, groups: groups)
            cases.append((it, 0))
            if stride != 1 { cases.append((it, 1)) }
          }
        }
      }
    }
    return cases + [
      (Case(input: [4, 6], kernel: 4, stride: 3, padding: 2, endPadding: 0, groups: 2), 2),
      (Case(input: [2, 3, 2, 4], channels: 3, kernel: Extent(2, 3, 2), stride: Extent(2, 1, 2)), Extent(1, 0, 0)),
      (Case(input: [4, 2, 3, 2], channels: 4, kernel: 3, stride: 2, padding: 1, groups: 4, bias: false), 1),
      (Case(input: [3, 5, 5], channels: 2, kernel: 3, padding: 1, endPadding: 2, samples: 7), 0),
      (Case(input: [4, 5, 5], kernel: 1, groups: 2), 0), (Case(input: [4, 5], kernel: 1, stride: 2), 1),
    ]
  }()

  @Test(arguments: transposed.indices) func transposedEqualsTheDefinitionExactly(index: Int) throws {
    let (it, outputPadding) = Self.transposed[index]
    let layer = TransposedConvolution(
      "up", channels: it.channels, kernel: it.kernel, stride: it.stride, padding: it.padding,
      endPadding: it.endPadding, outputPadding: outputPadding, dilation: it.dilation, groups: it.groups,
      bias: it.bias)
    let network = try Network("t", input: it.input) {
      layer
      Flatten("flatten")
      SoftmaxCrossEntropy("loss")
    }
    let output = network.nodes[0].outputShape
    let x = integers(it.samples * it.input.count, bound: 4, seed: 1)
    let parameters = integers(network.parameterLayout.count, bound: 3, seed: 2)
    let dy = integers(it.samples * output.count, bound: 3, seed: 3)
    var y = [Float](repeating: 0, count: dy.count)
    var dx = [Float](repeating: 0, count: x.count)
    var gradient = [Float](repeating: 0, count: parameters.count)
    // The convolution that this is the transpose of goes from the output to the input.
    it.naive(from: output, to: it.input).forEachProduct { place, weight, source in
      y[place] += x[source] * parameters[weight]
      dx[source] += dy[place] * parameters[weight]
      gradient[weight] += x[source] * dy[place]
    }
    if it.bias {
      let first = network.parameterLayout.entries[0].range.upperBound
      for index in y.indices {
        let bias = first + index / (output.count / output[0]) % it.channels
        y[index] += parameters[bias]
        gradient[bias] += dy[index]
      }
    }
    for threads in [1, 3] {
      let result = LayerProbe(network, samples: it.samples, threads: threads)
        .run(inputs: x, outputGradient: dy, parameters: parameters)
      #expect(result.output == y)
      #expect(result.inputGradient == dx)
      #expect(result.parameterGradient == gradient)
    }
    for engine in Engines.all {
      let result = try EngineProbe(engine, input: it.input, samples: it.samples) { _ in [layer.layer] }
        .run(inputs: x, outputGradient: dy, parameters: parameters)
      #expect(result.output == y, "\(engine.name)")
      #expect(result.inputGradient == dx, "\(engine.name)")
      #expect(result.parameterGradient == gradient, "\(engine.name)")
    }
  }

  @Test func fusedReLUEqualsTheDefinition() throws {
    let network = try Network("t", input: [2, 6, 5]) {
      Convolution("conv", channels: 3, kernel: 3, padding: 1)
      ReLU("relu")
      Flatten("flatten")
      SoftmaxCrossEntropy("loss")
    }
    let plain = try Network("t", input: [2, 6, 5]) {
      Convolution("conv", channels: 3, kernel: 3, padding: 1)
      Flatten("flatten")
      SoftmaxCrossEntropy("loss")
    }
    let x = integers(4 * 60, bound: 4, seed: 1)
    let parameters = integers(network.parameterLayout.count, bound: 3, seed: 2)
    let dy = integers(4 * 90, bound: 3, seed: 3)
    let before = LayerProbe(plain, samples: 4).run(inputs: x, outputGradient: dy, parameters: parameters).output
    let masked = zip(before, dy).map { $0 > 0 ? $1 : 0 }
    let expected = LayerProbe(plain, samples: 4).run(inputs: x, outputGradient: masked, parameters: parameters)
    let result = LayerProbe(network, samples: 4).run(inputs: x, outputGradient: dy, parameters: parameters)
    #expect(before.contains { $0 < 0 } && before.contains { $0 > 0 })
    #expect(result.output == before.map { max($0, 0) })
    #expect(result.inputGradient == expected.inputGradient)
    #expect(result.parameterGradient == expected.parameterGradient)
  }

  /// ⟨conv(x), y⟩ = ⟨x, convᵀ(y)⟩ for real numbers.
  @Test(arguments: [1, 2]) func inputGradientIsTheTranspose(groups: Int) throws {
    let network = try Network("t", input: [4, 13, 11]) {
      Convolution("conv", channels: 6, kernel: Extent(3, 5), stride: 2, padding: 2, groups: groups, bias: false)
      Flatten("flatten")
      SoftmaxCrossEntropy("loss")
    }
    let x = uniforms(5 * network.inputShape.count, bound: 1, seed: 1).map(Float.init)
    let y = uniforms(5 * network.nodes[0].outputShape.count, bound: 1, seed: 2).map(Float.init)
    let weights = uniforms(network.parameterLayout.count, bound: 1, seed: 3).map(Float.init)
    let result = LayerProbe(network, samples: 5).run(inputs: x, outputGradient: y, parameters: weights)
    let left = zip(result.output, y).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    let right = zip(x, result.inputGradient).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    let scale = zip(result.output, y).reduce(0.0) { $0 + abs(Double($1.0) * Double($1.1)) }
    #expect(abs(left - right) <= 1e-6 * scale)
  }
}

import Networks
import Tensors
import Testing

@Suite struct NetworkTests {
  private func network(_ input: Shape = [3, 8, 8], @LayerTable _ layers: () -> [Layer]) throws -> Network {
    try Network("t", input: input, layers)
  }

  @Test func shapesFollowTheLayers() throws {
    let network = try network([3, 11, 8]) {
      Convolution(
        "conv", channels: 6, kernel: Extent(3, 2), stride: 2, padding: Extent(1, 0), dilation: Extent(2, 1), groups: 3)
      MaxPooling("max", 2, rounding: .ceil)
      AveragePooling("average", 2, stride: 1)
      Tanh("tanh")
      Dropout("dropout", 0.5)
      Flatten("flatten")
      FullyConnected("fc", 4, bias: false)
      SoftmaxCrossEntropy("loss")
    }
    #expect(
      network.summary.map(\.outputShape) == [
        [6, 5, 4], [6, 3, 2], [6, 2, 1], [6, 2, 1], [6, 2, 1], [12], [4], [],
      ])
    #expect(network.summary[0].macs == 6 * 1 * 3 * 2 * 5 * 4)
    #expect(network.parameterLayout.entries.map(\.name) == ["conv.weight", "conv.bias", "fc.weight"])
    #expect(network.parameterLayout["conv.weight"]?.shape == [6, 1, 3, 2])
    #expect(network.classes == 4)
  }

  @Test func aTableTakesLoopsAndChoices() throws {
    let deep = true
    let network = try network {
      for index in 1...3 {
        Convolution("conv\(index)", channels: 4, kernel: 3, padding: 1)
        ReLU("relu\(index)")
      }
      if deep { MaxPooling("pool", 2) }
      if deep { FullyConnected("fc", 10) } else { FullyConnected("fc", 2) }
      SoftmaxCrossEntropy("loss")
    }
    #expect(network.nodes.count == 9)
    #expect(network.classes == 10)
  }

  @Test func inputsAreNamedOrThePreviousLayer() throws {
    let network = try network {
      Convolution("conv", channels: 4, kernel: 3)
      ReLU("relu", from: "conv")
      FullyConnected("fc", 10)
      SoftmaxCrossEntropy("loss", from: "fc")
    }
    #expect(network.nodes.map(\.input) == [nil, 0, 1, 2])
  }

  /// Tables that fit no network, and what the error must say.
  static let wrong: [(says: [String], layers: [Layer])] = [
    (["relu", "conv9"], [Convolution("conv", channels: 4, kernel: 3).layer, ReLU("relu", from: "conv9").layer]),
    (["conv", "name"], [Convolution("conv", channels: 4, kernel: 3).layer, ReLU("conv").layer]),
    (["conv", "9×9", "3×8×8"], [Convolution("conv", channels: 4, kernel: 9).layer]),
    (["conv", "2 groups"], [Convolution("conv", channels: 4, kernel: 3, groups: 2).layer]),
    (["conv", "0×0"], [Convolution("conv", channels: 4, kernel: 3, stride: 0).layer]),
    (["conv", "192"], [Flatten("flatten").layer, Convolution("conv", channels: 4, kernel: 3).layer]),
    (["pool", "padding"], [MaxPooling("pool", 2, padding: 2).layer]),
    (["pool", "9×9"], [AveragePooling("pool", 9).layer]),
    (["dropout", "1.0"], [Dropout("dropout", 1).layer]),
    (["loss", "3×8×8"], [SoftmaxCrossEntropy("loss").layer]),
    (["fc"], [FullyConnected("fc", 10).layer]),
    (["fc"], [FullyConnected("fc", 0).layer]),
    (["t"], []),
  ]

  @Test(arguments: wrong.indices) func whatDoesNotFitIsNamed(index: Int) throws {
    let (says, layers) = Self.wrong[index]
    let error = try #require(throws: NetworkError.self) {
      try Network("t", input: [3, 8, 8], layers: layers)
    }
    for text in says { #expect(error.description.contains(text), "\(error)") }
  }

  @Test func descriptionsDifferExactlyWhenGraphsDo() throws {
    func build(
      name: String = "t", stride: Extent = 1, weights: Initializer = .xavier(.uniform), last: String = "fc",
      rounding: PoolingRounding = .floor
    ) throws -> Network {
      try Network(name, input: [1, 8, 8]) {
        Convolution("conv", channels: 2, kernel: 3, stride: stride, weights: weights)
        MaxPooling("pool", 2, rounding: rounding)
        FullyConnected(last, 3)
        SoftmaxCrossEntropy("loss")
      }
    }
    let networks = try [
      build(), build(name: "u"), build(stride: Extent(1, 2)), build(weights: .he(.normal)), build(last: "fc1"),
      build(rounding: .ceil),
    ]
    #expect(Set(networks.map(\.canonicalDescription)).count == networks.count)
    #expect(try build().canonicalDescription == build().canonicalDescription)
  }
}

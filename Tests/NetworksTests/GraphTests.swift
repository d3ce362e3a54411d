import Networks
import Tensors
import Testing

/// Graphs whose layers take several inputs, the shapes of layers in one to three dimensions, and what is refused.
@Suite struct GraphTests {
  private func shapes(_ input: Shape, @LayerTable _ layers: () -> [Layer]) throws -> [Shape] {
    let table = layers() + [FullyConnected("last", 2).layer, SoftmaxCrossEntropy("loss").layer]
    return try Network("t", input: input, layers: table).nodes.dropLast(2).map(\.outputShape)
  }

  @Test func layersTakeSeveralInputsAndShareThem() throws {
    let network = try Network("t", input: [3, 8, 8]) {
      Convolution("a", channels: 4, kernel: 3, padding: 1)
      Convolution("b", channels: 4, kernel: 1, from: "input")
      Addition("sum", of: ["a", "b", "a"])
      Multiplication("product", of: ["sum", "b"])
      Concatenation("all", of: ["input", "product", "a"])
      FullyConnected("fc", 5)
      SoftmaxCrossEntropy("loss")
    }
    #expect(network.nodes.map(\.inputs) == [[nil], [nil], [0, 1, 0], [2, 1], [nil, 3, 0], [4], [5]])
    #expect(network.nodes[4].outputShape == [11, 8, 8])
    #expect(network.nodes[4].inputShapes == [[3, 8, 8], [4, 8, 8], [4, 8, 8]])
  }

  @Test func shapesInOneDimension() throws {
    let shapes = try shapes([4, 17]) {
      Convolution("conv", channels: 6, kernel: 3, stride: 2, padding: 2, endPadding: 0, groups: 2)
      MaxPooling("pool", 2)
      TransposedConvolution("up", channels: 5, kernel: 3, stride: 2, padding: 1, outputPadding: 1)
      AdaptivePooling("adaptive", output: 3)
      GlobalPooling("global")
      Flatten("flatten")
    }
    #expect(shapes == [[6, 9], [6, 4], [5, 8], [5, 3], [5, 1], [5]])
  }

  @Test func shapesInThreeDimensions() throws {
    let shapes = try shapes([2, 5, 8, 9]) {
      Convolution("conv", channels: 4, kernel: Extent(1, 3, 2), stride: Extent(2, 1, 1), padding: Extent(0, 1, 0))
      AveragePooling("pool", 2, stride: Extent(1, 2, 2), rounding: .ceil)
      BatchNormalization("norm")
      TransposedConvolution("up", channels: 3, kernel: 2, stride: 2)
      BilinearUpsampling("larger", scale: Extent(1, 2, 3))
      AdaptivePooling("adaptive", .maximum, output: Extent(1, 2, 3))
    }
    #expect(
      shapes == [[4, 3, 8, 8], [4, 2, 4, 4], [4, 2, 4, 4], [3, 4, 8, 8], [3, 4, 16, 24], [3, 1, 2, 3]])
  }

  @Test func shapesOfLayersThatMoveElements() throws {
    let shapes = try shapes([4, 6, 5]) {
      Pad("pad", [0, 1, 2], after: [2, 0, 0])
      Crop("crop", [1, 0, 0], after: [0, 1, 3])
      Slice("slice", 1..<4)
      Slice("rows", dimension: 1, 2..<6)
      Reshape("reshape", to: [2, 24])
      Reshape("flat", to: [48])
    }
    #expect(shapes == [[6, 7, 7], [5, 6, 4], [3, 6, 4], [3, 4, 4], [2, 24], [48]])
    #expect(try self.shapes([7]) { Embedding("table", entries: 11, features: 4) } == [[4, 7]])
  }

  @Test func parametersAndBuffersHavePyTorchsNamesAndShapes() throws {
    let network = try Network("t", input: [4, 6, 5]) {
      TransposedConvolution("up", channels: 6, kernel: Extent(3, 2), groups: 2)
      BatchNormalization("norm")
      PReLU("prelu")
      PReLU("shared", isShared: true)
      FullyConnected("fc", 3)
      SoftmaxCrossEntropy("loss")
    }
    #expect(
      network.parameterLayout.entries.map { "\($0.name) \($0.shape)" } == [
        "up.weight 4×3×3×2", "up.bias 6", "norm.weight 6", "norm.bias 6", "prelu.weight 6", "shared.weight 1",
        "fc.weight 3×288", "fc.bias 3",
      ])
    #expect(
      network.bufferLayout.entries.map { "\($0.name) \($0.shape)" } == [
        "norm.running_mean 6", "norm.running_var 6",
      ])
    #expect(network.initialBuffers().array == Array(repeating: 0, count: 6) + Array(repeating: 1, count: 6))
    let parameters = network.initialParameters(seed: 1).array
    let (norm, prelu) = (network.parameterLayout["norm.weight"]!, network.parameterLayout["prelu.weight"]!)
    #expect(parameters[norm.range].allSatisfy { $0 == 1 } && parameters[prelu.range].allSatisfy { $0 == 0.25 })
    // The kernel's places times the input's, whatever the output's; normalisation counts none.
    #expect(network.summary.map(\.macs) == [4 * 3 * 6 * 30, 0, 0, 0, 3 * 288, 0])
  }

  @Test func severalLossesEndingInTheMainOne() throws {
    let network = try Network("t", input: [3, 8, 8]) {
      Convolution("features", channels: 4, kernel: 3, padding: 1)
      SoftmaxCrossEntropy("places", weight: 0.5, perPlace: true)
      FullyConnected("values", 5, from: "features")
      L2Loss("distance", weight: 2)
      FullyConnected("fc", 7, from: "features")
      SoftmaxCrossEntropy("loss")
    }
    #expect(network.classes == 7)
    #expect(network.targetCount == 64 + 5)
    #expect(network.nodes.filter { $0.layer.kind.isLoss }.map(\.targets) == [0..<64, 64..<69, 69..<69])
  }

  private static let conv = Convolution("conv", channels: 4, kernel: 3).layer
  private static let fc = FullyConnected("fc", 5).layer

  /// Tables that fit no network, and what the error must say.
  static let wrong: [(says: [String], layers: [Layer])] = [
    (["sum", "4×6×6", "3×8×8"], [conv, Addition("sum", of: ["conv", "input"]).layer]),
    (["product", "5", "4×6×6"], [conv, fc, Multiplication("product", of: ["fc", "conv"]).layer]),
    (["all", "4×6×6", "3×8×8"], [conv, Concatenation("all", of: ["conv", "input"]).layer]),
    (["sum", "2 inputs or more", "conv of shape 4×6×6"], [conv, Addition("sum", of: ["conv"]).layer]),
    (["sum", "2 inputs or more"], [conv, Addition("sum", of: []).layer]),
    (["product", "2 inputs"], [conv, Multiplication("product", of: ["conv", "conv", "conv"]).layer]),
    (["sum", "fc", "does not come before"], [conv, Addition("sum", of: ["conv", "fc"]).layer, fc]),
    (["sum", "sum", "does not come before"], [conv, Addition("sum", of: ["conv", "sum"]).layer]),
    (["sum", "no layer nothing"], [conv, Addition("sum", of: ["conv", "nothing"]).layer]),
    (["conv", "4×6×6", "no layer takes"], [conv, FullyConnected("fc", 5, from: "input").layer]),
    (["loss2", "loss1", "loss"], [fc, SoftmaxCrossEntropy("loss1").layer, SoftmaxCrossEntropy("loss2").layer]),
    (["relu", "loss1", "loss"], [fc, SoftmaxCrossEntropy("loss1").layer, ReLU("relu", from: "loss1").layer]),
    (["pair", "2 inputs", "not 1"], [fc, ContrastiveLoss("pair", of: ["fc"]).layer]),
    (["pair", "5", "4"], [fc, FullyConnected("f", 4).layer, ContrastiveLoss("pair", of: ["fc", "f"]).layer]),
    (["input"], [Convolution("input", channels: 4, kernel: 3).layer]),
    (["loss", "2 class weights", "5 classes"], [fc, SoftmaxCrossEntropy("loss", classWeights: [1, 2]).layer]),
    (["loss", "weight"], [fc, SoftmaxCrossEntropy("loss", weight: 0).layer]),
    (["loss", "5"], [fc, SoftmaxCrossEntropy("loss", perPlace: true).layer]),
    (["conv", "1×2×3", "2 dimensions"], [Convolution("conv", channels: 4, kernel: Extent(1, 2, 3)).layer]),
    (["pool", "3×8×8"], [AdaptivePooling("pool", output: 0).layer]),
    (["crop", "3×8×8"], [Crop("crop", [0, 4, 4]).layer]),
    (["pad", "3×8×8", "one number a dimension"], [Pad("pad", [1, 1]).layer]),
    (["slice", "2..<9", "3×8×8"], [Slice("slice", dimension: 1, 2..<9).layer]),
    (["reshape", "3×8×8", "190"], [Reshape("reshape", to: [190]).layer]),
    (["table", "3×8×8"], [Embedding("table", entries: 3, features: 2).layer]),
    (["up", "output padding"], [TransposedConvolution("up", channels: 2, kernel: 3, outputPadding: 1).layer]),
    (["up", "3×8×8"], [TransposedConvolution("up", channels: 2, kernel: 1, padding: 4).layer]),
    (["norm", "odd"], [LocalResponseNormalization("norm", size: 4).layer]),
    (["fc", "elements"], [FullyConnected("fc", .max).layer]),
    (["conv", "elements"], [Convolution("conv", channels: 1 << 50, kernel: 1).layer]),
    (["table", "elements"], [Flatten("flat").layer, Embedding("table", entries: 1 << 40, features: 1 << 20).layer]),
    (["up", "elements"], [TransposedConvolution("up", channels: 9, kernel: 262_144, stride: 262_144).layer]),
    (["leaky", "-1"], [LeakyReLU("leaky", slope: -1).layer]),
  ]

  @Test(arguments: wrong.indices) func whatDoesNotFitIsNamed(index: Int) throws {
    let (says, layers) = Self.wrong[index]
    let endsInLoss = layers.last?.kind.isLoss == true
    let error = try #require(throws: NetworkError.self) {
      try Network(
        "t", input: [3, 8, 8],
        layers: endsInLoss ? layers : layers + [FullyConnected("end", 2).layer, SoftmaxCrossEntropy("loss").layer])
    }
    #expect(error.layer == says[0])
    for text in says { #expect(error.description.contains(text), "\(error)") }
    #expect(!error.description.contains("\n"))
  }
}

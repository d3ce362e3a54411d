import Engines
import Networks
import Tensors
import Testing

/// The gradients of every kind of layer and loss, in one to three dimensions, against central differences.
@Suite struct LayerGradientTests {
  private static func network(
    _ name: String, _ input: Shape = [2, 5, 4], @LayerTable _ layers: () -> [Layer]
  ) -> Network {
    try! Network(name, input: input) {
      Convolution("first", channels: 4, kernel: 3, padding: 1)
      layers()
      FullyConnected("last", 3)
      SoftmaxCrossEntropy("loss")
    }
  }

  static let windows = [
    network("convolution, line", [2, 9]) {
      Convolution("conv", channels: 6, kernel: 3, stride: 2, padding: 2, endPadding: 0, groups: 2)
    },
    network("convolution, volume", [2, 3, 4, 3]) {
      Convolution("conv", channels: 3, kernel: Extent(2, 3, 1), stride: Extent(1, 2, 1), padding: Extent(1, 0, 1))
    },
    network("depthwise") { Convolution("conv", channels: 8, kernel: 3, padding: Extent(0, 2), groups: 4) },
    network("transposed, line", [2, 5]) {
      TransposedConvolution("up", channels: 3, kernel: 3, stride: 2, padding: 1, outputPadding: 1)
    },
    network("transposed") {
      TransposedConvolution("up", channels: 6, kernel: Extent(3, 2), stride: 2, padding: 1, endPadding: 0, groups: 2)
    },
    network("transposed, volume, before ReLU", [2, 2, 3, 2]) {
      TransposedConvolution("up", channels: 2, kernel: 2, stride: Extent(1, 2, 1), bias: false)
      ReLU("relu")
    },
    network("max pooling, line", [2, 9]) { MaxPooling("pool", 3, stride: 2, padding: 1, endPadding: 0) },
    network("max pooling, volume", [2, 3, 4, 5]) { MaxPooling("pool", 2, stride: Extent(1, 2, 2), rounding: .ceil) },
    network("average pooling, line", [2, 9]) { AveragePooling("pool", 3, stride: 2, padding: 0, endPadding: 1) },
    network("average pooling, volume", [2, 3, 4, 5]) {
      AveragePooling("pool", 2, stride: Extent(1, 2, 2), padding: Extent(1, 0, 1), rounding: .ceil)
    },
    network("adaptive average") { AdaptivePooling("pool", output: Extent(3, 2)) },
    network("adaptive maximum, volume", [2, 3, 4, 3]) { AdaptivePooling("pool", .maximum, output: 2) },
    network("global average") { GlobalPooling("pool") },
    network("global maximum, line", [2, 7]) { GlobalPooling("pool", .maximum) },
    network("bilinear") { BilinearUpsampling("up", scale: Extent(2, 3)) },
    network("bilinear, corners") { BilinearUpsampling("up", scale: 2, alignsCorners: true) },
    network("trilinear", [2, 2, 3, 2]) { BilinearUpsampling("up", scale: 2) },
  ]

  static let channelwise = [
    network("batch normalisation") { BatchNormalization("norm") },
    network("batch normalisation, then ReLU") {
      BatchNormalization("norm", epsilon: 0.1)
      ReLU("relu")
    },
    network("batch normalisation, line", [2, 7]) { BatchNormalization("norm") },
    network("batch normalisation, flat") {
      FullyConnected("fc", 6)
      BatchNormalization("norm", epsilon: 0.1)
    },
    network("response across") { LocalResponseNormalization("norm", size: 3, alpha: 2, k: 2) },
    network("response within") {
      LocalResponseNormalization("norm", size: 3, alpha: 2, beta: 0.5, region: .withinChannel)
    },
    network("response within, volume", [2, 3, 3, 2]) {
      LocalResponseNormalization("norm", size: 3, alpha: 2, region: .withinChannel)
    },
    network("ReLU6") { ReLU6("relu6") },
    network("leaky ReLU") { LeakyReLU("leaky", slope: 0.2) },
    network("PReLU") { PReLU("prelu") },
    network("PReLU, flat, shared") {
      FullyConnected("fc", 6)
      PReLU("prelu", isShared: true)
    },
    network("softmax") { Softmax("softmax") },
    network("softmax, flat") {
      FullyConnected("fc", 6)
      Softmax("softmax")
    },
  ]

  static let graphs = [
    network("residual") {
      ReLU("relu")
      Convolution("conv", channels: 4, kernel: 3, padding: 1)
      BatchNormalization("norm", epsilon: 0.1)
      Addition("sum", of: ["norm", "relu"])
      ReLU("relu2")
    },
    network("twice the same") { Addition("sum", of: ["first", "first", "first"]) },
    network("square") { Multiplication("square", of: ["first", "first"]) },
    network("gate") {
      Sigmoid("gate")
      Tanh("tanh", from: "first")
      Multiplication("product", of: ["tanh", "gate"])
    },
    network("concatenation") {
      MaxPooling("pool", 3, stride: 1, padding: 1)
      Tanh("tanh", from: "first")
      Concatenation("all", of: ["pool", "first", "tanh", "pool"])
      Convolution("conv", channels: 2, kernel: 1)
    },
    network("concatenation, flat") {
      FullyConnected("a", 3)
      FullyConnected("b", 2, from: "first")
      Concatenation("all", of: ["a", "b", "a"])
    },
    network("flat and spatial readers") {
      Flatten("flat")
      FullyConnected("a", 4, from: "first")
      GlobalPooling("pool", from: "first")
      Flatten("means")
      Addition("sum", of: ["a", "means"])
      Concatenation("all", of: ["flat", "sum"])
    },
    network("one tensor under two names") {
      FullyConnected("fc", 6)
      Flatten("same")
      Reshape("reshaped", to: [6], from: "fc")
      Tanh("tanh", from: "fc")
      Multiplication("product", of: ["same", "tanh"])
      Addition("sum", of: ["product", "reshaped"])
    },
    network("in place before readers") {
      Tanh("tanh")
      Sigmoid("sigmoid")
      Dropout("dropout", 0.3, from: "tanh")
      ReLU("relu", from: "tanh")
      Addition("sum", of: ["sigmoid", "dropout", "relu"])
    },
    network("moving elements") {
      Pad("pad", [1, 0, 2], after: [0, 1, 0], value: 0.5)
      Crop("crop", [0, 1, 0], after: [1, 0, 1])
      Slice("slice", dimension: 1, 1..<4)
      Reshape("reshape", to: [2, 3, 10])
      Reshape("line", to: [2, 30])
      Convolution("conv", channels: 2, kernel: 3)
    },
    network("moving features") {
      FullyConnected("fc", 12)
      Slice("slice", 2..<10)
      Pad("pad", [1], after: [3])
      Reshape("plane", to: [3, 2, 2])
      Convolution("conv", channels: 2, kernel: 2)
    },
    try! Network("input taken twice", input: [2, 4, 4]) {
      Convolution("a", channels: 2, kernel: 3, padding: 1)
      Multiplication("product", of: ["a", "input"])
      Convolution("b", channels: 2, kernel: 1, from: "input")
      Addition("sum", of: ["product", "b"])
      FullyConnected("fc", 3)
      SoftmaxCrossEntropy("loss")
    },
  ]

  @Test(arguments: windows + channelwise + graphs) func layersEqualCentralDifferences(_ network: Network) throws {
    try expectCentralDifferences(network)
  }

  @Test func embeddingsEqualCentralDifferences() throws {
    let network = try Network("embedding", input: [5]) {
      Embedding("table", entries: 4, features: 3)
      Convolution("conv", channels: 2, kernel: 3)
      FullyConnected("last", 3)
      SoftmaxCrossEntropy("loss")
    }
    try expectCentralDifferences(network, inputs: (0..<15).map { Double($0 * 7 % 4) })
  }

  private static func lossNetwork(_ name: String, @LayerTable _ losses: () -> [Layer]) -> Network {
    try! Network(name, input: [6]) {
      FullyConnected("a", 4)
      Tanh("tanh")
      FullyConnected("b", 4, from: "tanh")
      losses()
    }
  }

  static let losses = [
    lossNetwork("class weights, smoothing") {
      SoftmaxCrossEntropy("loss", weight: 0.7, classWeights: [1, 0.5, 0, 2], labelSmoothing: 0.3)
    },
    lossNetwork("ignored label") { SoftmaxCrossEntropy("loss", ignoring: 2) },
    lossNetwork("sigmoid") { SigmoidCrossEntropy("loss", weight: 1.5) },
    lossNetwork("L2") { L2Loss("loss", weight: 0.5) },
    lossNetwork("L1") { L1Loss("loss") },
    lossNetwork("smooth L1") { SmoothL1Loss("loss", beta: 0.3, weight: 2) },
    lossNetwork("hinge") { HingeLoss("loss", margin: 0.5) },
    lossNetwork("contrastive") { ContrastiveLoss("loss", margin: 2, of: ["b", "tanh"]) },
    lossNetwork("several, of one tensor") {
      L2Loss("first", weight: 0.5)
      SoftmaxCrossEntropy("second", weight: 0.25, from: "b")
      ReLU("relu", from: "b")
      L1Loss("third", from: "relu")
      SoftmaxCrossEntropy("loss", from: "b")
    },
    try! Network("of planes", input: [2, 3, 3]) {
      Convolution("conv", channels: 4, kernel: 3, padding: 1)
      SmoothL1Loss("near", weight: 0.5)
      SigmoidCrossEntropy("main", from: "conv")
    },
  ]

  @Test(arguments: losses) func lossesEqualCentralDifferences(_ network: Network) throws {
    try expectCentralDifferences(network)
  }

  @Test func lossesPerPlaceEqualCentralDifferences() throws {
    let network = try Network("places", input: [2, 3, 4]) {
      Convolution("conv", channels: 4, kernel: 3, padding: 1)
      SoftmaxCrossEntropy("loss", weight: 2, classWeights: [1, 2, 3, 0.5], ignoring: 3, perPlace: true)
    }
    try expectCentralDifferences(network) { _, bits in Float(bits % 4) }
  }
}

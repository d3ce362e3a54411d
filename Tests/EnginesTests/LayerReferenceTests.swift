import Engines
import Networks
import Tensors
import Testing

/// Every layer and every loss against PyTorch's answers, kept by `References/layers_reference.py`, which has the same
/// lists in the same order.
@Suite struct LayerReferenceTests {
  private static let samples = 3

  struct Case {
    let input: Shape
    let scale: Float
    /// The layers, of the name of what they take.
    let layers: @Sendable (String) -> [Layer]

    init(_ input: Shape, scale: Float = 1, @LayerTable _ layers: () -> [Layer]) {
      let layers = layers()
      self.init(input, scale: scale) { _ in layers }
    }

    init(_ input: Shape, scale: Float = 1, @LayerTable ofName layers: @escaping @Sendable (String) -> [Layer]) {
      self.input = input
      self.scale = scale
      self.layers = layers
    }

    func network() throws -> Network {
      try Network(
        "reference", input: input,
        layers: layers(Network.inputName) + [Flatten("flatten").layer, SoftmaxCrossEntropy("loss").layer])
    }
  }

  static let windows = [
    Case([4, 11]) { Convolution("l", channels: 6, kernel: 3, stride: 2, padding: 2, endPadding: 1, groups: 2) },
    Case([4, 7, 9]) {
      Convolution(
        "l", channels: 4, kernel: Extent(3, 2), padding: Extent(2, 0), endPadding: Extent(0, 1),
        dilation: Extent(2, 1), groups: 4)
    },
    Case([2, 4, 5, 6]) {
      Convolution(
        "l", channels: 4, kernel: Extent(3, 2, 3), stride: Extent(2, 1, 2), padding: Extent(1, 0, 2),
        endPadding: Extent(1, 0, 1))
    },
    Case([4, 7]) { TransposedConvolution("l", channels: 3, kernel: 3, stride: 2, padding: 1, outputPadding: 1) },
    Case([4, 4, 5]) {
      TransposedConvolution(
        "l", channels: 6, kernel: Extent(3, 2), stride: Extent(2, 3), padding: Extent(1, 0),
        outputPadding: Extent(1, 2), dilation: Extent(2, 1), groups: 2)
    },
    Case([2, 2, 3, 3]) {
      TransposedConvolution(
        "l", channels: 3, kernel: Extent(2, 3, 2), stride: Extent(2, 1, 2), padding: Extent(0, 1, 0))
    },
    Case([3, 9]) { MaxPooling("l", 3, stride: 2, padding: 1) },
    Case([2, 5, 6, 7]) {
      MaxPooling("l", Extent(2, 3, 2), stride: Extent(2, 2, 1), padding: Extent(0, 1, 1), rounding: .ceil)
    },
    Case([3, 9]) { AveragePooling("l", 3, stride: 2, padding: 1) },
    Case([2, 5, 6, 7]) {
      AveragePooling("l", Extent(2, 3, 2), stride: Extent(2, 2, 1), padding: Extent(0, 1, 1), rounding: .ceil)
    },
    Case([3, 5, 7]) { AdaptivePooling("l", output: Extent(3, 2)) },
    Case([2, 5, 4, 7]) { AdaptivePooling("l", .maximum, output: Extent(3, 2, 4)) },
    Case([3, 5, 7]) { GlobalPooling("l") },
  ]

  static let channelwise = [
    Case([3, 5, 7]) { BatchNormalization("l") },
    Case([5]) { BatchNormalization("l") },
    Case([2, 3, 2, 2]) { BatchNormalization("l") },
    Case([7, 3, 4], scale: 4) { LocalResponseNormalization("l", size: 5, alpha: 0.5, k: 2) },
    Case([2, 5, 6], scale: 4) { LocalResponseNormalization("l", size: 3, alpha: 0.5, region: .withinChannel) },
    Case([3, 4, 5]) { PReLU("l") },
    Case([6]) { PReLU("l", isShared: true) },
    Case([3, 4, 5], scale: 9) { ReLU6("l") },
    Case([3, 4, 5]) { LeakyReLU("l", slope: 0.2) },
    Case([3, 4, 5], scale: 3) { Softmax("l") },
    Case([6], scale: 3) { Softmax("l") },
    Case([3, 4, 5], scale: 3) { Tanh("l") },
    Case([3, 4, 5], scale: 3) { Sigmoid("l") },
  ]

  static let moving = [
    Case([3, 4, 5]) { input in
      Convolution("a", channels: 3, kernel: 1)
      Addition("total", of: ["a", input, "a"])
      Multiplication("product", of: ["total", "a"])
      Concatenation("all", of: [input, "product", "a", "total"])
    },
    // PyTorch states the last dimension first.
    Case([3, 4, 5]) { Pad("l", [2, 0, 1], after: [1, 2, 0], value: 0.5) },
    Case([3, 4, 5]) { Crop("l", [1, 0, 1], after: [0, 1, 1]) },
    Case([3, 4, 5]) {
      Slice("l", dimension: 1, 1..<3)
      Reshape("r", to: [5, 6])
    },
    Case([3, 4]) { BilinearUpsampling("l", scale: 3) },
    Case([3, 4, 5]) { BilinearUpsampling("l", scale: Extent(2, 3)) },
    Case([3, 4, 5]) { BilinearUpsampling("l", scale: Extent(2, 3), alignsCorners: true) },
    Case([2, 2, 3, 4]) { BilinearUpsampling("l", scale: 2) },
  ]

  private static let contrastive: [Layer] = [
    Slice("left", 0..<3).layer, Slice("right", 3..<6, from: "fc").layer,
    ContrastiveLoss("loss", margin: 1.25, of: ["left", "right"]).layer,
  ]

  /// The outputs of the fully connected layer, the samples' labels and the layers behind it.
  static let losses: [(outputs: Int, labels: [Int32], layers: [Layer])] = [
    (6, [3, 0, 5], [SoftmaxCrossEntropy("loss").layer]),
    (
      6, [3, 0, 5],
      [SoftmaxCrossEntropy("loss", classWeights: [1, 0.5, 2, 0.25, 1, 3], labelSmoothing: 0.2).layer]
    ),
    (6, [3, 0, 5], [SoftmaxCrossEntropy("loss", ignoring: 5).layer]),
    (
      24, [0, 0, 0],
      [
        Reshape("plane", to: [4, 2, 3]).layer,
        SoftmaxCrossEntropy(
          "loss", classWeights: [1, 0.5, 2, 0.25], labelSmoothing: 0.1, ignoring: 2, perPlace: true
        ).layer,
      ]
    ),
    (6, [0, 0, 0], [SigmoidCrossEntropy("loss").layer]),
    (6, [0, 0, 0], [L2Loss("loss").layer]),
    (6, [0, 0, 0], [L1Loss("loss").layer]),
    (6, [0, 0, 0], [SmoothL1Loss("loss", beta: 0.5).layer]),
    (6, [3, 0, 5], [HingeLoss("loss", margin: 0.75).layer]),
    (6, [1, 0, 0], contrastive),
    (
      6, [3, 0, 5],
      [SoftmaxCrossEntropy("early", weight: 0.3).layer, L2Loss("loss", weight: 2, from: "fc").layer]
    ),
  ]

  private func expect(_ values: [Float], near expected: [Float], _ what: String) {
    guard values.count == expected.count else {
      Issue.record("\(what): \(values.count) values, not \(expected.count)")
      return
    }
    let norm = expected.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    let distance = zip(values, expected).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }.squareRoot()
    #expect(distance <= 1e-5 * max(norm, 1e-3), "\(what)")
  }

  private func parameters(_ network: Network, stream: Int) -> [Float] {
    network.parameterLayout.entries.enumerated().flatMap { index, entry in
      referenceFormula(stream: stream + 1 + index, count: entry.shape.count)
    }
  }

  @Test func everythingEqualsPyTorchs() throws {
    var reference = try ReferenceNumbers("layers_reference")
    let cases = Self.windows + Self.channelwise + Self.moving
    for (index, it) in cases.enumerated() { try check(it, stream: 16 * index, &reference) }
    try checkEmbedding(stream: 16 * cases.count, &reference)
    for index in Self.losses.indices { try checkLoss(index, stream: 16 * (100 + index), &reference) }
    try checkStatistics(stream: 16 * 120, &reference)
    #expect(reference.isEmpty)
  }

  private func check(_ it: Case, stream: Int, _ reference: inout ReferenceNumbers) throws {
    let network = try it.network()
    let output = try #require(network.nodes.dropLast(2).last).outputShape
    let parameters = parameters(network, stream: stream)
    let start = reference
    for engine in Engines.all {
      let what = "\(it.layers("input").map(\.kind.typeName)) of \(it.input) on \(engine.name)"
      let probe = try EngineProbe(engine, input: it.input, samples: Self.samples, threads: 2, layers: it.layers)
      let result = try probe.run(
        inputs: referenceFormula(stream: stream, count: Self.samples * it.input.count, scale: it.scale),
        outputGradient: referenceFormula(stream: stream + 15, count: Self.samples * output.count),
        parameters: parameters)
      reference = start
      expect(result.output, near: reference.take(Self.samples * output.count), "output of \(what)")
      expect(result.inputGradient, near: reference.take(Self.samples * it.input.count), "input gradient of \(what)")
      for entry in network.parameterLayout.entries {
        expect(
          Array(result.parameterGradient[entry.range]), near: reference.take(entry.shape.count),
          "\(entry.name) of \(what)")
      }
    }
  }

  private func checkEmbedding(stream: Int, _ reference: inout ReferenceNumbers) throws {
    let it = Case([5]) { Embedding("l", entries: 7, features: 4) }
    let network = try it.network()
    let entries = (0..<Self.samples).flatMap { sample in (0..<5).map { Float((3 * sample + 2 * $0) % 7) } }
    let (output, gradient) = (reference.take(Self.samples * 20), reference.take(28))
    for engine in Engines.all {
      let result = try EngineProbe(engine, input: it.input, samples: Self.samples, layers: it.layers).run(
        inputs: entries, outputGradient: referenceFormula(stream: stream + 15, count: Self.samples * 20),
        parameters: parameters(network, stream: stream))
      expect(result.output, near: output, "output of embedding on \(engine.name)")
      expect(result.parameterGradient, near: gradient, "gradient of embedding on \(engine.name)")
      #expect(result.inputGradient.allSatisfy { $0 == 0 })
    }
  }

  private func batch(_ network: Network, labels: [Int32], stream: Int, isPerPlace: Bool = false) -> Batch {
    let batch = Batch(capacity: 3, sampleShape: network.inputShape, targetCount: network.targetCount)
    for sample in 0..<Self.samples {
      batch.append(sample: sample, label: labels[sample]) { span in
        let count = span.count
        for index in span.indices { span[index] = referenceFormula(stream: stream, index: sample * count + index) }
      } fillTargets: { span in
        for index in span.indices {
          let place = sample * span.count + index
          span[index] =
            isPerPlace ? Float((sample + 2 * index) % 4) : (referenceFormula(stream: 4000, index: place) + 1) / 2
        }
      }
    }
    return batch
  }

  private func checkLoss(_ index: Int, stream: Int, _ reference: inout ReferenceNumbers) throws {
    let (outputs, labels, layers) = Self.losses[index]
    let network = try Network("loss", input: [5], layers: [FullyConnected("fc", outputs).layer] + layers)
    let (loss, expected) = (reference.take(1), reference.take(network.parameterLayout.count))
    let batch = batch(network, labels: labels, stream: stream, isPerPlace: outputs == 24)
    let parameters = FlatVector(parameters(network, stream: stream))
    // Layers are probed with inputs that are exact; these stand behind a sum.
    #expect(try Decisions(network, batch: batch).near(parameters).isEmpty)
    for engine in Engines.all {
      let plan = try engine.compile(network, batch: 3, threads: 2, purpose: .training(seed: 0))
      let gradient = FlatVector(count: network.parameterLayout.count)
      let result = try plan.step(batch, parameters: parameters, gradient: gradient, onFinal: { _ in })
      let what = "\(layers.map(\.kind.typeName)) on \(engine.name)"
      expect([Float(result.lossSum)], near: loss, "loss of \(what)")
      expect(gradient.array, near: expected, "gradient of \(what)")
      #expect(result.samples == 3)
      expect([Float(try plan.evaluate(batch, parameters: parameters).lossSum)], near: loss, "evaluated \(what)")
    }
  }

  private func checkStatistics(stream: Int, _ reference: inout ReferenceNumbers) throws {
    let network = try Network("statistics", input: [2, 3, 4]) {
      BatchNormalization("norm1")
      FullyConnected("fc", 6)
      BatchNormalization("norm2")
      SoftmaxCrossEntropy("loss")
    }
    let parameters = FlatVector(parameters(network, stream: stream))
    let batch = batch(network, labels: [3, 0, 5], stream: stream)
    let (expected, loss) = (reference.take(network.bufferLayout.count), reference.take(1))
    let buffers = network.bufferLayout.entries.enumerated().flatMap { index, entry in
      referenceFormula(stream: stream + 7 + index, count: entry.shape.count)
        .map { entry.name.hasSuffix("_var") ? $0 + 2 : $0 }
    }
    for engine in Engines.all {
      let plan = try engine.compile(network, batch: 3, threads: 2, purpose: .training(seed: 0))
      let (gradient, statistics) = (FlatVector(count: parameters.count), FlatVector(count: expected.count))
      _ = try plan.step(batch, parameters: parameters, gradient: gradient, statistics: statistics, onFinal: { _ in })
      expect(statistics.array, near: expected, "batch statistics on \(engine.name)")
      let inference = try engine.compile(network, batch: 3, threads: 2, purpose: .inference)
      for plan in [plan, inference] {
        let result = try plan.evaluate(batch, parameters: parameters, buffers: FlatVector(buffers))
        expect([Float(result.lossSum)], near: loss, "loss with running statistics on \(engine.name)")
      }
    }
  }
}

import Engines
import Networks
import Tensors
import Testing

/// Whole networks against PyTorch's answers, kept by `References/networks_reference.py`.
@Suite struct NetworkReferenceTests {
  private static let samples = 4
  /// Elements that are kept of each gradient.
  private static let elements = 16

  /// A block as GoogLeNet has it, behind response normalisation, with an auxiliary head.
  static let inception = try! Network("inception", input: [3, 15, 15]) {
    Convolution("conv", channels: 8, kernel: 3, padding: 1)
    ReLU("relu")
    MaxPooling("pool", 3, stride: 2, rounding: .ceil)
    LocalResponseNormalization("norm", size: 5, alpha: 1e-1)
    Convolution("one", channels: 4, kernel: 1)
    ReLU("one relu")
    Convolution("three reduce", channels: 3, kernel: 1, from: "norm")
    ReLU("three reduce relu")
    Convolution("three", channels: 6, kernel: 3, padding: 1)
    ReLU("three relu")
    Convolution("five reduce", channels: 2, kernel: 1, from: "norm")
    ReLU("five reduce relu")
    Convolution("five", channels: 4, kernel: 5, padding: 2)
    ReLU("five relu")
    MaxPooling("branch pool", 3, stride: 1, padding: 1, from: "norm")
    Convolution("pool projection", channels: 4, kernel: 1)
    ReLU("pool relu")
    Concatenation("all", of: ["one relu", "three relu", "five relu", "pool relu"])
    AveragePooling("early pool", 3, stride: 2)
    Convolution("early conv", channels: 4, kernel: 1)
    ReLU("early relu")
    FullyConnected("early fc", 10)
    SoftmaxCrossEntropy("early loss", weight: 0.3)
    GlobalPooling("global", from: "all")
    FullyConnected("fc", 10)
    SoftmaxCrossEntropy("loss")
  }

  /// AlexNet without its dropout, whose masks are each library's own.
  private static func alexNetWithoutDropout() throws -> Network {
    try Network(
      "alexnet without dropout", input: [3, 224, 224],
      layers: Catalogue.alexnet.nodes.map(\.layer).filter {
        if case .dropout = $0.kind { false } else { true }
      })
  }

  /// A network, the first stream of its formula, and the scale of its parameters.
  struct Case: Sendable {
    let name: String
    let network: Network
    let first: Int
    var scale: Float = 0.125

    /// The formula's parameters.
    var formula: [Float] { NetworkReferenceTests.parameters(network, first: first, scale: scale) }

    /// The formula's parameters with the kept changes.
    var parameters: FlatVector {
      get throws { FlatVector(try ReferenceChanges(name).applied(to: formula)) }
    }

    var batch: Batch {
      let batch = Batch(capacity: samples, sampleShape: network.inputShape)
      for sample in 0..<samples {
        batch.append(sample: sample, label: Int32(3 * sample % 10)) { span in
          let count = span.count
          for index in span.indices { span[index] = referenceFormula(stream: first, index: sample * count + index) }
        }
      }
      return batch
    }
  }

  static let cases = [
    Case(name: "resnet20", network: Catalogue.resnet20, first: 2000),
    Case(name: "inception", network: inception, first: 2200),
    Case(name: "alexnet", network: try! alexNetWithoutDropout(), first: 2400, scale: 0.03125),
  ]

  private static func parameters(_ network: Network, first: Int, scale: Float) -> [Float] {
    let norms = Set(
      network.nodes.compactMap { node -> String? in
        if case .batchNormalization = node.layer.kind { node.layer.name } else { nil }
      })
    return network.parameterLayout.entries.enumerated().flatMap { index, entry -> [Float] in
      let isNorm = norms.contains(layer(entry.name))
      let values = referenceFormula(stream: first + 1 + index, count: entry.shape.count, scale: isNorm ? 0.25 : scale)
      return isNorm && entry.name.hasSuffix(".weight") ? values.map { $0 + 1 } : values
    }
  }

  /// A parameter's layer: its name without the last part.
  private static func layer(_ parameter: String) -> String {
    parameter.split(separator: ".").dropLast().joined(separator: ".")
  }

  private func check(_ it: Case, on engine: any Engine, _ reference: inout ReferenceNumbers) throws {
    let network = it.network
    let plan = try engine.compile(network, batch: Self.samples, threads: 2, purpose: .training(seed: 0))
    let gradient = FlatVector(count: network.parameterLayout.count)
    let statistics = FlatVector(count: network.bufferLayout.count)
    let result = try plan.step(
      it.batch, parameters: it.parameters, gradient: gradient, statistics: statistics, onFinal: { _ in })
    let loss = Double(reference.take(1)[0])
    #expect(abs(result.lossSum - loss) <= 1e-5 * loss)
    for entry in network.bufferLayout.entries {
      let expected = reference.take(entry.shape.count)
      #expect(relativeDistance(Array(statistics.array[entry.range]), expected) <= 1e-4, "\(entry.name)")
    }
    for entry in network.parameterLayout.entries {
      let norm = Double(reference.take(1)[0])
      let kept = reference.take(min(Self.elements, entry.shape.count))
      let values = gradient.array[entry.range].map(Double.init)
      let distance = zip(values, kept).reduce(0.0) { $0 + ($1.0 - Double($1.1)) * ($1.0 - Double($1.1)) }.squareRoot()
      let ownNorm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(abs(ownNorm - norm) <= 1e-4 * norm, "norm of the gradient of \(entry.name)")
      #expect(distance <= 1e-4 * norm, "gradient of \(entry.name)")
    }
  }

  @Test(arguments: cases.indices) func noDecisionIsNear(index: Int) throws {
    let it = Self.cases[index]
    #expect(try Decisions(it.network, batch: it.batch).near(it.parameters).isEmpty)
  }

  @Test(arguments: Engines.names) func everyGradientAndStatisticEqualsPyTorchs(_ name: String) throws {
    let engine = try #require(Engines.engine(named: name))
    var reference = try ReferenceNumbers("networks_reference")
    for it in Self.cases { try check(it, on: engine, &reference) }
    #expect(reference.isEmpty)
  }
}

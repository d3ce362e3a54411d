import Engines
import Networks
import Tensors
import Testing

/// That the check of decisions finds those that are near, and that a comparison without it would disagree.
@Suite struct DecisionTests {
  private static let rectified = try! Network("rectified", input: [3, 6, 6]) {
    Convolution("conv", channels: 4, kernel: 3, padding: 1)
    ReLU("relu")
    FullyConnected("fc", 5)
    SoftmaxCrossEntropy("loss")
  }

  /// Each channel's larger one of two places.
  private static let pooled = try! Network("pooled", input: [3, 1, 2]) {
    Convolution("conv", channels: 4, kernel: 1)
    MaxPooling("pool", Extent(1, 2))
    FullyConnected("fc", 5)
    SoftmaxCrossEntropy("loss")
  }

  /// What each layer gives in double precision.
  private func output(_ network: Network, _ node: Int, _ batch: Batch, _ parameters: FlatVector) throws -> [Double] {
    let plan = DoublePlan(
      network, batch: batch.count, threads: 1, purpose: .training(seed: 5), keepsTensors: true)
    try plan.forward(
      inputs: batch.inputs.array.map(Double.init), batch: batch, parameters: parameters.array.map(Double.init))
    return plan.output(of: node, samples: batch.count)
  }

  private func gradient(_ network: Network, _ batch: Batch, _ parameters: FlatVector) throws -> [Float] {
    let plan = try OpenBLASEngine().compile(network, batch: batch.count, threads: 1, purpose: .training(seed: 5))
    let gradient = FlatVector(count: parameters.count)
    _ = try plan.step(batch, parameters: parameters, gradient: gradient, onFinal: { _ in })
    return gradient.array
  }

  private func with(_ name: String, _ index: Int, _ value: Float, _ network: Network, _ parameters: FlatVector)
    -> FlatVector
  {
    var values = parameters.array
    values[network.parameterLayout[name]!.range.lowerBound + index] = value
    return FlatVector(values)
  }

  /// A bias that brings one element to zero, and what is a rounding above and below it.
  @Test func anElementAtAKinkIsFoundAndWouldDisagree() throws {
    let network = Self.rectified
    let batch = makeBatch(network, count: 2)
    let decisions = Decisions(network, batch: batch)
    let wide = try decisions.widened(network.initialParameters(seed: 1))
    #expect(try decisions.near(wide).isEmpty)

    let bias = network.parameterLayout["conv.bias"]!.range.lowerBound + 2
    let element = try output(network, 0, batch, wide)[2 * 36 + 14]
    let atKink = Float(Double(wide.array[bias]) - element)
    let near = with("conv.bias", 2, atKink, network, wide)
    #expect(try decisions.near(near) == [Decisions.Near(node: 1, channel: 2)])

    // A few roundings up or down, as another order of the sum makes them.
    func apart(_ parameters: FlatVector, _ value: Float) throws -> Double {
      let rounding = max(abs(value), 1) * 0x1p-21
      return relativeDistance(
        try gradient(network, batch, with("conv.bias", 2, value + rounding, network, parameters)),
        try gradient(network, batch, with("conv.bias", 2, value - rounding, network, parameters)))
    }
    #expect(try apart(near, atKink) > 1e-3)
    #expect(try apart(wide, wide.array[bias]) < 1e-5)

    // The bias is moved until it is wide, and nothing else.
    let again = try decisions.widened(near)
    #expect(try decisions.near(again).isEmpty)
    #expect(again.array.indices.filter { again.array[$0] != near.array[$0] } == [bias])
    #expect(abs(again.array[bias] - near.array[bias]) < 0.1)
  }

  /// Two places of a window that a channel's weights take to the same sum.
  @Test func aWindowWithTwoLargestIsFoundAndWouldDisagree() throws {
    let network = Self.pooled
    let parameters = network.initialParameters(seed: 1)
    let weights = parameters.array[network.parameterLayout["conv.weight"]!.range].prefix(3).map(Double.init)
    func batch(_ more: Float) -> Batch {
      let batch = makeBatch(network, count: 1)
      batch.inputs.withMutableSpan { span in
        // The second place's first channel is what makes up for the differences of the others.
        let differences = (1..<3).map { weights[$0] * (Double(span[2 * $0]) - Double(span[2 * $0 + 1])) }
        span[1] = Float(Double(span[0]) + differences.reduce(0, +) / weights[0]) + more
      }
      return batch
    }
    let near = try Decisions(network, batch: batch(0)).near(parameters)
    #expect(near.contains(Decisions.Near(node: 1, channel: 0)))
    let (above, below) = (
      try gradient(network, batch(0x1p-20), parameters), try gradient(network, batch(-0x1p-20), parameters)
    )
    #expect(relativeDistance(above, below) > 1e-3)
  }

  /// Layers that decide, behind one whose weights are all the same, and inputs with which they are at a kink and not.
  private static let kinds: [(layers: [Layer], atKink: [Double], apart: [Double])] = [
    ([ReLU("it").layer], [1, -1, 2, -2], [1, 2, 3, 4]),
    ([LeakyReLU("it", slope: 0.1).layer], [1, -1, 2, -2], [1, 2, 3, 4]),
    ([PReLU("it").layer], [1, -1, 2, -2], [1, 2, 3, 4]),
    ([ReLU6("it").layer], [1, -1, 2, -2], [1, 2, 3, 4]),
    ([ReLU6("it").layer], [12, 0, 2, -2], [12, 1, 2, 3]),
    ([Reshape("image", to: [1, 2, 2]).layer, MaxPooling("it", 2).layer], [1, 2, 3, 4], []),
    ([Reshape("image", to: [1, 2, 2]).layer, AdaptivePooling("it", .maximum, output: 1).layer], [1, 2, 3, 4], []),
    ([Reshape("image", to: [1, 4]).layer, GlobalPooling("it", .maximum).layer], [1, 2, 3, 4], []),
    ([L1Loss("it").layer, Tanh("tanh", from: "fc").layer], [1, -1, 2, -2], [1, 2, 3, 4]),
    ([HingeLoss("it", margin: 0).layer, Tanh("tanh", from: "fc").layer], [1, 2, 3, 4], []),
  ]

  @Test(arguments: kinds.indices) func everyKindOfDecisionIsFound(index: Int) throws {
    let (layers, atKink, apart) = Self.kinds[index]
    let network = try Network(
      "kind", input: [4],
      layers: [FullyConnected("fc", 4, weights: .constant(0.5)).layer] + layers + [
        Flatten("flat").layer, FullyConnected("last", 3).layer, SoftmaxCrossEntropy("loss").layer,
      ])
    let batch = makeBatch(network, count: 1) { _, _ in 0 }
    let parameters = network.initialParameters(seed: 3)
    func near(_ inputs: [Double]) throws -> [String] {
      try Decisions(network, batch: batch, inputs: inputs).near(parameters).map { network.nodes[$0.node].layer.name }
    }
    #expect(try near(atKink).contains("it"))
    if !apart.isEmpty { #expect(try near(apart).isEmpty) }
  }

  /// Which of two classes is the likelier.
  @Test func twoLikeliestClassesAreFound() throws {
    let network = try Network("classes", input: [4]) {
      FullyConnected("fc", 3, weights: .constant(0.5))
      SoftmaxCrossEntropy("loss")
    }
    let batch = makeBatch(network, count: 2)
    let decisions = Decisions(network, batch: batch)
    let same = network.initialParameters(seed: 1)
    #expect(try !decisions.near(same).isEmpty)
    #expect(try decisions.near(decisions.widened(same)).isEmpty)
  }

  /// All places of a plane are the same, whatever the weights.
  @Test func whatNoDrawMovesIsRefused() throws {
    let network = try Network("still", input: [1, 4, 4]) {
      Convolution("conv", channels: 2, kernel: 1)
      MaxPooling("pool", 2)
      Flatten("flat")
      SoftmaxCrossEntropy("loss")
    }
    let still = Decisions(network, batch: makeBatch(network, count: 1), inputs: Array(repeating: 0.5, count: 16))
    let error = #expect(throws: Decisions.NoWideDraw.self) { try still.widened(network.initialParameters(seed: 1)) }
    #expect(error?.left.contains("pool, channel 1") == true)
  }
}

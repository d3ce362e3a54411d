import Engines
import Networks
import Tensors
import Testing

/// A loss that is no number says where that began.
@Suite struct NonFiniteTests {
  private static let network = try! Network("t", input: [2, 6, 6]) {
    Convolution("conv1", channels: 4, kernel: 3, padding: 1)
    Tanh("tanh1")
    Convolution("conv2", channels: 4, kernel: 3, padding: 1)
    ReLU("relu2")
    BatchNormalization("norm")
    Concatenation("both", of: ["norm", "tanh1"])
    TransposedConvolution("up", channels: 3, kernel: 2, stride: 2)
    FullyConnected("early", 5, from: "tanh1")
    L2Loss("distance", weight: 0.5)
    FullyConnected("fc", 5, from: "up")
    SoftmaxCrossEntropy("loss")
  }

  /// The error of a step and of an evaluation, which must be the same, and that they can be done again.
  private func error(
    on name: String, change: (FlatVector, Batch) -> Void
  ) throws -> EngineError {
    let engine = try #require(Engines.engine(named: name))
    let network = Self.network
    let plan = try engine.compile(network, batch: 3, threads: 2, purpose: .training(seed: 1))
    let (parameters, batch) = (network.initialParameters(seed: 1), makeBatch(network, count: 3))
    let gradient = FlatVector(count: parameters.count)
    let good = try plan.step(batch, parameters: parameters, gradient: gradient, onFinal: { _ in })
    change(parameters, batch)
    var reports = 0
    let error = #expect(throws: EngineError.self) {
      try plan.step(batch, parameters: parameters, gradient: gradient, onFinal: { _ in reports += 1 })
    }
    #expect(reports == 0)
    let other = #expect(throws: EngineError.self) {
      try plan.evaluate(batch, parameters: parameters, buffers: network.initialBuffers())
    }
    #expect(origin(error) == origin(other))
    let again = try plan.step(
      makeBatch(network, count: 3), parameters: network.initialParameters(seed: 1), gradient: gradient,
      onFinal: { _ in })
    #expect(again == good)
    return try #require(error)
  }

  private func origin(_ error: EngineError?) -> NonFiniteOrigin? {
    if case .notFinite(_, let origin) = error { origin } else { nil }
  }

  private func set(_ name: String, _ value: Float, _ parameters: FlatVector) {
    let range = Self.network.parameterLayout[name]!.range
    parameters.withMutableSpan { $0[range.lowerBound] = value }
  }

  /// Values that reach a loss: ReLU makes 0 of what is no number and of minus infinity.
  @Test(
    arguments: Engines.names,
    [
      ("conv1.bias", .infinity, "conv1"), ("conv2.bias", .infinity, "conv2"), ("norm.weight", -.infinity, "norm"),
      ("up.bias", .nan, "up"), ("early.bias", .nan, "early"), ("fc.weight", .infinity, "fc"),
    ] as [(String, Float, String)])
  func theFirstLayerIsNamed(engine: String, _ it: (parameter: String, value: Float, layer: String)) throws {
    let error = try error(on: engine) { parameters, _ in set(it.parameter, it.value, parameters) }
    #expect(origin(error) == .layer(it.layer))
    #expect(
      error.description.hasSuffix(
        ": layer \(it.layer) gave the first value that is not finite; try a smaller learning rate, or warm-up"))
    #expect(error.description.hasPrefix("the loss is "))
  }

  @Test(arguments: Engines.names) func theInputIsNamed(engine: String) throws {
    let error = try error(on: engine) { _, batch in
      batch.inputs.withMutableSpan { $0[2 * 6 * 6 + 5] = .nan }
    }
    #expect(origin(error) == .input)
    #expect(error.description == "the loss is nan: the input has a value that is not finite; look at the data")
  }

  @Test(arguments: Engines.names) func aLossIsNamed(engine: String) throws {
    let error = try error(on: engine) { _, batch in batch.targets.withMutableSpan { $0[7] = .infinity } }
    #expect(origin(error) == .loss("distance"))
    #expect(error.description.contains("up to loss distance"))
  }
}

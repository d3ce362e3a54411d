import Engines
import Networks
import Tensors
import Testing

/// Every engine beside the OpenBLAS engine, whose gradients are checked against central differences, on parameters with
/// which no decision is near: see `Decisions`.
@Suite struct EngineAgreementTests {
  struct Numbers {
    let step: StepResult
    let gradient: [Float]
    let statistics: [Float]
    let evaluation: StepResult
  }

  /// What an engine gives for a network: a step, and an evaluation with the step's statistics as running ones.
  private func numbers(
    _ engine: any Engine, _ network: Network, _ batch: Batch, _ parameters: FlatVector, threads: Int
  ) throws -> Numbers {
    let samples = batch.count
    let plan = try engine.compile(network, batch: samples, threads: threads, purpose: .training(seed: 5))
    let gradient = FlatVector([Float](repeating: .nan, count: parameters.count))
    let statistics = FlatVector([Float](repeating: .nan, count: network.bufferLayout.count))
    let step = try plan.step(
      batch, parameters: parameters, gradient: gradient, statistics: statistics, onFinal: { _ in })
    let inference = try engine.compile(network, batch: samples, threads: threads, purpose: .inference)
    let evaluation = try inference.evaluate(batch, parameters: parameters, buffers: statistics)
    #expect(try plan.evaluate(batch, parameters: parameters, buffers: statistics) == evaluation)
    return Numbers(step: step, gradient: gradient.array, statistics: statistics.array, evaluation: evaluation)
  }

  private func norm(_ values: some Sequence<Float>) -> Double {
    values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
  }

  /// ‖a − b‖₂ ≤ tolerance · ‖b‖₂ for every tensor; what is nothing beside the whole vector, as the gradient of a bias that
  /// a normalisation takes away, is only rounding and held against the whole.
  private func expect(
    _ values: [Float], near expected: [Float], _ layout: ParameterLayout, _ tolerance: Double, _ what: String
  ) {
    let whole = norm(expected)
    for entry in layout.entries {
      let distance = norm(zip(values[entry.range], expected[entry.range]).map { $0 - $1 })
      let own = norm(expected[entry.range])
      #expect(distance <= tolerance * (own > 1e-4 * whole ? own : whole), "\(what) of \(entry.name)")
    }
  }

  private func expectAgreement(
    _ network: Network, samples: Int, threads: Int = 2, seed: UInt64 = 2, _ tolerance: Double, inputs: [Float]? = nil,
    target: @escaping (Int, UInt64) -> Float = { Float($1 >> 40) * 0x1p-24 }
  ) throws {
    let batch = makeBatch(network, count: samples, target: target)
    if let inputs { batch.inputs.withMutableSpan { for index in inputs.indices { $0[index] = inputs[index] } } }
    // Not of "volumes": its windows overlap, so that the largest of some is one element twice, which no draw sets apart.
    let first = network.initialParameters(seed: seed)
    let parameters = network.name == "volumes" ? first : try Decisions(network, batch: batch).widened(first)
    let expected = try numbers(OpenBLASEngine(), network, batch, parameters, threads: 1)
    for engine in Engines.all where engine.name != "openblas" {
      let actual = try numbers(engine, network, batch, parameters, threads: threads)
      #expect(abs(actual.step.lossSum - expected.step.lossSum) <= tolerance * abs(expected.step.lossSum))
      #expect(
        abs(actual.evaluation.lossSum - expected.evaluation.lossSum) <= tolerance * abs(expected.evaluation.lossSum))
      #expect(actual.step.correct == expected.step.correct)
      #expect(actual.evaluation.correct == expected.evaluation.correct)
      expect(actual.gradient, near: expected.gradient, network.parameterLayout, tolerance, "gradient")
      expect(actual.statistics, near: expected.statistics, network.bufferLayout, tolerance, "statistics")
    }
  }

  static let windows = try! Network("windows", input: [3, 15, 13]) {
    Convolution("strided", channels: 24, kernel: Extent(3, 5), stride: Extent(2, 1), padding: Extent(1, 2))
    Sigmoid("sigmoid")
    Convolution("dilated", channels: 32, kernel: 3, padding: 2, dilation: 2, bias: false)
    ReLU("relu1")
    MaxPooling("pool", 3, stride: 2, padding: 1)
    Convolution("grouped", channels: 48, kernel: 1, groups: 4)
    AveragePooling("mean", 3, stride: 1, padding: 1)
    Convolution("channels last", channels: 20, kernel: 2)
    ReLU("relu2")
    Flatten("flatten")
    FullyConnected("fc", 7, bias: false)
    SoftmaxCrossEntropy("loss")
  }

  static let layers =
    LayerGradientTests.windows + LayerGradientTests.channelwise + LayerGradientTests.graphs
    + LayerGradientTests.losses + GradientTests.networks

  @Test(arguments: layers) func layersAgree(_ network: Network) throws {
    // Of one row normalisation leaves nothing but rounding.
    let normalizesRows = network.nodes.contains { node in
      if case .batchNormalization = node.layer.kind { node.inputShape.rank == 1 } else { false }
    }
    for samples in normalizesRows ? [5] : [1, 5] { try expectAgreement(network, samples: samples, 1e-5) }
  }

  @Test func embeddingsAndLossesPerPlaceAgree() throws {
    let embedding = try Network("embedding", input: [5]) {
      Embedding("table", entries: 4, features: 3)
      Convolution("conv", channels: 2, kernel: 3)
      FullyConnected("last", 3)
      SoftmaxCrossEntropy("loss")
    }
    try expectAgreement(embedding, samples: 3, 1e-5, inputs: (0..<15).map { Float($0 * 7 % 4) })
    let places = try Network("places", input: [2, 3, 4]) {
      Convolution("conv", channels: 4, kernel: 3, padding: 1)
      SoftmaxCrossEntropy("loss", weight: 2, classWeights: [1, 2, 3, 0.5], ignoring: 3, perPlace: true)
    }
    try expectAgreement(places, samples: 3, 1e-5) { _, bits in Float(bits % 4) }
  }

  @Test(arguments: PlanTests.networks + [windows, NetworkReferenceTests.inception], [1, 2])
  func networksAgree(_ network: Network, threads: Int) throws {
    // A maximum of what mixes channels: no channel can be drawn anew without the others, so that many do not become wide.
    for samples in network.name == "inception" ? [1, 3] : [1, 6, 33]
    where samples > 1 || network.bufferLayout.count == 0 {
      try expectAgreement(network, samples: samples, threads: threads, 1e-4)
    }
  }

  @Test(arguments: [1, 2]) func residualNetworksAgree(threads: Int) throws {
    try expectAgreement(Catalogue.resnet20, samples: 6, threads: threads, 1e-4)
  }

  /// Planes large enough for Winograd's filtering, and nothing that rounding could send another way.
  static let filtered = try! Network("filtered", input: [3, 16, 16]) {
    Convolution("conv1", channels: 32, kernel: 3, padding: 1)
    Convolution("conv2", channels: 32, kernel: 3, padding: 1)
    Tanh("tanh")
    Convolution("conv3", channels: 64, kernel: 3, padding: 1)
    FullyConnected("fc", 5)
    SoftmaxCrossEntropy("loss")
  }

  @Test(arguments: [1, 2]) func filteredConvolutionsAgree(threads: Int) throws {
    try expectAgreement(Self.filtered, samples: 32, threads: threads, 1e-4)
  }

  #if OneDNN
    @Test func wherePlanesAreLargeFilteringIsUsed() throws {
      let plan = try OneDNNEngine().compile(Self.filtered, batch: 32, threads: 2, purpose: .training(seed: 1))
      let passes = try plan.description().passes
      guard OneDNNEngine.libraryVersion.hasPrefix("2."), OneDNNEngine.instructionSet.hasPrefix("avx512") else { return }
      for name in ["conv2", "conv3"] {
        for pass in ["forward", "weights' gradient", "input's gradient"] {
          let found = passes.filter { $0.purpose == "\(name) \(pass)" }
          #expect(found.count == 1 && found.allSatisfy { $0.implementation.contains("wino") }, "\(name) \(pass)")
        }
      }
    }
  #endif

  /// AlexNet beside double precision.
  @Test(arguments: [1, 2]) func alexNetAgreesWithDoublePrecision(seed: UInt64) throws {
    let network = Catalogue.alexnet
    let batch = makeBatch(network, count: 1)
    let parameters = try Decisions(network, batch: batch).widened(network.initialParameters(seed: seed))
    let exact = try DoublePlan(network, batch: 1, threads: 2, purpose: .training(seed: 5)).step(
      inputs: batch.inputs.array.map(Double.init), batch: batch, parameters: parameters.array.map(Double.init))
    for engine in Engines.all {
      let plan = try engine.compile(network, batch: 1, threads: 2, purpose: .training(seed: 5))
      let gradient = FlatVector(count: parameters.count)
      _ = try plan.step(batch, parameters: parameters, gradient: gradient, onFinal: { _ in })
      expect(
        gradient.array, near: exact.gradient.map { Float($0) }, network.parameterLayout, 1e-5,
        "gradient on \(engine.name)")
    }
  }
}

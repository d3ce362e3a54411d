import Engines
import Networks
import Tensors
import Testing

/// What a plan promises besides the right numbers.
@Suite struct PlanTests {
  /// Everything that a thread count could change: many blocks, groups, weights too many for partial sums, dropout.
  static let networks = [
    Catalogue.lenet, Catalogue.leNet5,
    try! Network("mixed", input: [3, 16, 16]) {
      Convolution("conv1", channels: 8, kernel: 3, padding: 1)
      ReLU("relu1")
      MaxPooling("pool1", 3, stride: 2, rounding: .ceil)
      Convolution("conv2", channels: 128, kernel: 3, padding: 1, groups: 2)
      Tanh("tanh")
      AveragePooling("pool2", 2)
      Convolution("conv3", channels: 128, kernel: 3, padding: 1)
      Dropout("dropout", 0.5)
      FullyConnected("fc1", 300)
      ReLU("relu2")
      FullyConnected("fc2", 5)
      SoftmaxCrossEntropy("loss")
    },
    try! Network("joined", input: [3, 12, 12]) {
      Convolution("conv1", channels: 8, kernel: 3, padding: 1, bias: false)
      BatchNormalization("norm1")
      ReLU("relu1")
      Convolution("conv2", channels: 8, kernel: 3, padding: 1, bias: false)
      BatchNormalization("norm2")
      Addition("sum", of: ["norm2", "relu1"])
      ReLU("relu2")
      LocalResponseNormalization("response", size: 3)
      GlobalPooling("gate", from: "relu2")
      FullyConnected("weights", 8)
      BatchNormalization("norm3")
      Softmax("shares")
      FullyConnected("auxiliary", 5, from: "relu1")
      SoftmaxCrossEntropy("early loss", weight: 0.3)
      Concatenation("all", of: ["response", "relu2", "conv1"])
      TransposedConvolution("larger", channels: 3, kernel: 2, stride: 2)
      PReLU("prelu")
      Crop("crop", [0, 3, 3])
      BilinearUpsampling("up", scale: 2)
      Flatten("flat")
      Concatenation("features", of: ["flat", "shares"])
      FullyConnected("fc", 5)
      SoftmaxCrossEntropy("loss", labelSmoothing: 0.1)
    },
    try! Network("volumes", input: [2, 5, 6, 7]) {
      Convolution("conv", channels: 6, kernel: 3, padding: 1, endPadding: 0, groups: 2, bias: false)
      BatchNormalization("norm")
      LeakyReLU("leaky", slope: 0.1)
      LocalResponseNormalization("response", size: 3, alpha: 1, region: .withinChannel)
      TransposedConvolution("larger", channels: 4, kernel: 2, stride: 2)
      ReLU6("relu6")
      MaxPooling("pool", 2, stride: Extent(1, 2, 2), rounding: .ceil)
      Slice("slice", 1..<4)
      Pad("pad", [0, 1, 0, 1], value: 0.25)
      AdaptivePooling("adaptive", .maximum, output: Extent(2, 3, 3))
      BilinearUpsampling("up", scale: Extent(1, 2, 2), alignsCorners: true)
      Sigmoid("sigmoid", from: "adaptive")
      Multiplication("gated", of: ["sigmoid", "adaptive"])
      SmoothL1Loss("near", weight: 0.1)
      Reshape("line", to: [6, 36], from: "up")
      AveragePooling("means", 4)
      PReLU("prelu", isShared: true)
      SigmoidCrossEntropy("chance", weight: 0.2)
      FullyConnected("fc", 5, from: "prelu")
      HingeLoss("hinge", weight: 0.5)
      SoftmaxCrossEntropy("loss", classWeights: [1, 2, 1, 0.5, 1], ignoring: 4, from: "fc")
    },
  ]

  /// A network on an engine.
  struct Case: Sendable, CustomTestStringConvertible {
    let network: Network
    let engine: any Engine

    var testDescription: String { "\(network.name) on \(engine.name)" }
  }

  /// Every network on every engine.
  static let cases = Engines.all.flatMap { engine in networks.map { Case(network: $0, engine: engine) } }

  private func plan(
    _ network: Network, on engine: any Engine = OpenBLASEngine(), batch: Int, threads: Int = 1,
    purpose: PlanPurpose = .training(seed: 3)
  ) throws -> any Plan {
    try engine.compile(network, batch: batch, threads: threads, purpose: purpose)
  }

  /// A step's result, and the bits of its gradient and its statistics.
  private func step(_ plan: any Plan, _ network: Network, _ batch: Batch) throws -> (StepResult, [UInt32]) {
    let gradient = FlatVector([Float](repeating: .nan, count: network.parameterLayout.count))
    let statistics = FlatVector([Float](repeating: .nan, count: network.bufferLayout.count))
    let result = try plan.step(
      batch, parameters: network.initialParameters(seed: 1), gradient: gradient, statistics: statistics,
      onFinal: { _ in })
    return (result, gradient.bits + statistics.bits)
  }

  @Test(arguments: networks) func sameBytesOnAnyNumberOfThreads(_ network: Network) throws {
    let batch = makeBatch(network, count: 37)
    let (result, gradient) = try step(plan(network, batch: 37), network, batch)
    for threads in 2...4 {
      let other = try step(plan(network, batch: 37, threads: threads), network, batch)
      #expect(other.0 == result)
      #expect(other.1 == gradient)
    }
  }

  @Test(arguments: cases) func sameBytesWhateverWasComputedBefore(_ test: Case) throws {
    let (network, engine) = (test.network, test.engine)
    let batch = makeBatch(network, count: 10)
    let used = try plan(network, on: engine, batch: 24, threads: 2)
    let (result, gradient) = try step(plan(network, on: engine, batch: 10, threads: 2), network, batch)
    for count in [24, 1, 10] {
      _ = try step(used, network, makeBatch(network, count: count, seed: 8))
      _ = try used.evaluate(
        makeBatch(network, count: 3, seed: 9), parameters: network.initialParameters(seed: 2),
        buffers: network.initialBuffers())
      // The plan's capacity does not matter either.
      let again = try step(used, network, batch)
      #expect(again.0 == result)
      #expect(again.1 == gradient)
    }
  }

  @Test(arguments: cases) func rangesAreDisjointAndCoverTheGradient(_ test: Case) throws {
    let (network, engine) = (test.network, test.engine)
    let plan = try plan(network, on: engine, batch: 4)
    for count in [0, 1, 4] {
      var ranges: [Range<Int>] = []
      let gradient = FlatVector(count: network.parameterLayout.count)
      var atReport: [UInt32] = Array(repeating: 0, count: gradient.count)
      let parameters = network.initialParameters(seed: 1)
      _ = try plan.step(makeBatch(network, count: count), parameters: parameters, gradient: gradient) { range in
        ranges.append(range)
        // Whoever takes a range may write over it and over its parameters at once.
        gradient.withSpan { for index in range { atReport[index] = $0[index].bitPattern } }
        gradient.withMutableSpan { for index in range { $0[index] = .nan } }
        parameters.withMutableSpan { for index in range { $0[index] = .nan } }
      }
      // From the last layer to the first.
      #expect(ranges.map(\.lowerBound) == ranges.map(\.lowerBound).sorted(by: >))
      var end = network.parameterLayout.count
      for range in ranges {
        #expect(range.upperBound == end)
        end = range.lowerBound
      }
      #expect(end == 0)
      let whole = try step(plan, network, makeBatch(network, count: count)).1
      #expect(atReport == Array(whole.prefix(gradient.count)))
    }
  }

  @Test(arguments: Engines.names) func aSumOverSamples(_ name: String) throws {
    let engine = try #require(Engines.engine(named: name))
    let network = Catalogue.leNet5
    let plan = try plan(network, on: engine, batch: 5)
    // One sample may be computed in another order than five.
    let decisions = Decisions(network, batch: makeBatch(network, count: 5), seed: 3)
    let parameters = try decisions.widened(network.initialParameters(seed: 1))
    var sum = [Float](repeating: 0, count: network.parameterLayout.count)
    var (loss, correct) = (0.0, 0)
    for sample in 0..<5 {
      let gradient = FlatVector(count: sum.count)
      let one = makeBatch(network, count: 1, firstSample: sample)
      let result = try plan.step(one, parameters: parameters, gradient: gradient, onFinal: { _ in })
      for (index, value) in gradient.array.enumerated() { sum[index] += value }
      loss += result.lossSum
      correct += result.correct
    }
    let gradient = FlatVector(count: sum.count)
    let result = try plan.step(
      makeBatch(network, count: 5), parameters: parameters, gradient: gradient, onFinal: { _ in })
    #expect(relativeDistance(gradient.array, sum) < 1e-5)
    #expect(abs(result.lossSum - loss) < 1e-5)
    #expect(result.correct == correct)
    #expect(result.samples == 5)
  }

  @Test(arguments: Engines.names) func anEmptyBatchHasNoGradientAndNoLoss(_ name: String) throws {
    let engine = try #require(Engines.engine(named: name))
    let (result, gradient) = try step(
      plan(Catalogue.lenet, on: engine, batch: 4), Catalogue.lenet, makeBatch(Catalogue.lenet, count: 0))
    #expect(result.lossSum == 0 && result.samples == 0 && result.correct == 0)
    #expect(gradient.allSatisfy { $0 == 0 })
  }

  @Test(arguments: Engines.names) func evaluationEqualsTrainingWithoutDropout(_ name: String) throws {
    let engine = try #require(Engines.engine(named: name))
    for network in [Catalogue.lenet, Catalogue.leNet5] {
      let batch = makeBatch(network, count: 6)
      let parameters = network.initialParameters(seed: 1)
      let trained = try step(plan(network, on: engine, batch: 6), network, batch).0
      for purpose in [PlanPurpose.inference, .training(seed: 1)] {
        let plan = try plan(network, on: engine, batch: 6, purpose: purpose)
        #expect(try plan.evaluate(batch, parameters: parameters) == trained)
      }
    }
  }

  @Test(arguments: Engines.names) func whatCannotBeComputedIsAnError(_ name: String) throws {
    let engine = try #require(Engines.engine(named: name))
    let network = Catalogue.leNet5
    let plan = try plan(network, on: engine, batch: 2)
    let gradient = FlatVector(count: network.parameterLayout.count)
    let parameters = network.initialParameters(seed: 1)
    let wrong = Batch(capacity: 1, sampleShape: network.inputShape)
    wrong.append(sample: 0, label: 10) { _ in }
    #expect(throws: EngineError.label(10, classes: 10)) {
      try plan.step(wrong, parameters: parameters, gradient: gradient, onFinal: { _ in })
    }
    parameters.withMutableSpan { $0[network.parameterLayout.count - 1] = .infinity }
    var reports = 0
    let error = #expect(throws: EngineError.self) {
      try plan.step(
        makeBatch(network, count: 2), parameters: parameters, gradient: gradient, onFinal: { _ in reports += 1 })
    }
    guard case .notFinite = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(reports == 0)
  }

  @Test func enginesAreFoundByName() {
    for name in Engines.names {
      let engine = Engines.engine(named: name)
      #expect(engine?.name == name)
      #expect(engine?.fingerprint(threads: 2).hasPrefix("\(name) ") == true)
      #expect(engine?.fingerprint(threads: 2).hasSuffix(" fp32 threads 2") == true)
    }
    #expect(Engines.engine(named: "abacus") == nil)
  }
}

import Engines
import Networks
import Tensors
import Testing

/// What losses promise besides the right numbers: sums, weights, which samples are correct, and what is refused.
@Suite struct LossTests {
  private func step(_ network: Network, _ batch: Batch, on name: String) throws -> (StepResult, [Float]) {
    let engine = try #require(Engines.engine(named: name))
    let plan = try engine.compile(network, batch: 4, threads: 1, purpose: .training(seed: 1))
    let gradient = FlatVector(count: network.parameterLayout.count)
    let result = try plan.step(
      batch, parameters: network.initialParameters(seed: 1), gradient: gradient, onFinal: { _ in })
    return (result, gradient.array)
  }

  private func network(_ input: Shape = [5], @LayerTable _ layers: () -> [Layer]) throws -> Network {
    try Network("t", input: input) {
      FullyConnected("fc", 6)
      layers()
    }
  }

  @Test(arguments: Engines.names) func severalLossesAreTheirWeightedSum(_ engine: String) throws {
    let first = try network { SoftmaxCrossEntropy("loss") }
    let second = try network { HingeLoss("loss") }
    let both = try network {
      SoftmaxCrossEntropy("early", weight: 0.25)
      HingeLoss("loss", weight: 2, from: "fc")
    }
    let results = try [first, second, both].map { try step($0, makeBatch($0, count: 4), on: engine) }
    #expect(abs(results[2].0.lossSum - 0.25 * results[0].0.lossSum - 2 * results[1].0.lossSum) < 1e-6)
    let expected = zip(results[0].1, results[1].1).map { 0.25 * $0 + 2 * $1 }
    #expect(relativeDistance(results[2].1, expected) < 1e-6)
  }

  @Test(arguments: Engines.names) func theMainLossSaysWhatIsCorrect(_ engine: String) throws {
    let one = try network { SoftmaxCrossEntropy("loss") }
    let two = try Network("t", input: [5]) {
      FullyConnected("other", 6, weights: .constant(0), from: "input")
      SoftmaxCrossEntropy("early")
      FullyConnected("fc", 6, from: "input")
      HingeLoss("loss")
    }
    let engine = try #require(Engines.engine(named: engine))
    let plan = try engine.compile(two, batch: 40, threads: 1, purpose: .inference)
    let other = try engine.compile(one, batch: 40, threads: 1, purpose: .inference)
    let parameters = two.initialParameters(seed: 3)
    let result = try plan.evaluate(makeBatch(two, count: 40), parameters: parameters)
    let own = two.parameterLayout["fc.weight"]!.offset
    let alone = try other.evaluate(
      makeBatch(one, count: 40), parameters: FlatVector(Array(parameters.array[own...])))
    #expect(result.correct == alone.correct)
    #expect(result.correct > 0 && result.correct < 40)
  }

  @Test(arguments: Engines.names) func anIgnoredSampleAddsNothing(_ engine: String) throws {
    let network = try network { SoftmaxCrossEntropy("loss", ignoring: -1) }
    let batch = Batch(capacity: 4, sampleShape: network.inputShape)
    for label in [2, -1, 3] as [Int32] {
      batch.append(sample: 0, label: label) { span in for index in span.indices { span[index] = Float(index) - 1.5 } }
    }
    let kept = Batch(capacity: 4, sampleShape: network.inputShape)
    for label in [2, 3] as [Int32] {
      kept.append(sample: 0, label: label) { span in for index in span.indices { span[index] = Float(index) - 1.5 } }
    }
    let (all, some) = (try step(network, batch, on: engine), try step(network, kept, on: engine))
    #expect(all.0.lossSum == some.0.lossSum && all.0.samples == 3)
    #expect(relativeDistance(all.1, some.1) < 1e-6)
  }

  @Test(arguments: Engines.names) func labelsAndTargetsThatFitNoLossAreErrors(_ engine: String) throws {
    let places = try Network("t", input: [2, 3, 3]) {
      Convolution("conv", channels: 4, kernel: 3, padding: 1)
      SoftmaxCrossEntropy("loss", ignoring: 9, perPlace: true)
    }
    for wrong in [4, -1, 0.5, .nan, .infinity] as [Float] {
      let batch = makeBatch(places, count: 2) { element, _ in element == 7 ? wrong : element == 3 ? 9 : 1 }
      let error = #expect(throws: EngineError.self) { try step(places, batch, on: engine) }
      #expect(error?.description.contains("classes 0 to 3") == true)
    }
    _ = try step(places, makeBatch(places, count: 2) { element, _ in element == 3 ? 9 : 1 }, on: engine)

    let distance = try network { L2Loss("loss") }
    let batch = Batch(capacity: 1, sampleShape: [5])
    batch.append(sample: 0, label: 0) { _ in }
    #expect(throws: EngineError.targets(given: 0, expected: 6)) { try step(distance, batch, on: engine) }

    let pair = try network {
      Slice("a", 0..<3)
      Slice("b", 3..<6, from: "fc")
      ContrastiveLoss("loss", of: ["a", "b"])
    }
    let unpaired = Batch(capacity: 1, sampleShape: [5])
    unpaired.append(sample: 0, label: 2) { _ in }
    #expect(throws: EngineError.label(2, classes: 2)) { try step(pair, unpaired, on: engine) }
  }

  @Test(arguments: Engines.names) func entriesThatAreInNoTableAreErrors(_ engine: String) throws {
    let network = try Network("t", input: [3]) {
      Embedding("table", entries: 4, features: 2)
      FullyConnected("fc", 3)
      SoftmaxCrossEntropy("loss")
    }
    for wrong in [4, -1, 0.5, .nan, 1e30] as [Float] {
      let batch = Batch(capacity: 1, sampleShape: [3])
      batch.append(sample: 0, label: 0) { span in
        for index in span.indices { span[index] = index == 1 ? wrong : 3 }
      }
      #expect(throws: EngineError.entries(layer: "table", wrong: 1, entries: 4)) {
        try step(network, batch, on: engine)
      }
    }
  }
}

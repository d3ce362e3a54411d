import Engines
import Networks
import Tensors
import Testing

/// What batch normalisation tells of its batches, and what it needs.
@Suite struct BatchNormalizationTests {
  private static let network = try! Network("t", input: [2, 3, 3]) {
    BatchNormalization("spatial")
    FullyConnected("fc", 4)
    BatchNormalization("flat")
    SoftmaxCrossEntropy("loss")
  }

  private func step(samples: Int, plan: (any Plan)? = nil) throws -> (statistics: [Float], gradient: [Float]) {
    let plan = try plan ?? OpenBLASEngine().compile(Self.network, batch: 4, threads: 1, purpose: .training(seed: 1))
    let statistics = FlatVector([Float](repeating: .nan, count: Self.network.bufferLayout.count))
    let gradient = FlatVector([Float](repeating: .nan, count: Self.network.parameterLayout.count))
    _ = try plan.step(
      makeBatch(Self.network, count: samples), parameters: Self.network.initialParameters(seed: 1),
      gradient: gradient, statistics: statistics, onFinal: { _ in })
    return (statistics.array, gradient.array)
  }

  @Test func statisticsAreTheBatchsMeanAndUnbiasedVariance() throws {
    let statistics = try step(samples: 4).statistics
    let batch = makeBatch(Self.network, count: 4)
    for channel in 0..<2 {
      let values = (0..<4).flatMap { sample in
        (0..<9).map { Double(batch.inputs.array[sample * 18 + channel * 9 + $0]) }
      }
      let mean = values.reduce(0, +) / 36
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 35
      #expect(abs(Double(statistics[channel]) - mean) < 1e-6)
      #expect(abs(Double(statistics[2 + channel]) - variance) < 1e-6)
    }
  }

  /// A lone element deviates from nothing: its unbiased variance would be 0 / 0.
  @Test func oneSampleHasFiniteStatistics() throws {
    let (statistics, gradient) = try step(samples: 1)
    #expect(statistics.allSatisfy(\.isFinite) && gradient.allSatisfy(\.isFinite))
    #expect(statistics.suffix(4) == [0, 0, 0, 0])
  }

  @Test func aBatchWithoutSamplesHasNoStatistics() throws {
    let (statistics, gradient) = try step(samples: 0)
    #expect(statistics.allSatisfy { $0 == 0 } && gradient.allSatisfy { $0 == 0 })
  }

  /// With a batch's own mean and biased variance as running ones, evaluating is what training computes.
  @Test func evaluationNormalisesWithWhatItIsGiven() throws {
    let network = try Network("t", input: [5, 7]) {
      BatchNormalization("norm")
      FullyConnected("fc", 4)
      SoftmaxCrossEntropy("loss")
    }
    let plan = try OpenBLASEngine().compile(network, batch: 6, threads: 2, purpose: .training(seed: 1))
    let batch = makeBatch(network, count: 6)
    let parameters = network.initialParameters(seed: 1)
    let (gradient, statistics) = (FlatVector(count: parameters.count), FlatVector(count: 10))
    let trained = try plan.step(
      batch, parameters: parameters, gradient: gradient, statistics: statistics, onFinal: { _ in })
    statistics.withMutableSpan { for index in 5..<10 { $0[index] *= 41.0 / 42 } }
    let evaluated = try plan.evaluate(batch, parameters: parameters, buffers: statistics)
    #expect(abs(trained.lossSum - evaluated.lossSum) < 1e-5)
    let other = try plan.evaluate(batch, parameters: parameters, buffers: network.initialBuffers())
    #expect(abs(trained.lossSum - other.lossSum) > 1e-3)
  }

  @Test func evaluationWithoutRunningStatisticsIsAnError() throws {
    let plan = try OpenBLASEngine().compile(Self.network, batch: 4, threads: 1, purpose: .inference)
    let error = #expect(throws: EngineError.self) {
      try plan.evaluate(makeBatch(Self.network, count: 2), parameters: Self.network.initialParameters(seed: 1))
    }
    #expect(error?.description.contains("running statistics") == true)
  }

  @Test func nobodyNeedsToWantTheStatistics() throws {
    let plan = try OpenBLASEngine().compile(Self.network, batch: 4, threads: 1, purpose: .training(seed: 1))
    let gradient = FlatVector(count: Self.network.parameterLayout.count)
    _ = try plan.step(
      makeBatch(Self.network, count: 3), parameters: Self.network.initialParameters(seed: 1), gradient: gradient,
      onFinal: { _ in })
    #expect(try gradient.array == step(samples: 3).gradient)
  }
}

import Engines
import Networks
import Tensors
import Testing

@Suite struct DropoutTests {
  private static let network = try! Network("t", input: [3, 8, 8]) {
    Convolution("conv", channels: 4, kernel: 3)
    Dropout("dropout", 0.3)
    FullyConnected("fc", 5)
    SoftmaxCrossEntropy("loss")
  }

  private func loss(
    seed: UInt64 = 1, epoch: Int = 0, samples: Range<Int>, capacity: Int = 6, dropout: Bool = true
  ) throws -> Double {
    let plan = try OpenBLASEngine().compile(Self.network, batch: capacity, threads: 1, purpose: .training(seed: seed))
    let batch = makeBatch(Self.network, count: samples.count, epoch: epoch, firstSample: samples.lowerBound)
    let parameters = Self.network.initialParameters(seed: 1)
    let gradient = FlatVector(count: parameters.count)
    return dropout
      ? try plan.step(batch, parameters: parameters, gradient: gradient, onFinal: { _ in }).lossSum
      : try plan.evaluate(batch, parameters: parameters).lossSum
  }

  /// A sample's elements are dropped by what the sample is, not by who shares its batch or where it stands there.
  @Test func isKeyedBySeedEpochAndSample() throws {
    let together = try loss(samples: 0..<6)
    let apart = try (0..<6).reduce(0.0) { try $0 + loss(samples: $1..<$1 + 1, capacity: 2) }
    #expect(abs(together - apart) < 1e-4)
    #expect(try loss(samples: 0..<6) == together)
    #expect(try abs(loss(seed: 2, samples: 0..<6) - together) > 1e-3)
    #expect(try abs(loss(epoch: 1, samples: 0..<6) - together) > 1e-3)
    #expect(try abs(loss(samples: 0..<6, dropout: false) - together) > 1e-3)
  }

  /// Ones through dropout: a share p is 0, the others 1 / (1 − p), and so is the gradient.
  @Test func zeroesItsShareAndKeepsTheMean() throws {
    let network = try Network("t", input: [20_000]) {
      Dropout("dropout", 0.3)
      FullyConnected("fc", 2, bias: false)
      SoftmaxCrossEntropy("loss")
    }
    let plan = try OpenBLASEngine().compile(network, batch: 1, threads: 1, purpose: .training(seed: 4))
    let batch = Batch(capacity: 1, sampleShape: network.inputShape)
    batch.append(sample: 9, label: 0) { span in for index in span.indices { span[index] = 1 } }
    let gradient = FlatVector(count: network.parameterLayout.count)
    // With all weights zero the logits' gradient is ∓1/2, so the weights' gradient shows the dropped-out inputs.
    _ = try plan.step(
      batch, parameters: FlatVector(count: gradient.count), gradient: gradient, onFinal: { _ in })
    let values = gradient.array[..<20_000].map { $0 * -2 }
    let kept = Float(1 / 0.7)
    #expect(values.allSatisfy { $0 == 0 || $0 == kept })
    let dropped = Double(values.filter { $0 == 0 }.count) / 20_000
    // Five deviations of the share.
    #expect(abs(dropped - 0.3) < 5 * (0.3 * 0.7 / 20_000).squareRoot())
  }
}

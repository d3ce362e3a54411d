import Datasets
import Engines
import Foundation
import Networks
import Tensors
import Testing

/// What LeNet learns of Fashion-MNIST on either engine, in fp32 and in bf16: also where the processor has no instructions
/// for bf16 and a job would compute in fp32.
@Suite struct PrecisionTests {
  /// Steps that are compared: an epoch has 469. CONVOY_TEST_STEPS states others, for figures.
  static let steps = ProcessInfo.processInfo.environment["CONVOY_TEST_STEPS"].flatMap { Int($0) } ?? 234
  static let batch = 128

  /// The share of the test set that is right after a plain loop over steps.
  static func accuracy(_ engine: any Engine, _ precision: Precision, seed: UInt64 = 1) throws -> Double {
    let network = Catalogue.network(named: "lenet")!
    let dataset = try DatasetCatalogue.load("fashion-mnist", split: .train)
    let reader = try BatchReader(
      dataset: dataset, order: SampleOrder(count: dataset.count, seed: seed), sampleShape: network.inputShape)
    let plan = try engine.compile(
      network, batch: batch,
      options: CompileOptions(threads: 2, purpose: .training(seed: seed), precision: precision))
    let samples = Batch(capacity: batch, sampleShape: network.inputShape)
    let parameters = network.initialParameters(seed: seed)
    let gradient = FlatVector(count: parameters.count)
    let optimizer = Optimizer.sgd(SGD(momentum: 0.9))
    let state = optimizer.makeState(count: parameters.count)
    let stepsPerEpoch = (dataset.count + batch - 1) / batch
    for step in 0..<steps {
      let first = step % stepsPerEpoch * batch
      let positions = first..<min(first + batch, dataset.count)
      reader.read(SampleBlock(epoch: step / stepsPerEpoch, positions: positions), into: samples)
      _ = try plan.step(samples, parameters: parameters, gradient: gradient, onFinal: { _ in })
      optimizer.apply(
        gradient: gradient, scale: 1 / Float(positions.count),
        learningRate: LearningRateSchedule.cosine.rate(base: 0.03, step: step, totalSteps: steps), update: step + 1,
        parameters: parameters, state: state, range: 0..<parameters.count)
    }
    return try tested(plan, network, parameters)
  }

  private static func tested(_ plan: any Plan, _ network: Network, _ parameters: FlatVector) throws -> Double {
    let dataset = try DatasetCatalogue.load("fashion-mnist", split: .test)
    let reader = try BatchReader(dataset: dataset, order: nil, sampleShape: network.inputShape)
    let samples = Batch(capacity: batch, sampleShape: network.inputShape)
    var correct = 0
    for first in stride(from: 0, to: dataset.count, by: batch) {
      reader.read(SampleBlock(epoch: 0, positions: first..<min(first + batch, dataset.count)), into: samples)
      correct += try plan.evaluate(samples, parameters: parameters).correct
    }
    return Double(correct) / Double(dataset.count)
  }

  @Test("LeNet learns the same on both engines and in bf16")
  func lenetLearnsTheSame() throws {
    let expected = try Self.accuracy(OpenBLASEngine(), .fp32)
    // Half an epoch: 0.84 is seen.
    #expect(expected > 0.8)
    #if OneDNN
      let onednn = OneDNNEngine()
      let accuracy = try Self.accuracy(onednn, .fp32)
      #expect(abs(accuracy - expected) <= 0.01)
      guard
        (try? onednn.compile(
          Catalogue.lenet, batch: 1,
          options: CompileOptions(threads: 1, purpose: .inference, precision: .bf16))) != nil
      else { return }
      let half = try Self.accuracy(onednn, .bf16)
      #expect(abs(half - expected) <= 0.01)
      if Self.steps > 234 { print("openblas \(expected), onednn \(accuracy), bf16 \(half)") }
    #endif
  }
}

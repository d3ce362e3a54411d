import Engines
import Networks
import Tensors
import Testing

/// LeNet against PyTorch's answers, kept by `References/lenet_reference.py`, which states the formula of the inputs.
@Suite struct ReferenceTests {
  private static let samples = 8
  private static let scales: [Float] = [0x1p-3, 0x1p-3, 0x1p-4, 0x1p-4, 0x1p-4, 0x1p-4, 0x1p-3, 0x1p-3]

  static var formula: [Float] {
    Catalogue.lenet.parameterLayout.entries.enumerated().flatMap { tensor, entry in
      (0..<entry.shape.count).map { referenceFormula(stream: tensor + 1, index: $0, scale: scales[tensor]) }
    }
  }

  private static var parameters: FlatVector {
    get throws { FlatVector(try ReferenceChanges("lenet").applied(to: formula)) }
  }

  static var batch: Batch {
    let batch = Batch(capacity: samples, sampleShape: [1, 28, 28])
    for sample in 0..<samples {
      batch.append(sample: sample, label: Int32(3 * sample % 10)) { span in
        for index in span.indices { span[index] = referenceFormula(stream: 0, index: sample * 784 + index, scale: 1) }
      }
    }
    return batch
  }

  @Test func noDecisionIsNear() throws {
    #expect(try Decisions(Catalogue.lenet, batch: Self.batch).near(try Self.parameters).isEmpty)
  }

  @Test(arguments: Engines.names) func lossAndEveryGradientEqualPyTorchs(_ name: String) throws {
    let engine = try #require(Engines.engine(named: name))
    let network = Catalogue.lenet
    let plan = try engine.compile(network, batch: Self.samples, threads: 2, purpose: .training(seed: 0))
    let gradient = FlatVector(count: network.parameterLayout.count)
    let result = try plan.step(Self.batch, parameters: try Self.parameters, gradient: gradient, onFinal: { _ in })
    var reference = try ReferenceNumbers("lenet_reference")
    let loss = Double(try #require(reference.take(1).first))
    #expect(abs(result.lossSum - loss) <= 1e-6 * loss)
    for entry in network.parameterLayout.entries {
      let expected: [Float]
      if entry.name == "fc1.weight" {
        let (outputs, inputs) = (entry.shape[0], entry.shape[1])
        let outputGradient = reference.take(Self.samples * outputs)
        let input = reference.take(Self.samples * inputs)
        expected = (0..<outputs * inputs).map { index in
          let terms = (0..<Self.samples).map { sample in
            Double(outputGradient[sample * outputs + index / inputs]) * Double(input[sample * inputs + index % inputs])
          }
          return Float(terms.reduce(0, +))
        }
      } else {
        expected = reference.take(entry.shape.count)
      }
      let distance = relativeDistance(Array(gradient.array[entry.range]), expected)
      #expect(distance <= 1e-5, "\(entry.name)")
    }
    #expect(reference.isEmpty)
  }
}

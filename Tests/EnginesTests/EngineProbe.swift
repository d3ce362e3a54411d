import Engines
import Networks
import Tensors

/// Runs layers on any engine, and shows what its plans hide: the layers' output, and the gradient of their input for any
/// gradient of the output.
///
/// The layers stand in a network of linear layers that keeps each sample apart: the network's input is a sample's number,
/// one-hot, so that the weights of `stage` are the layers' inputs and their gradient is that of the inputs, exactly; the
/// loss makes the gradient of what `head` gives one-hot too, so that its weights are the gradients of the layers'
/// outputs, and their gradient is the outputs.
struct EngineProbe {
  /// What the layers gave: sample after sample, each in the order of its shape.
  struct Result {
    let output: [Float]
    let inputGradient: [Float]
    /// The gradient of the layers' parameters, as they lie in the flat vector.
    let parameterGradient: [Float]
  }

  private let network: Network
  private let plan: any Plan
  private let samples: Int
  private let inputs: Range<Int>
  private let outputs: Range<Int>

  /// Compiles layers for exactly `samples` samples; `layers` makes them of the name of what they take.
  init(
    _ engine: any Engine, input: Shape, samples: Int, threads: Int = 1, layers: (String) -> [Layer]
  ) throws {
    network = try Network(
      "probe", input: Shape([samples]),
      layers: [
        FullyConnected("stage", input.count, bias: false).layer, Reshape("staged", to: input).layer,
      ] + layers("staged") + [
        FullyConnected("head", samples, bias: false).layer, Multiplication("own", of: ["head", "input"]).layer,
        L1Loss("loss").layer,
      ])
    self.samples = samples
    inputs = network.parameterLayout["stage.weight"]!.range
    outputs = network.parameterLayout["head.weight"]!.range
    plan = try engine.compile(network, batch: samples, threads: threads, purpose: .training(seed: 0))
  }

  /// Runs forward on the inputs, then backward from a gradient of the output.
  func run(inputs values: [Float], outputGradient: [Float], parameters: [Float]) throws -> Result {
    precondition(values.count == inputs.count && outputGradient.count == outputs.count)
    let width = inputs.count / samples
    let stage = (0..<inputs.count).map { values[$0 % samples * width + $0 / samples] }
    let gradient = FlatVector([Float](repeating: .nan, count: network.parameterLayout.count))
    let batch = Batch(capacity: samples, sampleShape: network.inputShape, targetCount: network.targetCount)
    for sample in 0..<samples {
      batch.append(sample: sample, label: 0) { span in
        for index in span.indices { span[index] = index == sample ? 1 : 0 }
      } fillTargets: { span in
        // Below everything: the derivative of the distance is 1.
        for index in span.indices { span[index] = -1e9 }
      }
    }
    _ = try plan.step(
      batch, parameters: FlatVector(stage + parameters + outputGradient), gradient: gradient, onFinal: { _ in })
    let all = gradient.array
    return Result(
      output: Array(all[outputs]),
      inputGradient: (0..<inputs.count).map { all[$0 % width * samples + $0 / width] },
      parameterGradient: Array(all[inputs.upperBound..<outputs.lowerBound]))
  }
}

extension Engines {
  /// Every engine that there is.
  static var all: [any Engine] { names.compactMap(engine(named:)) }
}

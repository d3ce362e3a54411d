import Engines
import Networks
import Tensors
import Testing

/// Every layer's gradient against central differences of the loss, in double precision.
@Suite struct GradientTests {
  private static func network(_ name: String, input: Shape = [2, 6, 6], @LayerTable _ layers: () -> [Layer]) -> Network
  {
    try! Network(name, input: input) {
      Convolution("first", channels: 3, kernel: 3, padding: 1)
      layers()
      FullyConnected("last", 4)
      SoftmaxCrossEntropy("loss")
    }
  }

  static let networks = [
    network("none") { Flatten("flatten") },
    network("convolution") { Convolution("conv", channels: 4, kernel: 3, stride: 2, padding: 1, dilation: 2) },
    network("groups") { Convolution("conv", channels: 6, kernel: 3, groups: 3) },
    network("max pooling") { MaxPooling("pool", 2) },
    network("max pooling that overlaps") { MaxPooling("pool", 3, stride: 2, padding: 1, rounding: .ceil) },
    network("average pooling") { AveragePooling("pool", 2) },
    network("average pooling that overlaps") { AveragePooling("pool", 3, stride: 2, padding: 1, rounding: .ceil) },
    network("fully connected") { FullyConnected("fc", 7, bias: false) },
    network("ReLU of a convolution") { ReLU("relu") },
    network("ReLU of a pooling") {
      AveragePooling("pool", 2)
      ReLU("relu")
    },
    network("ReLU of a fully connected layer") {
      FullyConnected("fc", 9)
      ReLU("relu")
    },
    network("tanh") { Tanh("tanh") },
    network("sigmoid") { Sigmoid("sigmoid") },
    network("tanh, flat, twice") {
      FullyConnected("fc", 9)
      Tanh("tanh1")
      Tanh("tanh2")
    },
    network("dropout") { Dropout("dropout", 0.4) },
    network("dropout after ReLU") {
      FullyConnected("fc", 12)
      ReLU("relu")
      Dropout("dropout", 0.5)
    },
    try! Network("activation first", input: [2, 4, 4]) {
      Sigmoid("sigmoid")
      Convolution("conv", channels: 3, kernel: 3)
      Tanh("tanh")
      FullyConnected("fc", 4)
      SoftmaxCrossEntropy("loss")
    },
    try! Network("flat input", input: [7]) {
      FullyConnected("fc1", 6)
      Sigmoid("sigmoid")
      FullyConnected("fc2", 3)
      SoftmaxCrossEntropy("loss")
    },
  ]

  @Test(arguments: networks) func equalsCentralDifferences(_ network: Network) throws {
    try expectCentralDifferences(network)
  }
}

/// Checks a network's gradient against central differences of its loss, in double precision.
///
/// A layer's own input gradient shows in the gradients of the layers before it. No decision is so near that a
/// difference's step would change it: see `Decisions`.
func expectCentralDifferences(
  _ network: Network, inputs: [Double]? = nil, target: @escaping (Int, UInt64) -> Float = { Float($1 >> 40) * 0x1p-24 }
) throws {
  let samples = 3
  let plan = DoublePlan(network, batch: samples, threads: 2, purpose: .training(seed: 5))
  let batch = makeBatch(network, count: samples, target: target)
  let inputs = inputs ?? uniforms(samples * network.inputShape.count, bound: 1, seed: 11)
  // A change of every parameter by a 4,096th of itself moves more than one of one parameter by 2e-5.
  let decisions = Decisions(network, batch: batch, inputs: inputs, termError: 0x1p-12)
  var parameters = try decisions.widened(uniforms(network.parameterLayout.count, bound: 0.5, seed: 12))
  let gradient = try plan.step(inputs: inputs, batch: batch, parameters: parameters).gradient
  for index in parameters.indices {
    let value = parameters[index]
    func difference(_ step: Double) throws -> Double {
      parameters[index] = value + step
      let above = try plan.step(inputs: inputs, batch: batch, parameters: parameters).loss
      parameters[index] = value - step
      let below = try plan.step(inputs: inputs, batch: batch, parameters: parameters).loss
      parameters[index] = value
      return (above - below) / (2 * step)
    }
    let (fine, coarse) = (try difference(1e-5), try difference(2e-5))
    // A kink within the step would make both wrong, by different amounts.
    #expect(abs(fine - coarse) <= 1e-6 * max(1, abs(fine)), "parameter \(index)")
    #expect(abs(gradient[index] - fine) <= 1e-7 * max(1, abs(fine)), "parameter \(index)")
  }
}

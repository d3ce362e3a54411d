import Tensors

extension Layer {
  /// A parameter tensor of a layer.
  struct Parameter {
    let name: String
    let extents: [Int]
    let initializer: Initializer

    /// Its shape.
    ///
    /// - Precondition: the network was checked, so that the number of elements is known to fit.
    var shape: Shape { Shape(extents) }
  }

  /// The layer's parameters, in the order of the flat vector.
  func parameters(inputShape: Shape) -> [Parameter] {
    switch kind {
    case .convolution(let layer):
      return weightAndBias(
        [layer.channels, inputShape[0] / layer.groups] + kernel(layer.kernel, inputShape), layer.weights,
        bias: layer.hasBias ? layer.channels : nil, layer.bias)
    case .transposedConvolution(let layer):
      return weightAndBias(
        [inputShape[0], layer.channels / layer.groups] + kernel(layer.kernel, inputShape), layer.weights,
        bias: layer.hasBias ? layer.channels : nil, layer.bias)
    case .fullyConnected(let layer):
      return weightAndBias(
        [layer.outputs, inputShape.count], layer.weights, bias: layer.hasBias ? layer.outputs : nil, layer.bias)
    case .batchNormalization(let layer):
      return weightAndBias([inputShape[0]], layer.weights, bias: inputShape[0], layer.bias)
    case .prelu(let layer):
      return weightAndBias([layer.isShared ? 1 : inputShape[0]], layer.weights, bias: nil, .constant(0))
    case .embedding(let layer):
      return weightAndBias([layer.entries, layer.features], layer.weights, bias: nil, .constant(0))
    default: return []
    }
  }

  private func kernel(_ extent: Extent, _ inputShape: Shape) -> [Int] {
    extent.numbers(dimensions: inputShape.rank - 1) ?? []
  }

  private func weightAndBias(
    _ weight: [Int], _ weights: Initializer, bias: Int?, _ biases: Initializer
  ) -> [Parameter] {
    [Parameter(name: "\(name).weight", extents: weight, initializer: weights)]
      + (bias.map { [Parameter(name: "\(name).bias", extents: [$0], initializer: biases)] } ?? [])
  }

  /// A tensor that training computes but no gradient reaches, and its first value.
  struct Buffer {
    let name: String
    let shape: Shape
    let value: Float
  }

  /// The layer's buffers, in the order of their flat vector.
  func buffers(inputShape: Shape) -> [Buffer] {
    guard case .batchNormalization = kind else { return [] }
    return [
      Buffer(name: "\(name).running_mean", shape: [inputShape[0]], value: 0),
      Buffer(name: "\(name).running_var", shape: [inputShape[0]], value: 1),
    ]
  }
}

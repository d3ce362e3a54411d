import Tensors

extension Layer {
  /// A parameter tensor of a layer.
  struct Parameter {
    let name: String
    let shape: Shape
    let initializer: Initializer
  }

  /// The layer's parameters, in the order of the flat vector.
  func parameters(inputShape: Shape) -> [Parameter] {
    let weight: Parameter
    let bias: Parameter?
    switch kind {
    case .convolution(let layer):
      weight = Parameter(
        name: "\(name).weight",
        shape: [layer.channels, inputShape[0] / layer.groups, layer.kernel.height, layer.kernel.width],
        initializer: layer.weights)
      bias = layer.hasBias ? Parameter(name: "\(name).bias", shape: [layer.channels], initializer: layer.bias) : nil
    case .fullyConnected(let layer):
      weight = Parameter(
        name: "\(name).weight", shape: [layer.outputs, inputShape.count], initializer: layer.weights)
      bias = layer.hasBias ? Parameter(name: "\(name).bias", shape: [layer.outputs], initializer: layer.bias) : nil
    default: return []
    }
    return [weight] + (bias.map { [$0] } ?? [])
  }
}

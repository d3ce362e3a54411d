public import Tensors

/// What a layer of a network amounts to.
public struct LayerSummary: Hashable, Sendable {
  /// The layer's name.
  public let name: String
  /// What it computes, in the field's words.
  public let type: String
  /// The shape of its output for one sample.
  public let outputShape: Shape
  /// Number of its parameters.
  public let parameters: Int
  /// Multiply-accumulates of its forward pass for one sample: convolutions and fully connected layers.
  public let macs: Int
}

extension Network {
  /// What each layer amounts to, in order.
  public var summary: [LayerSummary] {
    nodes.map { node in
      let parameters = node.layer.parameters(inputShape: node.inputShape)
      let weights = parameters.first?.shape.count ?? 0
      let macs: Int
      switch node.layer.kind {
      case .convolution: macs = weights * node.outputShape.extents.dropFirst().reduce(1, *)
      case .transposedConvolution: macs = weights * node.inputShape.extents.dropFirst().reduce(1, *)
      case .fullyConnected: macs = weights
      default: macs = 0
      }
      return LayerSummary(
        name: node.layer.name, type: node.layer.kind.typeName, outputShape: node.outputShape,
        parameters: parameters.reduce(0) { $0 + $1.shape.count }, macs: macs)
    }
  }

  /// Multiply-accumulates of the forward pass for one sample: convolutions and fully connected layers.
  public var forwardMACs: Int { summary.reduce(0) { $0 + $1.macs } }
}

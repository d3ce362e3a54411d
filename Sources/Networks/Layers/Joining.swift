/// The sum of two inputs or more of one shape, element by element.
public struct Addition: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The sum of the outputs of these layers.
  public init(_ name: String, of inputs: [String]) {
    layer = Layer(name: name, kind: .addition, inputs: inputs)
  }
}

/// The product of two inputs of one shape, element by element.
public struct Multiplication: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The product of the outputs of two layers.
  public init(_ name: String, of inputs: [String]) {
    layer = Layer(name: name, kind: .multiplication, inputs: inputs)
  }
}

/// The channels of two inputs or more, one after another; their planes have one extent.
public struct Concatenation: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The channels of the outputs of these layers.
  public init(_ name: String, of inputs: [String]) {
    layer = Layer(name: name, kind: .concatenation, inputs: inputs)
  }
}

/// max(x, 0) of each element.
public struct ReLU: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The function of each element.
  public init(_ name: String, from input: String? = nil) {
    layer = Layer(name: name, kind: .relu, input: input)
  }
}

/// min(max(x, 0), 6) of each element.
public struct ReLU6: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The function of each element.
  public init(_ name: String, from input: String? = nil) {
    layer = Layer(name: name, kind: .relu6, input: input)
  }
}

/// Each element where it is positive, a small multiple of it elsewhere.
public struct LeakyReLU: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The function of each element; the slope of negative ones is not negative.
  public init(_ name: String, slope: Double = 0.01, from input: String? = nil) {
    layer = Layer(name: name, kind: .leakyReLU(slope: slope), input: input)
  }
}

/// A leaky ReLU whose slope is learned (He et al., 2015): `NAME.weight`, one for each channel or one for all.
public struct PReLU: Hashable, Sendable, LayerConvertible {
  /// Its name.
  public var name: String
  /// Whether all channels share one slope.
  public var isShared: Bool
  /// The slopes' first values.
  public var weights: Initializer
  private var input: String?

  /// A PReLU; slopes begin as 0.25 as in the paper.
  public init(
    _ name: String, isShared: Bool = false, weights: Initializer = .constant(0.25), from input: String? = nil
  ) {
    self.name = name
    self.isShared = isShared
    self.weights = weights
    self.input = input
  }

  /// The layer that the line describes.
  public var layer: Layer { Layer(name: name, kind: .prelu(self), input: input) }
}

/// The hyperbolic tangent of each element.
public struct Tanh: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The function of each element.
  public init(_ name: String, from input: String? = nil) {
    layer = Layer(name: name, kind: .tanh, input: input)
  }
}

/// 1 / (1 + exp(−x)) of each element.
public struct Sigmoid: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The function of each element.
  public init(_ name: String, from input: String? = nil) {
    layer = Layer(name: name, kind: .sigmoid, input: input)
  }
}

/// exp(x) over its sum over the channels, at each place of the plane.
public struct Softmax: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The softmax.
  public init(_ name: String, from input: String? = nil) {
    layer = Layer(name: name, kind: .softmax, input: input)
  }
}

/// Zeroes elements while training (Srivastava et al., 2014), and scales the others so that the mean stays.
public struct Dropout: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Dropout with a probability of being zeroed.
  public init(_ name: String, _ probability: Double, from input: String? = nil) {
    layer = Layer(name: name, kind: .dropout(probability), input: input)
  }
}

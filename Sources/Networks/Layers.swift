/// An extent in two dimensions, height first.
public struct Extent: Hashable, Sendable, ExpressibleByIntegerLiteral, CustomStringConvertible {
  /// Along the rows' direction.
  public let height: Int
  /// Along a row.
  public let width: Int

  /// An extent of two numbers.
  public init(_ height: Int, _ width: Int) {
    self.height = height
    self.width = width
  }

  /// The same number in both dimensions.
  public init(integerLiteral value: Int) {
    self.init(value, value)
  }

  /// `5×5`.
  public var description: String { "\(height)×\(width)" }
}

/// What a layer computes.
public enum LayerKind: Hashable, Sendable {
  /// See `Convolution`.
  case convolution(Convolution)
  /// See `MaxPooling`.
  case maxPooling(Pooling)
  /// See `AveragePooling`.
  case averagePooling(Pooling)
  /// See `FullyConnected`.
  case fullyConnected(FullyConnected)
  /// max(x, 0).
  case relu
  /// The hyperbolic tangent.
  case tanh
  /// 1 / (1 + exp(−x)).
  case sigmoid
  /// Zeroes elements with this probability while training, and scales the others to keep the mean.
  case dropout(Double)
  /// All dimensions as one.
  case flatten
  /// The mean negative logarithm of the softmax's share for the label: the loss.
  case softmaxCrossEntropy

  /// The field's name of it.
  public var typeName: String {
    switch self {
    case .convolution: "convolution"
    case .maxPooling: "max pooling"
    case .averagePooling: "average pooling"
    case .fullyConnected: "fully connected"
    case .relu: "ReLU"
    case .tanh: "tanh"
    case .sigmoid: "sigmoid"
    case .dropout: "dropout"
    case .flatten: "flatten"
    case .softmaxCrossEntropy: "softmax cross-entropy"
    }
  }
}

/// A layer by its name, and where its input comes from.
public struct Layer: Hashable, Sendable {
  /// Its name: parameters are `NAME.weight` and `NAME.bias`.
  public let name: String
  /// What it computes.
  public let kind: LayerKind
  /// The name of the layer whose output it takes; nil for the one before it in the table.
  public let input: String?
}

/// A line of a network's table.
public protocol LayerConvertible {
  /// The layer that the line describes.
  var layer: Layer { get }
}

/// A convolution (cross-correlation, as the field calls it) over planes, with weights `[out, in / groups, height, width]`.
public struct Convolution: Hashable, Sendable, LayerConvertible {
  /// Its name.
  public var name: String
  /// Output channels.
  public var channels: Int
  /// The kernel's extent.
  public var kernel: Extent
  /// Distance between windows.
  public var stride: Extent
  /// Zeros on each side.
  public var padding: Extent
  /// Distance between the kernel's places.
  public var dilation: Extent
  /// Groups of channels that do not mix.
  public var groups: Int
  /// Whether a value is added to each channel.
  public var hasBias: Bool
  /// The weights' first values.
  public var weights: Initializer
  /// The bias's first values.
  public var bias: Initializer
  private var input: String?

  /// A convolution.
  public init(
    _ name: String, channels: Int, kernel: Extent, stride: Extent = 1, padding: Extent = 0, dilation: Extent = 1,
    groups: Int = 1, bias hasBias: Bool = true, weights: Initializer = .xavier(.uniform),
    biases: Initializer = .constant(0), from input: String? = nil
  ) {
    self.name = name
    self.channels = channels
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
    self.hasBias = hasBias
    self.weights = weights
    bias = biases
    self.input = input
  }

  /// The layer that the line describes.
  public var layer: Layer { Layer(name: name, kind: .convolution(self), input: input) }
}

/// How pooling rounds the number of windows that fit.
public enum PoolingRounding: Hashable, Sendable {
  /// Only whole windows (PyTorch's default).
  case floor
  /// A last window may reach beyond the plane, as long as it begins within it or its left padding (Caffe's rule).
  case ceil
}

/// A window that moves over each channel's plane.
public struct Pooling: Hashable, Sendable {
  /// The window's extent.
  public let kernel: Extent
  /// Distance between windows.
  public let stride: Extent
  /// Places on each side beyond the plane: never the largest, but counted in an average.
  public let padding: Extent
  /// How the number of windows is rounded.
  public let rounding: PoolingRounding
}

/// The largest of each window.
public struct MaxPooling: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Max pooling; the stride is the kernel's extent unless stated.
  public init(
    _ name: String, _ kernel: Extent, stride: Extent? = nil, padding: Extent = 0, rounding: PoolingRounding = .floor,
    from input: String? = nil
  ) {
    let pooling = Pooling(kernel: kernel, stride: stride ?? kernel, padding: padding, rounding: rounding)
    layer = Layer(name: name, kind: .maxPooling(pooling), input: input)
  }
}

/// The mean of each window; padding counts as zeros (PyTorch's `count_include_pad`).
public struct AveragePooling: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Average pooling; the stride is the kernel's extent unless stated.
  public init(
    _ name: String, _ kernel: Extent, stride: Extent? = nil, padding: Extent = 0, rounding: PoolingRounding = .floor,
    from input: String? = nil
  ) {
    let pooling = Pooling(kernel: kernel, stride: stride ?? kernel, padding: padding, rounding: rounding)
    layer = Layer(name: name, kind: .averagePooling(pooling), input: input)
  }
}

/// Every output a weighted sum of every input, with weights `[out, in]`. A spatial input is flattened.
public struct FullyConnected: Hashable, Sendable, LayerConvertible {
  /// Its name.
  public var name: String
  /// Outputs.
  public var outputs: Int
  /// Whether a value is added to each output.
  public var hasBias: Bool
  /// The weights' first values.
  public var weights: Initializer
  /// The bias's first values.
  public var bias: Initializer
  private var input: String?

  /// A fully connected layer.
  public init(
    _ name: String, _ outputs: Int, bias hasBias: Bool = true, weights: Initializer = .xavier(.uniform),
    biases: Initializer = .constant(0), from input: String? = nil
  ) {
    self.name = name
    self.outputs = outputs
    self.hasBias = hasBias
    self.weights = weights
    bias = biases
    self.input = input
  }

  /// The layer that the line describes.
  public var layer: Layer { Layer(name: name, kind: .fullyConnected(self), input: input) }
}

/// max(x, 0) of each element.
public struct ReLU: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The function of each element.
  public init(_ name: String, from input: String? = nil) {
    layer = Layer(name: name, kind: .relu, input: input)
  }
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

/// Zeroes elements while training (Srivastava et al., 2014), and scales the others so that the mean stays.
public struct Dropout: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Dropout with a probability of being zeroed.
  public init(_ name: String, _ probability: Double, from input: String? = nil) {
    layer = Layer(name: name, kind: .dropout(probability), input: input)
  }
}

/// All dimensions as one.
public struct Flatten: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Flattens.
  public init(_ name: String, from input: String? = nil) {
    layer = Layer(name: name, kind: .flatten, input: input)
  }
}

/// The loss of a classifier: the negative logarithm of the softmax's share for the label.
public struct SoftmaxCrossEntropy: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The loss of the logits before it.
  public init(_ name: String, from input: String? = nil) {
    layer = Layer(name: name, kind: .softmaxCrossEntropy, input: input)
  }
}

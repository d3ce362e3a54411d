/// A convolution (cross-correlation, as the field calls it) over planes in one, two or three dimensions, with weights
/// `[out, in / groups, kernel …]`.
public struct Convolution: Hashable, Sendable, LayerConvertible {
  /// Its name.
  public var name: String
  /// Output channels.
  public var channels: Int
  /// The kernel's extent.
  public var kernel: Extent
  /// Distance between windows.
  public var stride: Extent
  /// Zeros before the first place of each dimension.
  public var padding: Extent
  /// Zeros after the last place of each dimension: as many as before it unless stated.
  public var endPadding: Extent
  /// Distance between the kernel's places.
  public var dilation: Extent
  /// Groups of channels that do not mix; as many as there are input channels for a depthwise convolution.
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
    _ name: String, channels: Int, kernel: Extent, stride: Extent = 1, padding: Extent = 0, endPadding: Extent? = nil,
    dilation: Extent = 1, groups: Int = 1, bias hasBias: Bool = true, weights: Initializer = .xavier(.uniform),
    biases: Initializer = .constant(0), from input: String? = nil
  ) {
    self.name = name
    self.channels = channels
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.endPadding = endPadding ?? padding
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

/// The transpose of a convolution: each input place adds the kernel, weighted, to the output, with weights
/// `[in, out / groups, kernel …]` as PyTorch has them.
///
/// An extent of n becomes (n − 1) · stride + dilation · (kernel − 1) + 1 − padding − end padding + output padding.
public struct TransposedConvolution: Hashable, Sendable, LayerConvertible {
  /// Its name.
  public var name: String
  /// Output channels.
  public var channels: Int
  /// The kernel's extent.
  public var kernel: Extent
  /// Distance between the kernel's copies in the output.
  public var stride: Extent
  /// Places that are cut off before the output.
  public var padding: Extent
  /// Places that are cut off after the output: as many as before it unless stated.
  public var endPadding: Extent
  /// Places that are added after the output: below the stride or the dilation.
  public var outputPadding: Extent
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

  /// A transposed convolution.
  public init(
    _ name: String, channels: Int, kernel: Extent, stride: Extent = 1, padding: Extent = 0, endPadding: Extent? = nil,
    outputPadding: Extent = 0, dilation: Extent = 1, groups: Int = 1, bias hasBias: Bool = true,
    weights: Initializer = .xavier(.uniform), biases: Initializer = .constant(0), from input: String? = nil
  ) {
    self.name = name
    self.channels = channels
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.endPadding = endPadding ?? padding
    self.outputPadding = outputPadding
    self.dilation = dilation
    self.groups = groups
    self.hasBias = hasBias
    self.weights = weights
    bias = biases
    self.input = input
  }

  /// The layer that the line describes.
  public var layer: Layer { Layer(name: name, kind: .transposedConvolution(self), input: input) }
}

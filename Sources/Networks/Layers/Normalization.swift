/// Batch normalisation (Ioffe and Szegedy, 2015): each channel with mean 0 and variance 1 over the batch, then
/// `NAME.weight` · x + `NAME.bias`.
///
/// Training normalises with the batch's own mean and biased variance; evaluation with the buffers `NAME.running_mean`
/// and `NAME.running_var`, which begin as 0 and 1.
public struct BatchNormalization: Hashable, Sendable, LayerConvertible {
  /// Its name.
  public var name: String
  /// What is added to the variance.
  public var epsilon: Double
  /// The share of a batch's statistics in the running ones, as PyTorch counts it: running ← (1 − momentum) · running +
  /// momentum · batch.
  public var momentum: Double
  /// The weights' first values.
  public var weights: Initializer
  /// The bias's first values.
  public var bias: Initializer
  private var input: String?

  /// Batch normalisation.
  public init(
    _ name: String, epsilon: Double = 1e-5, momentum: Double = 0.1, weights: Initializer = .constant(1),
    biases: Initializer = .constant(0), from input: String? = nil
  ) {
    self.name = name
    self.epsilon = epsilon
    self.momentum = momentum
    self.weights = weights
    bias = biases
    self.input = input
  }

  /// The layer that the line describes.
  public var layer: Layer { Layer(name: name, kind: .batchNormalization(self), input: input) }
}

/// Local response normalisation (Krizhevsky et al., 2012): x / (k + α / n · Σ x²)^β over a window of n neighbours, whose
/// number divides α as in Caffe and PyTorch.
public struct LocalResponseNormalization: Hashable, Sendable, LayerConvertible {
  /// Whose squares are added.
  public enum Region: Hashable, Sendable {
    /// Neighbouring channels at the same place; n is the size.
    case acrossChannels
    /// Neighbouring places of the same channel; n is the size to the power of the dimensions, padding counted.
    case withinChannel
  }

  /// Its name.
  public var name: String
  /// The window's extent, odd.
  public var size: Int
  /// The squares' factor, before it is divided by their number.
  public var alpha: Double
  /// The exponent.
  public var beta: Double
  /// What is added to the squares.
  public var k: Double
  /// Whose squares are added.
  public var region: Region
  private var input: String?

  /// Local response normalisation; what is not stated is the paper's.
  public init(
    _ name: String, size: Int = 5, alpha: Double = 1e-4, beta: Double = 0.75, k: Double = 1,
    region: Region = .acrossChannels, from input: String? = nil
  ) {
    self.name = name
    self.size = size
    self.alpha = alpha
    self.beta = beta
    self.k = k
    self.region = region
    self.input = input
  }

  /// The layer that the line describes.
  public var layer: Layer { Layer(name: name, kind: .localResponseNormalization(self), input: input) }
}

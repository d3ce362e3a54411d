public import Tensors

/// What a layer computes.
public enum LayerKind: Hashable, Sendable {
  /// See `Convolution`.
  case convolution(Convolution)
  /// See `TransposedConvolution`.
  case transposedConvolution(TransposedConvolution)
  /// See `MaxPooling`.
  case maxPooling(Pooling)
  /// See `AveragePooling`.
  case averagePooling(Pooling)
  /// See `AdaptivePooling`.
  case adaptivePooling(PoolingFunction, output: Extent)
  /// See `BatchNormalization`.
  case batchNormalization(BatchNormalization)
  /// See `LocalResponseNormalization`.
  case localResponseNormalization(LocalResponseNormalization)
  /// See `FullyConnected`.
  case fullyConnected(FullyConnected)
  /// See `Embedding`.
  case embedding(Embedding)
  /// max(x, 0).
  case relu
  /// min(max(x, 0), 6).
  case relu6
  /// x where it is positive, x times this slope elsewhere.
  case leakyReLU(slope: Double)
  /// See `PReLU`.
  case prelu(PReLU)
  /// The hyperbolic tangent.
  case tanh
  /// 1 / (1 + exp(−x)).
  case sigmoid
  /// exp(x) over its sum over the channels.
  case softmax
  /// Zeroes elements with this probability while training, and scales the others to keep the mean.
  case dropout(Double)
  /// The sum of its inputs, element by element.
  case addition
  /// The product of its two inputs, element by element.
  case multiplication
  /// The channels of its inputs, one after another.
  case concatenation
  /// All dimensions as one.
  case flatten
  /// The elements in another shape.
  case reshape(Shape)
  /// See `Crop`.
  case crop(Margins)
  /// See `Pad`.
  case pad(Margins, value: Float)
  /// See `Slice`.
  case slice(dimension: Int, Range<Int>)
  /// See `BilinearUpsampling`.
  case bilinearUpsampling(scale: Extent, alignsCorners: Bool)
  /// See `Loss`.
  case loss(Loss)

  /// The field's name of it.
  public var typeName: String {
    switch self {
    case .convolution: "convolution"
    case .transposedConvolution: "transposed convolution"
    case .maxPooling: "max pooling"
    case .averagePooling: "average pooling"
    case .adaptivePooling(let function, let output):
      "\(output == 1 ? "global" : "adaptive") \(function == .maximum ? "max" : "average") pooling"
    case .batchNormalization: "batch normalization"
    case .localResponseNormalization: "local response normalization"
    case .fullyConnected: "fully connected"
    case .embedding: "embedding"
    case .relu: "ReLU"
    case .relu6: "ReLU6"
    case .leakyReLU: "leaky ReLU"
    case .prelu: "PReLU"
    case .tanh: "tanh"
    case .sigmoid: "sigmoid"
    case .softmax: "softmax"
    case .dropout: "dropout"
    case .addition: "addition"
    case .multiplication: "multiplication"
    case .concatenation: "concatenation"
    case .flatten: "flatten"
    case .reshape: "reshape"
    case .crop: "crop"
    case .pad: "pad"
    case .slice: "slice"
    case .bilinearUpsampling: "bilinear up-sampling"
    case .loss(let loss): loss.function.name
    }
  }

  /// Whether it is a loss.
  public var isLoss: Bool { loss != nil }

  /// The loss, or nil.
  public var loss: Loss? {
    if case .loss(let loss) = self { loss } else { nil }
  }

  /// How many inputs it takes.
  var inputCounts: ClosedRange<Int> {
    switch self {
    case .addition, .concatenation: 2...Int.max
    case .multiplication: 2...2
    case .loss(let loss): loss.function.inputCount...loss.function.inputCount
    default: 1...1
    }
  }
}

/// A layer by its name, and where its inputs come from.
public struct Layer: Hashable, Sendable {
  /// Its name: parameters are `NAME.weight` and `NAME.bias`.
  public let name: String
  /// What it computes.
  public let kind: LayerKind
  /// The names of the layers whose outputs it takes, `input` for the network's; empty for the one before it in the table.
  public let inputs: [String]

  /// A layer that takes from one other, or from the one before it in the table.
  init(name: String, kind: LayerKind, input: String?) {
    self.init(name: name, kind: kind, inputs: input.map { [$0] } ?? [])
  }

  /// A layer that takes from others.
  init(name: String, kind: LayerKind, inputs: [String]) {
    self.name = name
    self.kind = kind
    self.inputs = inputs
  }
}

/// A line of a network's table.
public protocol LayerConvertible {
  /// The layer that the line describes.
  var layer: Layer { get }
}

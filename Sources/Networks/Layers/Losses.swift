/// What a network is trained to make small.
///
/// The loss of a sample is its function times its weight; a network with several trains their sum.
public struct Loss: Hashable, Sendable {
  /// What is computed.
  public let function: LossFunction
  /// Its factor in the network's loss.
  public let weight: Double
}

/// The function of a loss, for one sample: x is what it takes, t the sample's targets, y its label.
///
/// Sums over elements are not divided by their number.
public enum LossFunction: Hashable, Sendable {
  /// See `SoftmaxCrossEntropy`.
  case softmaxCrossEntropy(SoftmaxCrossEntropySettings)
  /// Σ −t log σ(x) − (1 − t) log(1 − σ(x)), with targets in [0, 1].
  case sigmoidCrossEntropy
  /// ½ Σ (x − t)².
  case l2
  /// Σ |x − t|.
  case l1
  /// Σ ½ (x − t)² / β where |x − t| < β, |x − t| − ½ β elsewhere (Girshick, 2015).
  case smoothL1(beta: Double)
  /// Σ max(0, x_j − x_y + margin) over classes j that are not the label's (Weston and Watkins; ConvNetJS's svm).
  case hinge(margin: Double)
  /// ½ d² of a pair with label 1, ½ max(margin − d, 0)² of one with label 0, d the distance of its two inputs (Hadsell et
  /// al., 2006).
  case contrastive(margin: Double)

  /// The field's name of it.
  public var name: String {
    switch self {
    case .softmaxCrossEntropy: "softmax cross-entropy"
    case .sigmoidCrossEntropy: "sigmoid cross-entropy"
    case .l2: "L2"
    case .l1: "L1"
    case .smoothL1: "smooth L1"
    case .hinge: "hinge"
    case .contrastive: "contrastive"
    }
  }

  /// How many layers it takes from.
  var inputCount: Int {
    if case .contrastive = self { 2 } else { 1 }
  }
}

/// What a softmax cross-entropy takes into account besides the logits.
public struct SoftmaxCrossEntropySettings: Hashable, Sendable {
  /// A factor for each class, or none for all 1.
  public let classWeights: [Float]
  /// The share of the target that is spread over all classes (Szegedy et al., 2016; with class weights as in PyTorch).
  public let labelSmoothing: Double
  /// Samples or places with this label add nothing to the loss.
  public let ignoredLabel: Int32?
  /// Whether there are logits and a label at each place of a plane; the labels are then the sample's targets.
  public let isPerPlace: Bool
}

/// The loss of a classifier: the negative logarithm of the softmax's share for the label.
///
/// The logits are `[classes]`; or, per place, `[classes, height, width]` with a label for each place among the sample's
/// targets, and the loss is the mean over the places.
public struct SoftmaxCrossEntropy: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The loss of the logits before it.
  public init(
    _ name: String, weight: Double = 1, classWeights: [Float] = [], labelSmoothing: Double = 0,
    ignoring ignoredLabel: Int32? = nil, perPlace isPerPlace: Bool = false, from input: String? = nil
  ) {
    let settings = SoftmaxCrossEntropySettings(
      classWeights: classWeights, labelSmoothing: labelSmoothing, ignoredLabel: ignoredLabel, isPerPlace: isPerPlace)
    layer = Layer(
      name: name, kind: .loss(Loss(function: .softmaxCrossEntropy(settings), weight: weight)), input: input)
  }
}

/// The cross-entropy of independent probabilities: Σ −t log σ(x) − (1 − t) log(1 − σ(x)).
public struct SigmoidCrossEntropy: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The loss of the logits before it, with a target for each.
  public init(_ name: String, weight: Double = 1, from input: String? = nil) {
    layer = Layer(name: name, kind: .loss(Loss(function: .sigmoidCrossEntropy, weight: weight)), input: input)
  }
}

/// Half the squared distance to the targets: ½ Σ (x − t)².
public struct L2Loss: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The loss of the values before it, with a target for each.
  public init(_ name: String, weight: Double = 1, from input: String? = nil) {
    layer = Layer(name: name, kind: .loss(Loss(function: .l2, weight: weight)), input: input)
  }
}

/// The absolute distance to the targets: Σ |x − t|.
public struct L1Loss: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The loss of the values before it, with a target for each.
  public init(_ name: String, weight: Double = 1, from input: String? = nil) {
    layer = Layer(name: name, kind: .loss(Loss(function: .l1, weight: weight)), input: input)
  }
}

/// The distance to the targets, squared where it is small.
public struct SmoothL1Loss: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The loss of the values before it, with a target for each; squared below a distance of `beta`.
  public init(_ name: String, beta: Double = 1, weight: Double = 1, from input: String? = nil) {
    layer = Layer(name: name, kind: .loss(Loss(function: .smoothL1(beta: beta), weight: weight)), input: input)
  }
}

/// The loss of a support vector machine of several classes: how much others come within a margin of the label's score.
public struct HingeLoss: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The loss of the scores before it.
  public init(_ name: String, margin: Double = 1, weight: Double = 1, from input: String? = nil) {
    layer = Layer(name: name, kind: .loss(Loss(function: .hinge(margin: margin), weight: weight)), input: input)
  }
}

/// The loss of a pair: what belongs together (label 1) is pulled together, what does not (label 0) is pushed apart.
public struct ContrastiveLoss: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The loss of the outputs of two layers.
  public init(_ name: String, margin: Double = 1, weight: Double = 1, of inputs: [String]) {
    layer = Layer(
      name: name, kind: .loss(Loss(function: .contrastive(margin: margin), weight: weight)), inputs: inputs)
  }
}

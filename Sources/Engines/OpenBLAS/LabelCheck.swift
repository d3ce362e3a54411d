import Networks
import Tensors

/// What the labels that a loss reads must be.
struct LabelCheck {
  private let classes: Int
  private let ignored: Int32?
  /// Which of a sample's targets are labels; nil where the sample's own label is read.
  private let targets: Range<Int>?

  /// The check of a node; nil where it is no loss that reads labels.
  init?(_ node: Network.Node) {
    guard let loss = node.layer.kind.loss else { return nil }
    switch loss.function {
    case .softmaxCrossEntropy(let settings):
      classes = node.inputShape[0]
      ignored = settings.ignoredLabel
      targets = settings.isPerPlace ? node.targets : nil
    case .hinge: (classes, ignored, targets) = (node.inputShape[0], nil, nil)
    case .contrastive: (classes, ignored, targets) = (2, nil, nil)
    case .sigmoidCrossEntropy, .l2, .l1, .smoothL1: return nil
    }
  }

  /// Checks the labels of a batch, before a kernel takes them for indices.
  func check(_ batch: Batch) throws(EngineError) {
    for sample in 0..<batch.count {
      guard let targets else {
        let label = batch.labelPointer[sample]
        guard label == ignored || (label >= 0 && label < Int32(classes)) else { throw .label(label, classes: classes) }
        continue
      }
      let values = batch.targets.pointer + sample * batch.targetCount
      for index in targets {
        let isClass = values[index] >= 0 && values[index] < Float(classes)
        let isIgnored = ignored.map { Float($0) == values[index] } ?? false
        guard isIgnored || (isClass && values[index].rounded(.towardZero) == values[index]) else {
          throw .placeLabel(values[index], classes: classes)
        }
      }
    }
  }
}

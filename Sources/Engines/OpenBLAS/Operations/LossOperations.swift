import CKernels
import Networks
import Tensors

/// A loss: its forward pass also sets the gradients of what it takes.
///
/// What it takes is flat, sample-major.
final class LossOperation<Scalar: EngineScalar>: Operation {
  private let inputs: [Source]
  private let loss: Loss
  /// Which of a sample's targets it reads.
  private let targets: Range<Int>
  /// Whether its samples count as correct or not.
  private let isMain: Bool
  private let classes: Int

  init(_ loss: Loss, inputs: [Source], node: Network.Node, isMain: Bool) {
    self.loss = loss
    self.inputs = inputs
    self.isMain = isMain
    targets = node.targets
    classes = node.inputShape[0]
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    let x = context.pointer(inputs[0].value)
    let dx = gradient(0, context)
    let (rows, count) = (context.samples, inputs[0].value.count)
    let targets = self.targets.isEmpty ? nil : context.targets.map { $0 + self.targets.lowerBound }
    let stride = context.targetStride
    var correct = 0
    switch loss.function {
    case .softmaxCrossEntropy(let settings):
      softmax(settings, x, dx, targets, &context, &correct)
    case .sigmoidCrossEntropy:
      element(CONVOY_LOSS_SIGMOID, 1, x, dx, targets, stride, rows, count, &context.loss)
    case .l2: element(CONVOY_LOSS_L2, 1, x, dx, targets, stride, rows, count, &context.loss)
    case .l1: element(CONVOY_LOSS_L1, 1, x, dx, targets, stride, rows, count, &context.loss)
    case .smoothL1(let beta):
      element(CONVOY_LOSS_SMOOTH_L1, beta, x, dx, targets, stride, rows, count, &context.loss)
    case .hinge(let margin):
      Scalar.loss.hinge(x, margin, loss.weight, context.labels, rows, count, dx, &context.loss, &correct)
    case .contrastive(let margin):
      Scalar.loss.contrastive(
        x, context.pointer(inputs[1].value), margin, loss.weight, context.labels, rows, count, dx,
        gradient(1, context), &context.loss)
    }
    if isMain { context.correct += correct }
  }

  func backward(_ context: inout StepContext<Scalar>) {}

  private func gradient(_ index: Int, _ context: StepContext<Scalar>) -> UnsafeMutablePointer<Scalar>? {
    context.gradient == nil ? nil : inputs[index].gradient.map { context.pointer($0) }
  }

  private func softmax(
    _ settings: SoftmaxCrossEntropySettings, _ x: UnsafeMutablePointer<Scalar>, _ dx: UnsafeMutablePointer<Scalar>?,
    _ targets: UnsafePointer<Float>?, _ context: inout StepContext<Scalar>, _ correct: inout Int
  ) {
    let count = inputs[0].value.count
    let isPlain = settings.classWeights.isEmpty && settings.labelSmoothing == 0 && settings.ignoredLabel == nil
    guard !isPlain || settings.isPerPlace || loss.weight != 1 else {
      Scalar.kernels.softmaxCrossEntropy(x, context.labels, context.samples, count, dx, &context.loss, &correct)
      return
    }
    let places = count / classes
    let (samples, labels, stride) = (context.samples, context.labels, context.targetStride)
    settings.classWeights.withUnsafeBufferPointer { weights in
      var kernel = convoy_softmax_loss(
        classes: classes, places: places, class_weights: weights.isEmpty ? nil : weights.baseAddress,
        smoothing: settings.labelSmoothing, factor: loss.weight / Double(places),
        has_ignored: settings.ignoredLabel == nil ? 0 : 1, ignored: settings.ignoredLabel ?? 0)
      Scalar.loss.softmax(x, &kernel, labels, targets, stride, samples, dx, &context.loss, &correct)
    }
    // Right places are not right samples.
    if settings.isPerPlace { correct = 0 }
  }

  private func element(
    _ kind: Int, _ beta: Double, _ x: UnsafeMutablePointer<Scalar>, _ dx: UnsafeMutablePointer<Scalar>?,
    _ targets: UnsafePointer<Float>?, _ stride: Int, _ rows: Int, _ count: Int, _ sum: inout Double
  ) {
    Scalar.loss.element(x, Int32(kind), beta, loss.weight, targets, stride, rows, count, dx, &sum)
  }
}

import CKernels
import Networks
import Tensors

/// A convolution by columns and matrix products, with bias and a following ReLU fused.
///
/// Images are taken in blocks whose columns fit a core's cache. Forward and the input's gradient go block by block; the
/// weights' gradient is summed in parts, fixed by layer and batch alone, that are then added in order: the same bits on
/// any number of threads.
final class ConvolutionOperation<Scalar: EngineScalar>: Operation, ParallelWork {
  private enum Phase {
    case forward, inputGradient, weightGradient
  }

  private let places: Places
  private let layer: Convolution
  private let window: convoy_window
  private let inputChannels: Int
  private let weightRange: Range<Int>
  private let biasRange: Range<Int>?
  private let hasReLU: Bool
  private let team: ThreadTeam
  /// Column matrices, one for each thread.
  private let columns: Slot
  /// Partial sums of the weights' gradient, `maximumParts` of them where more than one is used.
  private let partials: Slot?

  private var phase = Phase.forward
  private var context: StepContext<Scalar>?

  /// Bytes of columns that a block of images has at most, unless one image has more: half of a level-2 cache.
  static var blockBytes: Int { 512 << 10 }
  /// Most partial sums of a weight gradient.
  static var maximumParts: Int { 8 }
  /// Most elements of all partial sums together; layers with more weights share the work by output channels.
  static var maximumPartialElements: Int { 1 << 20 }

  init(
    _ layer: Convolution, node: Network.Node, places: Places, weights: Range<Int>, bias: Range<Int>?, hasReLU: Bool,
    team: ThreadTeam, reserve: (Int) -> Slot
  ) {
    self.layer = layer
    self.places = places
    self.hasReLU = hasReLU
    self.team = team
    weightRange = weights
    biasRange = bias
    inputChannels = node.inputShape[0]
    window = convoy_window(
      height: node.inputShape[1], width: node.inputShape[2], kernel_height: layer.kernel.height,
      kernel_width: layer.kernel.width, stride_height: layer.stride.height, stride_width: layer.stride.width,
      padding_height: layer.padding.height, padding_width: layer.padding.width,
      dilation_height: layer.dilation.height, dilation_width: layer.dilation.width,
      output_height: node.outputShape[1], output_width: node.outputShape[2])
    let depth = inputChannels / layer.groups * layer.kernel.height * layer.kernel.width
    let outputs = node.outputShape[1] * node.outputShape[2]
    let block = Self.blockImages(depth: depth, outputs: outputs)
    columns = reserve(team.count * block * depth * outputs)
    let sharesImages = weights.count * Self.maximumParts <= Self.maximumPartialElements
    partials = places.outputGradient != nil && sharesImages ? reserve(Self.maximumParts * weights.count) : nil
  }

  private static func blockImages(depth: Int, outputs: Int) -> Int {
    max(1, blockBytes / (depth * outputs * MemoryLayout<Scalar>.stride))
  }

  var parameterRange: Range<Int> { weightRange.lowerBound..<(biasRange ?? weightRange).upperBound }

  private var outputs: Int { window.output_height * window.output_width }
  private var plane: Int { window.height * window.width }
  /// Rows of a group's columns: the depth of its products.
  private var depth: Int { inputChannels / layer.groups * layer.kernel.height * layer.kernel.width }
  private var groupOutputs: Int { layer.channels / layer.groups }
  private var groupInputs: Int { inputChannels / layer.groups }
  private var block: Int { Self.blockImages(depth: depth, outputs: outputs) }

  private func blocks(_ samples: Int) -> Int { (samples + block - 1) / block }

  // MARK: Forward

  func forward(_ context: inout StepContext<Scalar>) {
    run(.forward, context, tasks: blocks(context.samples))
  }

  private func run(_ phase: Phase, _ context: StepContext<Scalar>, tasks: Int) {
    self.phase = phase
    self.context = context
    team.run(self, tasks: tasks)
  }

  func perform(task: Int, thread: Int) {
    guard let context else { return }
    let columns = context.arena + columns.offset + thread * block * depth * outputs
    switch phase {
    case .forward: forwardBlock(images(ofBlock: task, context.samples), columns, context)
    case .inputGradient: inputGradientBlock(images(ofBlock: task, context.samples), columns, context)
    case .weightGradient: weightGradientPart(task, columns, context)
    }
  }

  private func images(ofBlock index: Int, _ samples: Int) -> Range<Int> {
    index * block..<min((index + 1) * block, samples)
  }

  /// The columns of a group for a block of images.
  private func fill(
    _ columns: UnsafeMutablePointer<Scalar>, group: Int, images: Range<Int>, _ context: StepContext<Scalar>
  ) {
    let stride = context.samples * plane
    let input = context.pointer(places.input) + group * groupInputs * stride + images.lowerBound * plane
    withUnsafePointer(to: window) {
      Scalar.kernels.im2col(input, stride, $0, groupInputs, images.count, columns)
    }
  }

  private func forwardBlock(
    _ images: Range<Int>, _ columns: UnsafeMutablePointer<Scalar>, _ context: StepContext<Scalar>
  ) {
    let stride = context.samples * outputs
    let output = context.pointer(places.output) + images.lowerBound * outputs
    for group in 0..<layer.groups {
      fill(columns, group: group, images: images, context)
      Scalar.multiply(
        MatrixProduct(
          rows: groupOutputs, columns: images.count * outputs, depth: depth,
          a: context.parameters + weightRange.lowerBound + group * groupOutputs * depth, aStride: depth,
          b: UnsafePointer(columns), bStride: images.count * outputs, c: output + group * groupOutputs * stride,
          cStride: stride))
    }
    guard biasRange != nil || hasReLU else { return }
    Scalar.kernels.addBias(
      output, biasRange.map { context.parameters + $0.lowerBound }, hasReLU ? 1 : 0, layer.channels,
      images.count * outputs, stride)
  }

  // MARK: Backward

  func backward(_ context: inout StepContext<Scalar>) {
    guard let gradient = context.gradient, let outputGradient = places.outputGradient else { return }
    let rows = context.pointer(outputGradient)
    let stride = context.samples * outputs
    if hasReLU {
      Scalar.kernels.reluBackward(context.pointer(places.output), rows, rows, layer.channels * stride)
    }
    if let biasRange { Scalar.kernels.sumRows(rows, layer.channels, stride, gradient + biasRange.lowerBound) }
    run(.weightGradient, context, tasks: parts(context.samples))
    addPartials(context, to: gradient + weightRange.lowerBound)
    if places.inputGradient != nil { run(.inputGradient, context, tasks: blocks(context.samples)) }
  }

  /// Pieces of the weights' gradient: groups of blocks where the partial sums are small, output channels otherwise.
  private func parts(_ samples: Int) -> Int {
    partials == nil ? min(Self.maximumParts, groupOutputs) : min(Self.maximumParts, blocks(samples))
  }

  private func weightGradientPart(
    _ part: Int, _ columns: UnsafeMutablePointer<Scalar>, _ context: StepContext<Scalar>
  ) {
    guard let gradient = context.gradient else { return }
    let blocks = blocks(context.samples)
    let parts = parts(context.samples)
    if let partials {
      // The first part sums where the result belongs.
      let target =
        part == 0
        ? gradient + weightRange.lowerBound : context.pointer(partials) + part * weightRange.count
      let own = part * blocks / parts..<(part + 1) * blocks / parts
      sumWeightGradient(own, channels: 0..<groupOutputs, target, columns, context)
    } else {
      let channels = part * groupOutputs / parts..<(part + 1) * groupOutputs / parts
      sumWeightGradient(0..<blocks, channels: channels, gradient + weightRange.lowerBound, columns, context)
    }
  }

  /// Sums the weights' gradient over blocks of images, for a range of each group's output channels.
  private func sumWeightGradient(
    _ blocks: Range<Int>, channels: Range<Int>, _ target: UnsafeMutablePointer<Scalar>,
    _ columns: UnsafeMutablePointer<Scalar>, _ context: StepContext<Scalar>
  ) {
    guard let outputGradient = places.outputGradient else { return }
    let stride = context.samples * outputs
    for index in blocks {
      let images = images(ofBlock: index, context.samples)
      for group in 0..<layer.groups {
        fill(columns, group: group, images: images, context)
        let first = group * groupOutputs + channels.lowerBound
        Scalar.multiply(
          MatrixProduct(
            rows: channels.count, columns: depth, depth: images.count * outputs,
            a: UnsafePointer(context.pointer(outputGradient) + first * stride + images.lowerBound * outputs),
            aStride: stride, b: UnsafePointer(columns), bIsTransposed: true, bStride: images.count * outputs,
            accumulates: index > blocks.lowerBound, c: target + first * depth, cStride: depth))
      }
    }
  }

  private func addPartials(_ context: StepContext<Scalar>, to sum: UnsafeMutablePointer<Scalar>) {
    guard let partials else { return }
    let parts = parts(context.samples)
    for part in 0..<parts where part > 0 {
      Scalar.kernels.accumulate(sum, context.pointer(partials) + part * weightRange.count, weightRange.count)
    }
  }

  private func inputGradientBlock(
    _ images: Range<Int>, _ columns: UnsafeMutablePointer<Scalar>, _ context: StepContext<Scalar>
  ) {
    guard let outputGradient = places.outputGradient, let inputGradient = places.inputGradient else { return }
    let outputStride = context.samples * outputs
    let inputStride = context.samples * plane
    for group in 0..<layer.groups {
      Scalar.multiply(
        MatrixProduct(
          rows: depth, columns: images.count * outputs, depth: groupOutputs,
          a: context.parameters + weightRange.lowerBound + group * groupOutputs * depth, aIsTransposed: true,
          aStride: depth,
          b: UnsafePointer(
            context.pointer(outputGradient) + group * groupOutputs * outputStride + images.lowerBound * outputs),
          bStride: outputStride, c: columns, cStride: images.count * outputs))
      let target = context.pointer(inputGradient) + group * groupInputs * inputStride + images.lowerBound * plane
      withUnsafePointer(to: window) {
        Scalar.kernels.col2im(columns, $0, groupInputs, images.count, target, inputStride)
      }
    }
  }
}

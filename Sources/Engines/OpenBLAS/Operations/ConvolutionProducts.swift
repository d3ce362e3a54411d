import CKernels
import Networks
import Tensors

/// The products of a convolution by columns and matrix products, whichever way they are used.
///
/// Images are taken in blocks whose columns fit a core's cache. Both directions go block by block; the weights' gradient
/// is summed in parts, fixed by layer and batch alone, that are then added in order: the same bits on any number of
/// threads. A kernel of one place needs no columns: the input is what they would be.
final class ConvolutionProducts<Scalar: EngineScalar>: ParallelWork {
  /// A convolution's shape. For a transposed one it is that of the convolution that it is the transpose of.
  struct Geometry {
    let window: Window
    let inputChannels: Int
    let outputChannels: Int
    let groups: Int
  }

  private enum Phase {
    case forward(bias: UnsafePointer<Scalar>?, hasReLU: Bool)
    case transposed
    case weightGradient
  }

  /// What is being computed: `input` and `output` are the convolution's, whichever is the result.
  private struct Work {
    let phase: Phase
    let context: StepContext<Scalar>
    let input: UnsafeMutablePointer<Scalar>
    let output: UnsafeMutablePointer<Scalar>
  }

  private let window: convoy_window
  private let inputChannels: Int
  private let outputChannels: Int
  private let groups: Int
  private let weightRange: Range<Int>
  private let team: ThreadTeam
  /// Places of an output plane and of an input plane.
  private let (outputs, plane): (Int, Int)
  /// Rows of a group's columns: the depth of its products.
  private let depth: Int
  /// Images of a block.
  private let block: Int
  /// Whether the input's planes are the columns: a kernel of one place that meets every place of the input.
  private let isPointwise: Bool
  /// Column matrices, one for each thread.
  private let columns: Slot
  /// Partial sums of the weights' gradient, `maximumParts` of them where more than one is used.
  private let partials: Slot?
  private var work: Work?

  /// Bytes of columns that a block of images has at most, unless one image has more: half of a level-2 cache.
  static var blockBytes: Int { 512 << 10 }
  /// Most partial sums of a weight gradient.
  static var maximumParts: Int { 8 }
  /// Most elements of all partial sums together; layers with more weights share the work by output channels.
  static var maximumPartialElements: Int { 1 << 20 }

  init(_ geometry: Geometry, weights: Range<Int>, trains: Bool, team: ThreadTeam, arena: ArenaLayout) {
    window = convoy_window(geometry.window)
    inputChannels = geometry.inputChannels
    outputChannels = geometry.outputChannels
    groups = geometry.groups
    weightRange = weights
    self.team = team
    (outputs, plane) = (geometry.window.outputPlaces, geometry.window.inputPlaces)
    depth = geometry.inputChannels / geometry.groups * geometry.window.kernelPlaces
    block = max(1, Self.blockBytes / (depth * outputs * MemoryLayout<Scalar>.stride))
    isPointwise = geometry.window.dimensions.allSatisfy {
      $0.kernel == 1 && $0.stride == 1 && $0.padding == 0 && $0.input == $0.output
    }
    columns = arena.reserve(isPointwise ? 0 : team.count * block * depth * outputs)
    let sharesImages = weights.count * Self.maximumParts <= Self.maximumPartialElements
    partials = trains && sharesImages ? arena.reserve(Self.maximumParts * weights.count) : nil
  }

  private var groupOutputs: Int { outputChannels / groups }
  private var groupInputs: Int { inputChannels / groups }

  private func blocks(_ samples: Int) -> Int { (samples + block - 1) / block }

  /// output = convolution of input, plus a bias, then ReLU where asked.
  func forward(
    _ input: Slot, _ output: Slot, bias: Range<Int>?, hasReLU: Bool, _ context: StepContext<Scalar>
  ) {
    let bias = bias.map { context.parameters + $0.lowerBound }
    run(.forward(bias: bias, hasReLU: hasReLU), input, output, context, tasks: blocks(context.samples))
  }

  /// input = transpose of the convolution, of output.
  func transposed(_ input: Slot, _ output: Slot, _ context: StepContext<Scalar>) {
    run(.transposed, input, output, context, tasks: blocks(context.samples))
  }

  /// The weights' gradient, of the convolution's input and the gradient of its output.
  func weightGradient(_ input: Slot, _ output: Slot, _ context: StepContext<Scalar>) {
    guard let gradient = context.gradient else { return }
    run(.weightGradient, input, output, context, tasks: parts(context.samples))
    addPartials(context, to: gradient + weightRange.lowerBound)
  }

  private func run(_ phase: Phase, _ input: Slot, _ output: Slot, _ context: StepContext<Scalar>, tasks: Int) {
    work = Work(phase: phase, context: context, input: context.pointer(input), output: context.pointer(output))
    team.run(self, tasks: tasks)
    work = nil
  }

  func perform(task: Int, thread: Int) {
    guard let work else { return }
    let columns = work.context.arena + columns.offset + thread * block * depth * outputs
    switch work.phase {
    case .forward(let bias, let hasReLU):
      forwardBlock(images(ofBlock: task, work.context.samples), columns, bias: bias, hasReLU: hasReLU, work)
    case .transposed: transposedBlock(images(ofBlock: task, work.context.samples), columns, work)
    case .weightGradient: weightGradientPart(task, columns, work)
    }
  }

  private func images(ofBlock index: Int, _ samples: Int) -> Range<Int> {
    index * block..<min((index + 1) * block, samples)
  }

  /// The columns of a group for a block of images, and the distance of their rows.
  private func fill(
    _ columns: UnsafeMutablePointer<Scalar>, group: Int, images: Range<Int>, _ work: Work
  ) -> (UnsafePointer<Scalar>, stride: Int) {
    let stride = work.context.samples * plane
    let input = work.input + group * groupInputs * stride + images.lowerBound * plane
    if isPointwise { return (UnsafePointer(input), stride) }
    withUnsafePointer(to: window) {
      Scalar.kernels.im2col(input, stride, $0, groupInputs, images.count, columns)
    }
    return (UnsafePointer(columns), images.count * outputs)
  }

  private func forwardBlock(
    _ images: Range<Int>, _ columns: UnsafeMutablePointer<Scalar>, bias: UnsafePointer<Scalar>?, hasReLU: Bool,
    _ work: Work
  ) {
    let stride = work.context.samples * outputs
    let output = work.output + images.lowerBound * outputs
    for group in 0..<groups {
      let (b, bStride) = fill(columns, group: group, images: images, work)
      Scalar.multiply(
        MatrixProduct(
          rows: groupOutputs, columns: images.count * outputs, depth: depth,
          a: work.context.parameters + weightRange.lowerBound + group * groupOutputs * depth, aStride: depth,
          b: b, bStride: bStride, c: output + group * groupOutputs * stride, cStride: stride))
    }
    guard bias != nil || hasReLU else { return }
    Scalar.kernels.addBias(output, bias, hasReLU ? 1 : 0, outputChannels, images.count * outputs, stride)
  }

  private func transposedBlock(_ images: Range<Int>, _ columns: UnsafeMutablePointer<Scalar>, _ work: Work) {
    let outputStride = work.context.samples * outputs
    let inputStride = work.context.samples * plane
    for group in 0..<groups {
      let target = work.input + group * groupInputs * inputStride + images.lowerBound * plane
      Scalar.multiply(
        MatrixProduct(
          rows: depth, columns: images.count * outputs, depth: groupOutputs,
          a: work.context.parameters + weightRange.lowerBound + group * groupOutputs * depth, aIsTransposed: true,
          aStride: depth,
          b: UnsafePointer(work.output + group * groupOutputs * outputStride + images.lowerBound * outputs),
          bStride: outputStride, c: isPointwise ? target : columns,
          cStride: isPointwise ? inputStride : images.count * outputs))
      guard !isPointwise else { continue }
      withUnsafePointer(to: window) {
        Scalar.kernels.col2im(columns, $0, groupInputs, images.count, target, inputStride)
      }
    }
  }

  // MARK: The weights' gradient

  /// Pieces of the weights' gradient: groups of blocks where the partial sums are small, output channels otherwise.
  private func parts(_ samples: Int) -> Int {
    partials == nil ? min(Self.maximumParts, groupOutputs) : min(Self.maximumParts, blocks(samples))
  }

  private func weightGradientPart(_ part: Int, _ columns: UnsafeMutablePointer<Scalar>, _ work: Work) {
    guard let gradient = work.context.gradient else { return }
    let blocks = blocks(work.context.samples)
    let parts = parts(work.context.samples)
    if let partials {
      // The first part sums where the result belongs.
      let target =
        part == 0
        ? gradient + weightRange.lowerBound : work.context.pointer(partials) + part * weightRange.count
      let own = part * blocks / parts..<(part + 1) * blocks / parts
      sumWeightGradient(own, channels: 0..<groupOutputs, target, columns, work)
    } else {
      let channels = part * groupOutputs / parts..<(part + 1) * groupOutputs / parts
      sumWeightGradient(0..<blocks, channels: channels, gradient + weightRange.lowerBound, columns, work)
    }
  }

  /// Sums the weights' gradient over blocks of images, for a range of each group's output channels.
  private func sumWeightGradient(
    _ blocks: Range<Int>, channels: Range<Int>, _ target: UnsafeMutablePointer<Scalar>,
    _ columns: UnsafeMutablePointer<Scalar>, _ work: Work
  ) {
    let stride = work.context.samples * outputs
    for index in blocks {
      let images = images(ofBlock: index, work.context.samples)
      for group in 0..<groups {
        let (b, bStride) = fill(columns, group: group, images: images, work)
        let first = group * groupOutputs + channels.lowerBound
        Scalar.multiply(
          MatrixProduct(
            rows: channels.count, columns: depth, depth: images.count * outputs,
            a: UnsafePointer(work.output + first * stride + images.lowerBound * outputs), aStride: stride,
            b: b, bIsTransposed: true, bStride: bStride, accumulates: index > blocks.lowerBound,
            c: target + first * depth, cStride: depth))
      }
    }
  }

  private func addPartials(_ context: StepContext<Scalar>, to sum: UnsafeMutablePointer<Scalar>) {
    guard let partials else { return }
    for part in 0..<parts(context.samples) where part > 0 {
      Scalar.kernels.accumulate(sum, context.pointer(partials) + part * weightRange.count, weightRange.count)
    }
  }
}

import Tensors

/// A fully connected layer by matrix products, with bias and a following ReLU fused.
///
/// Work is shared by tiles of outputs,
/// or of inputs for the input's gradient, whose number follows from the layer alone.
final class FullyConnectedOperation<Scalar: EngineScalar>: Operation, ParallelWork {
  private enum Phase {
    case forward, weightGradient, inputGradient
  }

  private let places: Places
  private let weightRange: Range<Int>
  private let biasRange: Range<Int>?
  private let hasReLU: Bool
  private let team: ThreadTeam
  private var phase = Phase.forward
  private var context: StepContext<Scalar>?

  init(places: Places, weights: Range<Int>, bias: Range<Int>?, hasReLU: Bool, team: ThreadTeam) {
    self.places = places
    weightRange = weights
    biasRange = bias
    self.hasReLU = hasReLU
    self.team = team
  }

  var parameterRange: Range<Int> { weightRange.lowerBound..<(biasRange ?? weightRange).upperBound }

  private var inputs: Int { places.input.count }
  private var outputs: Int { places.output.count }

  /// Tiles of an extent: at most eight, none narrow.
  private func tiles(_ extent: Int) -> Int { max(1, min(8, extent / 128)) }

  private func tile(_ index: Int, of extent: Int) -> Range<Int> {
    let tiles = tiles(extent)
    return index * extent / tiles..<(index + 1) * extent / tiles
  }

  func forward(_ context: inout StepContext<Scalar>) {
    run(.forward, context, tasks: tiles(outputs))
    guard biasRange != nil || hasReLU else { return }
    Scalar.kernels.addBiasColumns(
      context.pointer(places.output), biasRange.map { context.parameters + $0.lowerBound }, hasReLU ? 1 : 0,
      context.samples, outputs)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    guard let gradient = context.gradient, let outputGradient = places.outputGradient else { return }
    let rows = context.pointer(outputGradient)
    if hasReLU {
      Scalar.kernels.reluBackward(context.pointer(places.output), rows, rows, context.samples * outputs)
    }
    if let biasRange { Scalar.kernels.sumColumns(rows, context.samples, outputs, gradient + biasRange.lowerBound) }
    run(.weightGradient, context, tasks: tiles(outputs))
    if places.inputGradient != nil { run(.inputGradient, context, tasks: tiles(inputs)) }
  }

  private func run(_ phase: Phase, _ context: StepContext<Scalar>, tasks: Int) {
    self.phase = phase
    self.context = context
    team.run(self, tasks: tasks)
  }

  func perform(task: Int, thread: Int) {
    guard let context else { return }
    switch phase {
    case .forward: forward(tile(task, of: outputs), context)
    case .weightGradient: weightGradient(tile(task, of: outputs), context)
    case .inputGradient: inputGradient(tile(task, of: inputs), context)
    }
  }

  private func forward(_ tile: Range<Int>, _ context: StepContext<Scalar>) {
    Scalar.multiply(
      MatrixProduct(
        rows: context.samples, columns: tile.count, depth: inputs, a: UnsafePointer(context.pointer(places.input)),
        aStride: inputs, b: context.parameters + weightRange.lowerBound + tile.lowerBound * inputs,
        bIsTransposed: true, bStride: inputs, c: context.pointer(places.output) + tile.lowerBound, cStride: outputs))
  }

  private func weightGradient(_ tile: Range<Int>, _ context: StepContext<Scalar>) {
    guard let gradient = context.gradient, let outputGradient = places.outputGradient else { return }
    Scalar.multiply(
      MatrixProduct(
        rows: tile.count, columns: inputs, depth: context.samples,
        a: UnsafePointer(context.pointer(outputGradient) + tile.lowerBound), aIsTransposed: true, aStride: outputs,
        b: UnsafePointer(context.pointer(places.input)), bStride: inputs,
        c: gradient + weightRange.lowerBound + tile.lowerBound * inputs, cStride: inputs))
  }

  private func inputGradient(_ tile: Range<Int>, _ context: StepContext<Scalar>) {
    guard let outputGradient = places.outputGradient, let inputGradient = places.inputGradient else { return }
    Scalar.multiply(
      MatrixProduct(
        rows: context.samples, columns: tile.count, depth: outputs,
        a: UnsafePointer(context.pointer(outputGradient)), aStride: outputs,
        b: context.parameters + weightRange.lowerBound + tile.lowerBound, bStride: inputs,
        c: context.pointer(inputGradient) + tile.lowerBound, cStride: inputs))
  }
}

import Networks
import Tensors

/// Adds a reader's gradient of a tensor to that of its other readers.
///
/// It stands before the reader, so that its backward pass comes right after the reader's.
final class GradientSumOperation<Scalar: EngineScalar>: SharedOperation {
  private let term: Slot
  private let sum: Slot
  let team: ThreadTeam
  var pass: Pass<Scalar>?

  init(adding term: Slot, to sum: Slot, team: ThreadTeam) {
    self.term = term
    self.sum = sum
    self.team = team
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {}

  func backward(_ context: inout StepContext<Scalar>) {
    share(context, isBackward: true, tasks: Pieces.count(context.samples * sum.count))
  }

  func perform(_ piece: Int, _ pass: Pass<Scalar>) {
    let range = Pieces.range(piece, of: pass.context.samples * sum.count)
    Scalar.kernels.accumulate(
      pass.context.pointer(sum) + range.lowerBound, pass.context.pointer(term) + range.lowerBound, range.count)
  }
}

/// The sum or the product of tensors of one shape, element by element.
final class JoiningOperation<Scalar: EngineScalar>: SharedOperation {
  /// How elements are joined.
  enum Function {
    /// Any number of tensors.
    case sum
    /// Two tensors.
    case product
  }

  private let function: Function
  private let inputs: [Source]
  private let output: Source
  let team: ThreadTeam
  var pass: Pass<Scalar>?

  init(_ function: Function, _ inputs: [Source], output: Source, team: ThreadTeam) {
    self.function = function
    self.inputs = inputs
    self.output = output
    self.team = team
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    share(context, isBackward: false, tasks: Pieces.count(context.samples * output.value.count))
  }

  func backward(_ context: inout StepContext<Scalar>) {
    share(context, isBackward: true, tasks: Pieces.count(context.samples * output.value.count))
  }

  func perform(_ piece: Int, _ pass: Pass<Scalar>) {
    let range = Pieces.range(piece, of: pass.context.samples * output.value.count)
    if pass.isBackward { backward(range, pass.context) } else { forward(range, pass.context) }
  }

  private func forward(_ range: Range<Int>, _ context: StepContext<Scalar>) {
    func values(_ index: Int) -> UnsafeMutablePointer<Scalar> {
      context.pointer(inputs[index].value) + range.lowerBound
    }
    let result = context.pointer(output.value) + range.lowerBound
    switch function {
    case .sum:
      Scalar.elementwise.add(values(0), values(1), result, range.count)
      for index in 2..<max(inputs.count, 2) { Scalar.kernels.accumulate(result, values(index), range.count) }
    case .product: Scalar.elementwise.multiply(values(0), values(1), result, range.count)
    }
  }

  private func backward(_ range: Range<Int>, _ context: StepContext<Scalar>) {
    guard let outputGradient = output.gradient else { return }
    let dy = context.pointer(outputGradient) + range.lowerBound
    for (index, input) in inputs.enumerated() {
      guard let gradient = input.gradient else { continue }
      let dx = context.pointer(gradient) + range.lowerBound
      switch function {
      case .sum: if dx != dy { dx.update(from: dy, count: range.count) }
      case .product:
        let other = context.pointer(inputs[1 - index].value) + range.lowerBound
        Scalar.elementwise.multiply(dy, other, dx, range.count)
      }
    }
  }
}

/// The channels of tensors, one after another.
final class ConcatenationOperation<Scalar: EngineScalar>: Operation {
  private let inputs: [Source]
  private let output: Source

  init(_ inputs: [Source], output: Source) {
    self.inputs = inputs
    self.output = output
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    let target = context.pointer(output.value)
    forEachInput(context) { input, rows, count, offset, stride in
      Scalar.moving.copyRows(context.pointer(input.value), count, rows, count, target + offset, stride)
    }
  }

  func backward(_ context: inout StepContext<Scalar>) {
    guard let outputGradient = output.gradient else { return }
    let source = context.pointer(outputGradient)
    forEachInput(context) { input, rows, count, offset, stride in
      guard let gradient = input.gradient else { return }
      Scalar.moving.copyRows(source + offset, stride, rows, count, context.pointer(gradient), count)
    }
  }

  /// Calls for each input: its rows and their length, and in the output the first one's offset and their distance.
  private func forEachInput(_ context: StepContext<Scalar>, _ body: (Source, Int, Int, Int, Int) -> Void) {
    var offset = 0
    for input in inputs {
      if let plane = input.value.plane {
        // Channel-major: an input is one row.
        let count = input.value.channels * context.samples * plane
        body(input, 1, count, offset, count)
        offset += count
      } else {
        body(input, context.samples, input.value.count, offset, output.value.count)
        offset += input.value.count
      }
    }
  }
}

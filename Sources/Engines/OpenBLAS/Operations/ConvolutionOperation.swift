import Networks
import Tensors

/// A convolution, with bias and a following ReLU fused.
final class ConvolutionOperation<Scalar: EngineScalar>: Operation {
  private let places: Places
  private let products: ConvolutionProducts<Scalar>
  private let weightRange: Range<Int>
  private let biasRange: Range<Int>?
  private let hasReLU: Bool

  init(_ products: ConvolutionProducts<Scalar>, places: Places, weights: Range<Int>, bias: Range<Int>?, hasReLU: Bool) {
    self.products = products
    self.places = places
    self.hasReLU = hasReLU
    weightRange = weights
    biasRange = bias
  }

  var parameterRange: Range<Int> { weightRange.lowerBound..<(biasRange ?? weightRange).upperBound }

  func forward(_ context: inout StepContext<Scalar>) {
    products.forward(places.input, places.output, bias: biasRange, hasReLU: hasReLU, context)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    guard let gradient = context.gradient, let outputGradient = places.outputGradient else { return }
    let rows = context.pointer(outputGradient)
    let stride = context.samples * (places.output.plane ?? 1)
    if hasReLU {
      Scalar.kernels.reluBackward(context.pointer(places.output), rows, rows, places.output.channels * stride)
    }
    if let biasRange {
      Scalar.kernels.sumRows(rows, places.output.channels, stride, gradient + biasRange.lowerBound)
    }
    products.weightGradient(places.input, outputGradient, context)
    if let inputGradient = places.inputGradient { products.transposed(inputGradient, outputGradient, context) }
  }
}

/// A transposed convolution: the products of a convolution from its output to its input.
final class TransposedConvolutionOperation<Scalar: EngineScalar>: Operation {
  private let places: Places
  private let products: ConvolutionProducts<Scalar>
  private let weightRange: Range<Int>
  private let biasRange: Range<Int>?

  init(_ products: ConvolutionProducts<Scalar>, places: Places, weights: Range<Int>, bias: Range<Int>?) {
    self.products = products
    self.places = places
    weightRange = weights
    biasRange = bias
  }

  var parameterRange: Range<Int> { weightRange.lowerBound..<(biasRange ?? weightRange).upperBound }

  func forward(_ context: inout StepContext<Scalar>) {
    products.transposed(places.output, places.input, context)
    guard let biasRange else { return }
    let stride = context.samples * (places.output.plane ?? 1)
    Scalar.kernels.addBias(
      context.pointer(places.output), context.parameters + biasRange.lowerBound, 0, places.output.channels, stride,
      stride)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    guard let gradient = context.gradient, let outputGradient = places.outputGradient else { return }
    if let biasRange {
      Scalar.kernels.sumRows(
        context.pointer(outputGradient), places.output.channels, context.samples * (places.output.plane ?? 1),
        gradient + biasRange.lowerBound)
    }
    products.weightGradient(outputGradient, places.input, context)
    if let inputGradient = places.inputGradient {
      products.forward(outputGradient, inputGradient, bias: nil, hasReLU: false, context)
    }
  }
}

import CKernels

/// The loops of functions of each element.
struct ElementwiseKernels<Scalar>: Sendable {
  typealias Input = UnsafePointer<Scalar>
  typealias Output = UnsafeMutablePointer<Scalar>

  let add: @Sendable (Input?, Input?, Output?, Int) -> Void
  let multiply: @Sendable (Input?, Input?, Output?, Int) -> Void
  let relu6: @Sendable (Input?, Output?, Int) -> Void
  let relu6Backward: @Sendable (Input?, Input?, Output?, Int) -> Void
  let leakyReLU: @Sendable (Input?, Scalar, Int, Int, Output?) -> Void
  let leakyReLUBackward: @Sendable (Input?, Input?, Scalar, Int, Int, Output?) -> Void
  let sumNegativeProducts: @Sendable (Input?, Input?, Int, Int, Output?) -> Void
  let softmax: @Sendable (Input?, Int, Int, Int, Int, Output?) -> Void
  let softmaxBackward: @Sendable (Input?, Input?, Int, Int, Int, Int, Output?) -> Void
}

extension Float {
  static let elementwise = ElementwiseKernels<Float>(
    add: convoy_add_elements_f32, multiply: convoy_multiply_elements_f32, relu6: convoy_relu6_f32,
    relu6Backward: convoy_relu6_backward_f32, leakyReLU: convoy_leaky_relu_f32,
    leakyReLUBackward: convoy_leaky_relu_backward_f32, sumNegativeProducts: convoy_sum_negative_products_f32,
    softmax: convoy_softmax_f32, softmaxBackward: convoy_softmax_backward_f32)
}

extension Double {
  static let elementwise = ElementwiseKernels<Double>(
    add: convoy_add_elements_f64, multiply: convoy_multiply_elements_f64, relu6: convoy_relu6_f64,
    relu6Backward: convoy_relu6_backward_f64, leakyReLU: convoy_leaky_relu_f64,
    leakyReLUBackward: convoy_leaky_relu_backward_f64, sumNegativeProducts: convoy_sum_negative_products_f64,
    softmax: convoy_softmax_f64, softmaxBackward: convoy_softmax_backward_f64)
}

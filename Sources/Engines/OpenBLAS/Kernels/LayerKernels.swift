import CKernels

/// The loops of layers for one number format.
struct LayerKernels<Scalar>: Sendable {
  typealias Input = UnsafePointer<Scalar>
  typealias Output = UnsafeMutablePointer<Scalar>
  typealias Window = UnsafePointer<convoy_window>
  typealias Elementwise = @Sendable (Input?, Output?, Int) -> Void
  typealias ElementwiseBackward = @Sendable (Input?, Input?, Output?, Int) -> Void

  let im2col: @Sendable (Input?, Int, Window?, Int, Int, Output?) -> Void
  let col2im: @Sendable (Input?, Window?, Int, Int, Output?, Int) -> Void
  let addBias: @Sendable (Output?, Input?, Int32, Int, Int, Int) -> Void
  let addBiasColumns: @Sendable (Output?, Input?, Int32, Int, Int) -> Void
  let sumRows: @Sendable (Input?, Int, Int, Output?) -> Void
  let sumColumns: @Sendable (Input?, Int, Int, Output?) -> Void
  let accumulate: @Sendable (Output?, Input?, Int) -> Void
  let relu: Elementwise
  let tanh: Elementwise
  let sigmoid: Elementwise
  let reluBackward: ElementwiseBackward
  let tanhBackward: ElementwiseBackward
  let sigmoidBackward: ElementwiseBackward
  let swapOuter: @Sendable (Input?, Int, Int, Int, Output?) -> Void
  let softmaxCrossEntropy:
    @Sendable (
      Input?, UnsafePointer<Int32>?, Int, Int, Output?, UnsafeMutablePointer<Double>?, UnsafeMutablePointer<Int>?
    ) -> Void
}

extension Float {
  static let kernels = LayerKernels<Float>(
    im2col: convoy_im2col_f32, col2im: convoy_col2im_f32, addBias: convoy_add_bias_f32,
    addBiasColumns: convoy_add_bias_columns_f32, sumRows: convoy_sum_rows_f32, sumColumns: convoy_sum_columns_f32,
    accumulate: convoy_accumulate_f32, relu: convoy_relu_f32, tanh: convoy_tanh_f32, sigmoid: convoy_sigmoid_f32,
    reluBackward: convoy_relu_backward_f32, tanhBackward: convoy_tanh_backward_f32,
    sigmoidBackward: convoy_sigmoid_backward_f32, swapOuter: convoy_swap_outer_f32,
    softmaxCrossEntropy: convoy_softmax_cross_entropy_f32)
}

extension Double {
  static let kernels = LayerKernels<Double>(
    im2col: convoy_im2col_f64, col2im: convoy_col2im_f64, addBias: convoy_add_bias_f64,
    addBiasColumns: convoy_add_bias_columns_f64, sumRows: convoy_sum_rows_f64, sumColumns: convoy_sum_columns_f64,
    accumulate: convoy_accumulate_f64, relu: convoy_relu_f64, tanh: convoy_tanh_f64, sigmoid: convoy_sigmoid_f64,
    reluBackward: convoy_relu_backward_f64, tanhBackward: convoy_tanh_backward_f64,
    sigmoidBackward: convoy_sigmoid_backward_f64, swapOuter: convoy_swap_outer_f64,
    softmaxCrossEntropy: convoy_softmax_cross_entropy_f64)
}

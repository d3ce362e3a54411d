import CKernels

/// The loops of losses.
struct LossKernels<Scalar>: Sendable {
  typealias Input = UnsafePointer<Scalar>
  typealias Output = UnsafeMutablePointer<Scalar>

  let softmax:
    @Sendable (
      Input?, UnsafePointer<convoy_softmax_loss>?, UnsafePointer<Int32>?, UnsafePointer<Float>?, Int, Int, Output?,
      UnsafeMutablePointer<Double>?, UnsafeMutablePointer<Int>?
    ) -> Void
  let element:
    @Sendable (
      Input?, Int32, Double, Double, UnsafePointer<Float>?, Int, Int, Int, Output?, UnsafeMutablePointer<Double>?
    ) -> Void
  let hinge:
    @Sendable (
      Input?, Double, Double, UnsafePointer<Int32>?, Int, Int, Output?, UnsafeMutablePointer<Double>?,
      UnsafeMutablePointer<Int>?
    ) -> Void
  let contrastive:
    @Sendable (
      Input?, Input?, Double, Double, UnsafePointer<Int32>?, Int, Int, Output?, Output?, UnsafeMutablePointer<Double>?
    ) -> Void
}

extension Float {
  static let loss = LossKernels<Float>(
    softmax: convoy_softmax_loss_f32, element: convoy_element_loss_f32, hinge: convoy_hinge_loss_f32,
    contrastive: convoy_contrastive_loss_f32)
}

extension Double {
  static let loss = LossKernels<Double>(
    softmax: convoy_softmax_loss_f64, element: convoy_element_loss_f64, hinge: convoy_hinge_loss_f64,
    contrastive: convoy_contrastive_loss_f64)
}

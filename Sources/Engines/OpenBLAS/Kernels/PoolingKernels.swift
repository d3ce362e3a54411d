import CKernels

/// The loops of pooling.
struct PoolingKernels<Scalar>: Sendable {
  typealias Input = UnsafePointer<Scalar>
  typealias Output = UnsafeMutablePointer<Scalar>
  typealias Window = UnsafePointer<convoy_window>

  let maxPool: @Sendable (Input?, Window?, Int, Output?, UnsafeMutablePointer<Int32>?) -> Void
  let maxPoolBackward: @Sendable (Input?, UnsafePointer<Int32>?, Int, Int, Int, Output?) -> Void
  let averagePool: @Sendable (Input?, Window?, Int, Output?) -> Void
  let averagePoolBackward: @Sendable (Input?, Window?, Int, Output?) -> Void
  let adaptiveMaxPool: @Sendable (Input?, Window?, Int, Output?, UnsafeMutablePointer<Int32>?) -> Void
  let adaptiveAveragePool: @Sendable (Input?, Window?, Int, Output?) -> Void
  let adaptiveAveragePoolBackward: @Sendable (Input?, Window?, Int, Output?) -> Void
}

extension Float {
  static let pooling = PoolingKernels<Float>(
    maxPool: convoy_max_pool_f32, maxPoolBackward: convoy_max_pool_backward_f32, averagePool: convoy_average_pool_f32,
    averagePoolBackward: convoy_average_pool_backward_f32, adaptiveMaxPool: convoy_adaptive_max_pool_f32,
    adaptiveAveragePool: convoy_adaptive_average_pool_f32,
    adaptiveAveragePoolBackward: convoy_adaptive_average_pool_backward_f32)
}

extension Double {
  static let pooling = PoolingKernels<Double>(
    maxPool: convoy_max_pool_f64, maxPoolBackward: convoy_max_pool_backward_f64, averagePool: convoy_average_pool_f64,
    averagePoolBackward: convoy_average_pool_backward_f64, adaptiveMaxPool: convoy_adaptive_max_pool_f64,
    adaptiveAveragePool: convoy_adaptive_average_pool_f64,
    adaptiveAveragePoolBackward: convoy_adaptive_average_pool_backward_f64)
}

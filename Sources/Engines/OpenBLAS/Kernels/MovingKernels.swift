import CKernels

/// The loops that move elements.
struct MovingKernels<Scalar>: Sendable {
  typealias Input = UnsafePointer<Scalar>
  typealias Output = UnsafeMutablePointer<Scalar>
  typealias Window = UnsafePointer<convoy_window>

  let copyRegion: @Sendable (Input?, UnsafePointer<convoy_region>?, Scalar, Int, Int, Output?) -> Void
  let copyRows: @Sendable (Input?, Int, Int, Int, Output?, Int) -> Void
  let upsample: @Sendable (Input?, Window?, Int32, Int, Output?) -> Void
  let upsampleBackward: @Sendable (Input?, Window?, Int32, Int, Output?) -> Void
  let embed: @Sendable (Input?, Input?, Int, Int, Int, Int, Output?) -> Int
  let embedBackward: @Sendable (Input?, Input?, Int, Int, Int, Int, Output?) -> Void
}

extension Float {
  static let moving = MovingKernels<Float>(
    copyRegion: convoy_copy_region_f32, copyRows: convoy_copy_strided_rows_f32, upsample: convoy_upsample_f32,
    upsampleBackward: convoy_upsample_backward_f32, embed: convoy_embed_f32, embedBackward: convoy_embed_backward_f32)
}

extension Double {
  static let moving = MovingKernels<Double>(
    copyRegion: convoy_copy_region_f64, copyRows: convoy_copy_strided_rows_f64, upsample: convoy_upsample_f64,
    upsampleBackward: convoy_upsample_backward_f64, embed: convoy_embed_f64, embedBackward: convoy_embed_backward_f64)
}

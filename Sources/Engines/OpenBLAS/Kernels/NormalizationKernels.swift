import CKernels

/// The loops of normalisation.
struct NormalizationKernels<Scalar>: Sendable {
  typealias Input = UnsafePointer<Scalar>
  typealias Output = UnsafeMutablePointer<Scalar>
  typealias Window = UnsafePointer<convoy_window>

  let moments: @Sendable (Input?, Int, Int, Output?, Output?) -> Void
  let scaleShift: @Sendable (Input?, Scalar, Scalar, Int, Int, Output?) -> Void
  let batchNormBackward: @Sendable (Input?, Input?, Scalar, Scalar, Scalar, Int, Int, Output?, Output?, Output?) -> Void
  let sumNeighbourChannels: @Sendable (Input?, Int32, Int, Int, Int, Int, Output?) -> Void
  let sumNeighbourPlaces: @Sendable (Input?, Int32, Window?, Int, Int, Output?) -> Void
  let responseNorm: @Sendable (Input?, Scalar, Scalar, Scalar, Int, Output?, Output?) -> Void
  let responseNormBackward: @Sendable (Input?, Input?, Scalar, Int, Output?, Output?) -> Void
  let subtractProduct: @Sendable (Output?, Scalar, Input?, Input?, Int) -> Void
}

extension Float {
  static let normalization = NormalizationKernels<Float>(
    moments: convoy_moments_f32, scaleShift: convoy_scale_shift_f32, batchNormBackward: convoy_batch_norm_backward_f32,
    sumNeighbourChannels: convoy_sum_neighbour_channels_f32, sumNeighbourPlaces: convoy_sum_neighbour_places_f32,
    responseNorm: convoy_response_norm_f32, responseNormBackward: convoy_response_norm_backward_f32,
    subtractProduct: convoy_subtract_product_f32)
}

extension Double {
  static let normalization = NormalizationKernels<Double>(
    moments: convoy_moments_f64, scaleShift: convoy_scale_shift_f64, batchNormBackward: convoy_batch_norm_backward_f64,
    sumNeighbourChannels: convoy_sum_neighbour_channels_f64, sumNeighbourPlaces: convoy_sum_neighbour_places_f64,
    responseNorm: convoy_response_norm_f64, responseNormBackward: convoy_response_norm_backward_f64,
    subtractProduct: convoy_subtract_product_f64)
}

import CKernels

/// Clipping by the norm of the whole gradient: where that is above a bound, every element is multiplied by one scale.
///
/// The formula is that of PyTorch's `clip_grad_norm_`: min(1, bound / (norm + 10⁻⁶)), with the norm of the mean over the
/// samples. A norm that is no number gives a scale that is none; an infinite one gives 0, which leaves infinite elements no
/// numbers.
///
/// The norm is the root of sums of squares over blocks, in fp64, added in the blocks' order: the same bits whoever sums
/// which block.
public struct NormClipping: Hashable, Sendable {
  /// The norm above which a gradient is scaled.
  public let bound: Double

  /// Clipping at a bound above 0.
  public init(bound: Double) {
    self.bound = bound
  }

  /// What a gradient of a norm is multiplied by.
  public func scale(norm: Double) -> Double {
    let ratio = bound / (norm + 1e-6)
    return ratio >= 1 ? 1 : ratio
  }

  /// What follows from sums of squares, which are added in their order.
  public func scale(ofSums sums: some Sequence<Double>) -> Double { scale(norm: NormBlocks.norm(of: sums)) }

  /// A factor with a scale in it, for an update; the factor itself where nothing is clipped.
  public static func factor(_ factor: Float, scaledBy scale: Double) -> Float { Float(Double(factor) * scale) }

  /// The sums of squares over blocks of a payload of fp32 values, which may begin at any address, each value multiplied by
  /// a factor.
  ///
  /// Every value is read once.
  ///
  /// - Parameter blockElements: elements of each block but the last.
  public static func sums(
    of payload: UnsafeRawBufferPointer, factor: Float, blockElements: Int
  ) -> [Double] {
    precondition(blockElements > 0, "blocks of \(blockElements) elements")
    guard let first = payload.baseAddress?.assumingMemoryBound(to: Float.self) else { return [] }
    let count = payload.count / MemoryLayout<Float>.stride
    let square = Double(factor) * Double(factor)
    return stride(from: 0, to: count, by: blockElements).map { start in
      convoy_squared_norm_f32(first + start, min(blockElements, count - start)) * square
    }
  }

  /// The scale of a whole gradient: a sum, to be multiplied by a factor.
  public func scale(of gradient: FlatVector, factor: Float, blockElements: Int) -> Double {
    gradient.withBytes(of: 0..<gradient.count) {
      scale(ofSums: Self.sums(of: $0, factor: factor, blockElements: blockElements))
    }
  }
}

extension FlatVector {
  /// Multiplies every element by a number: the same bits on every instruction set.
  public func scale(by factor: Float) {
    convoy_scale_f32(pointer, factor, count)
  }
}

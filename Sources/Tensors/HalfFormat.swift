import CKernels

/// A 16-bit form of fp32 numbers.
///
/// Rounding is to nearest, ties to even; a NaN stays a NaN, quiet. The same bits on every instruction set.
public enum HalfFormat: String, Hashable, Sendable, CaseIterable {
  /// The upper half of an fp32 number: its range with 8 bits of precision.
  case bf16
  /// IEEE 754's binary16: 11 bits of precision, from 2⁻²⁴ (subnormal) to 65,504; larger numbers become infinity.
  case fp16

  /// Writes numbers in this form, one for one.
  ///
  /// - Precondition: both hold as many.
  public func encode(_ numbers: Span<Float>, into codes: inout MutableSpan<UInt16>) {
    numbers.withUnsafeBytes { from in codes.withUnsafeMutableBytes { encode(from, into: $0) } }
  }

  /// Reads numbers in this form, one for one; exact.
  ///
  /// - Precondition: both hold as many.
  public func decode(_ codes: Span<UInt16>, into numbers: inout MutableSpan<Float>) {
    codes.withUnsafeBytes { from in numbers.withUnsafeMutableBytes { decode(from, into: $0) } }
  }

  /// Writes fp32 numbers in this form; both sides may begin at any address.
  ///
  /// - Precondition: the one side has two bytes for each four of the other.
  package func encode(_ numbers: UnsafeRawBufferPointer, into codes: UnsafeMutableRawBufferPointer) {
    let count = Self.count(codes: codes.count, numbers: numbers.count)
    guard let from = numbers.baseAddress, let to = codes.baseAddress else { return }
    let (floats, halves) = (from.assumingMemoryBound(to: Float.self), to.assumingMemoryBound(to: UInt16.self))
    switch self {
    case .bf16: convoy_f32_to_bf16(floats, halves, count)
    case .fp16: convoy_f32_to_f16(floats, halves, count)
    }
  }

  /// Reads numbers in this form as fp32; both sides may begin at any address.
  ///
  /// - Precondition: the one side has two bytes for each four of the other.
  package func decode(_ codes: UnsafeRawBufferPointer, into numbers: UnsafeMutableRawBufferPointer) {
    let count = Self.count(codes: codes.count, numbers: numbers.count)
    guard let from = codes.baseAddress, let to = numbers.baseAddress else { return }
    let (halves, floats) = (from.assumingMemoryBound(to: UInt16.self), to.assumingMemoryBound(to: Float.self))
    switch self {
    case .bf16: convoy_bf16_to_f32(halves, floats, count)
    case .fp16: convoy_f16_to_f32(halves, floats, count)
    }
  }

  private static func count(codes: Int, numbers: Int) -> Int {
    let count = codes / MemoryLayout<UInt16>.stride
    precondition(
      codes % MemoryLayout<UInt16>.stride == 0 && numbers == count * MemoryLayout<Float>.stride,
      "\(codes) bytes of 16-bit numbers and \(numbers) of 32-bit ones")
    return count
  }
}

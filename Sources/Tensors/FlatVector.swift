import CKernels

/// A flat vector of fp32 with one owner at a time: parameters, a gradient, or a part of one.
///
/// Memory is 64-byte aligned. A vector is handed from thread to thread; it has no lock.
public final class FlatVector {
  private var storage: AlignedBuffer<Float>

  /// Number of elements.
  public let count: Int

  /// A vector of `count` zeros.
  public init(count: Int) {
    storage = AlignedBuffer(count: count)
    self.count = count
  }

  /// A vector of the given elements.
  public convenience init(_ elements: [Float]) {
    self.init(count: elements.count)
    elements.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { pointer.update(from: base, count: count) }
    }
  }

  /// The first element's address, for kernels that this package calls.
  package var pointer: UnsafeMutablePointer<Float> { storage.pointer }

  /// Reads the elements.
  public func withSpan<Result>(_ body: (Span<Float>) throws -> Result) rethrows -> Result {
    try storage.withSpan(body)
  }

  /// Reads and writes the elements.
  public func withMutableSpan<Result>(_ body: (inout MutableSpan<Float>) throws -> Result) rethrows -> Result {
    try storage.withMutableSpan(body)
  }

  /// The elements as an array: a copy, for tests and small vectors.
  public var array: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

  /// The bytes of a range of elements, little-endian as in memory.
  public func withBytes<Result>(of range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
    -> Result
  {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of a vector of \(count)")
    return try body(UnsafeRawBufferPointer(UnsafeBufferPointer(start: pointer + range.lowerBound, count: range.count)))
  }

  /// Adds another vector's range into this one's, element by element: `self[i] += other[i]`.
  public func add(_ other: FlatVector, in range: Range<Int>) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= min(count, other.count), "\(range) of \(count) and \(other.count)")
    let here = pointer + range.lowerBound
    convoy_add_f32(here, here, other.pointer + range.lowerBound, range.count)
  }

  /// Sets every element to the sum of two payloads' fp32 values, which may begin at any address.
  ///
  /// - Precondition: both hold as many bytes as this vector.
  package func setSum(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) {
    let bytes = count * MemoryLayout<Float>.stride
    precondition(left.count == bytes && right.count == bytes, "\(left.count) and \(right.count) bytes, not \(bytes)")
    guard let left = left.baseAddress, let right = right.baseAddress else { return }
    convoy_add_f32(
      pointer, left.assumingMemoryBound(to: Float.self), right.assumingMemoryBound(to: Float.self), count)
  }

  /// Sets every element to a payload's fp32 value, which may lie at any address, divided by a number: the same bits on
  /// every instruction set.
  ///
  /// - Precondition: the payload holds as many bytes as this vector.
  package func setQuotient(_ payload: UnsafeRawBufferPointer, by divisor: Float) {
    precondition(payload.count == count * MemoryLayout<Float>.stride, "\(payload.count) bytes for \(count) elements")
    guard let source = payload.baseAddress else { return }
    convoy_divide_f32(source.assumingMemoryBound(to: Float.self), divisor, pointer, count)
  }

  /// Sets every element to a late gradient's, compensated for its delay: `g + factor · g² · (now − basis)`, element by
  /// element and without fused operations: the same bits on every instruction set.
  ///
  /// Zheng et al., "Asynchronous stochastic gradient descent with delay compensation" (2017). The gradient may begin at
  /// any address.
  ///
  /// - Precondition: all hold as many elements as this vector.
  package func setCompensated(
    _ gradient: UnsafeRawBufferPointer, factor: Float, now: FlatVector, basis: FlatVector
  ) {
    precondition(
      gradient.count == count * MemoryLayout<Float>.stride && now.count == count && basis.count == count,
      "\(gradient.count) bytes, \(now.count) and \(basis.count) parameters for \(count) elements")
    guard let gradient = gradient.baseAddress else { return }
    convoy_compensate_f32(
      gradient.assumingMemoryBound(to: Float.self), factor, now.pointer, basis.pointer, pointer, count)
  }

  /// Copies a payload's fp32 values, which may begin at any address, into a range.
  ///
  /// - Precondition: the payload holds as many bytes as the range.
  package func copy(_ payload: UnsafeRawBufferPointer, to range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of a vector of \(count)")
    precondition(payload.count == range.count * MemoryLayout<Float>.stride, "\(payload.count) bytes for \(range)")
    guard let source = payload.baseAddress else { return }
    UnsafeMutableRawPointer(pointer + range.lowerBound).copyMemory(from: source, byteCount: payload.count)
  }
}

// A vector has one owner at a time: whoever holds the step or the chunk that it belongs to.
extension FlatVector: @unchecked Sendable {}

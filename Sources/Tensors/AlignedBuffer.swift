import Glibc

/// Memory for a fixed number of elements, aligned to a cache line and freed with its one owner.
///
/// Elements start as zero bytes. Cost of making one: an allocation and a clear.
public struct AlignedBuffer<Element: BitwiseCopyable>: ~Copyable {
  /// Bytes that the first element's address is a multiple of: a cache line, and a vector of AVX-512.
  public static var alignment: Int { 64 }

  /// Buffers of at least so many bytes ask for huge pages.
  private static var largeBytes: Int { 4 << 20 }
  private static var hugePageBytes: Int { 2 << 20 }

  /// Number of elements.
  public let count: Int

  /// The first element's address, for kernels and libraries that this package calls. Valid as long as the owner lives.
  package let pointer: UnsafeMutablePointer<Element>

  /// Takes memory for `count` elements, all zero.
  ///
  /// - Precondition: `count` is not negative and its bytes fit an `Int`.
  public init(count: Int) {
    precondition(count >= 0, "a buffer of \(count) elements")
    let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    precondition(!overflow, "a buffer of \(count) elements is larger than memory")
    // Whole cache lines, so that a vector load of the tail stays inside the allocation.
    let rounded = (Swift.max(bytes, 1) + Self.alignment - 1) / Self.alignment * Self.alignment
    let isLarge = rounded >= Self.largeBytes
    let raw = UnsafeMutableRawPointer.allocate(
      byteCount: rounded, alignment: isLarge ? Self.hugePageBytes : Self.alignment)
    // Kernels that go through gigabytes otherwise wait for addresses to be looked up. Only a wish: where the system has
    // no huge pages left it gives others.
    if isLarge { madvise(raw, rounded, MADV_HUGEPAGE) }
    raw.initializeMemory(as: UInt8.self, repeating: 0, count: rounded)
    self.count = count
    self.pointer = raw.bindMemory(to: Element.self, capacity: count)
  }

  deinit {
    UnsafeMutableRawPointer(pointer).deallocate()
  }

  /// Reads the elements.
  public func withSpan<Result>(_ body: (Span<Element>) throws -> Result) rethrows -> Result {
    try body(UnsafeBufferPointer(start: pointer, count: count).span)
  }

  /// Reads and writes the elements.
  public mutating func withMutableSpan<Result>(
    _ body: (inout MutableSpan<Element>) throws -> Result
  ) rethrows -> Result {
    let elements = UnsafeMutableBufferPointer(start: pointer, count: count)
    var span = elements.mutableSpan
    return try body(&span)
  }
}

// The memory is owned by one value, and what may be done to it is decided by that value's isolation.
extension AlignedBuffer: @unchecked Sendable where Element: Sendable {}

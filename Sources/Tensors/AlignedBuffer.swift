import Glibc

/// Memory for a fixed number of elements, aligned to a cache line and freed with its one owner.
///
/// Elements start as zero bytes. Cost of making one: an allocation and a clear; a large one is cleared by the system page
/// by page as it is used, so that it is made at once however large.
public struct AlignedBuffer<Element: BitwiseCopyable>: ~Copyable {
  /// Bytes that the first element's address is a multiple of: a cache line, and a vector of AVX-512.
  public static var alignment: Int { 64 }

  /// Buffers of at least so many bytes are the system's own pages, and ask for huge ones.
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
    let rounded = Self.allocatedBytes(bytes)
    let raw: UnsafeMutableRawPointer
    if rounded >= Self.largeBytes {
      raw = Self.map(rounded)
    } else {
      raw = UnsafeMutableRawPointer.allocate(byteCount: rounded, alignment: Self.alignment)
      raw.initializeMemory(as: UInt8.self, repeating: 0, count: rounded)
    }
    self.count = count
    self.pointer = raw.bindMemory(to: Element.self, capacity: count)
  }

  deinit {
    let bytes = Self.allocatedBytes(count * MemoryLayout<Element>.stride)
    if bytes >= Self.largeBytes { munmap(pointer, bytes) } else { UnsafeMutableRawPointer(pointer).deallocate() }
  }

  /// Whole cache lines, so that a vector load of the tail stays inside the allocation; of a large buffer whole pages.
  private static func allocatedBytes(_ bytes: Int) -> Int {
    let unit = bytes >= largeBytes ? Int(sysconf(Int32(_SC_PAGESIZE))) : alignment
    return (Swift.max(bytes, 1) + unit - 1) / unit * unit
  }

  /// Pages that are zero, from the start of a huge one on.
  private static func map(_ bytes: Int) -> UnsafeMutableRawPointer {
    let whole = bytes + hugePageBytes
    guard let mapped = mmap(nil, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      mapped != MAP_FAILED
    else { preconditionFailure("no memory for a buffer of \(bytes) bytes: \(String(cString: strerror(errno)))") }
    let before = (hugePageBytes - Int(bitPattern: mapped) % hugePageBytes) % hugePageBytes
    if before > 0 { munmap(mapped, before) }
    if hugePageBytes > before { munmap(mapped + before + bytes, hugePageBytes - before) }
    // Kernels that go through gigabytes otherwise wait for addresses to be looked up. Only a wish: where the system has
    // no huge pages left it gives others.
    madvise(mapped + before, bytes, MADV_HUGEPAGE)
    return mapped + before
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

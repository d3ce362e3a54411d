import CKernels

/// Computes a CRC-32C (Castagnoli's polynomial, as in iSCSI, RFC 3720) piece by piece.
///
/// With the CPU's own instruction where there is one. It finds damage, not malice: see `SHA256`.
public struct CRC32C: Hashable, Sendable {
  private var state = UInt32.max

  /// Begins a checksum.
  public init() {}

  /// The checksum of all that was added.
  public var value: UInt32 { ~state }

  /// Adds bytes.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    state = convoy_crc32c(state, base.assumingMemoryBound(to: UInt8.self), bytes.count)
  }

  /// Adds bytes.
  public mutating func update(_ bytes: Span<UInt8>) {
    bytes.withUnsafeBytes { update($0) }
  }

  /// Adds bytes as CPUs do that have no instruction for it: what `update` is compared with.
  package mutating func updatePortably(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    state = convoy_crc32c_portable(state, base.assumingMemoryBound(to: UInt8.self), bytes.count)
  }

  /// The checksum of bytes.
  public static func checksum(of bytes: [UInt8]) -> UInt32 {
    var checksum = CRC32C()
    bytes.withUnsafeBytes { checksum.update($0) }
    return checksum.value
  }
}

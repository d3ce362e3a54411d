import Tensors
import Testing

@Suite struct CRC32CTests {
  private static let published: [([UInt8], UInt32)] = [
    (Array("123456789".utf8), 0xE306_9283), ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
    ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43), (Array(0..<32), 0x46DD_794E),
    (Array((0..<32).reversed()), 0x113F_DB5C), ([], 0),
  ]

  @Test("Published checksums: RFC 3720, appendix B.4, and the catalogue's check")
  func published() {
    for (bytes, checksum) in Self.published { #expect(CRC32C.checksum(of: bytes) == checksum) }
  }

  /// Bit by bit, by the definition.
  private func naive(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var state = UInt32.max
    for byte in bytes {
      state ^= UInt32(byte)
      for _ in 0..<8 { state = state >> 1 ^ (state & 1 == 0 ? 0 : 0x82F6_3B78) }
    }
    return ~state
  }

  @Test(
    "The instruction, the table and the definition agree on any length and address",
    arguments: [1, 7, 8, 9, 63, 1024, 3071, 3072, 3073, 6144, 10_007])
  func agreement(count: Int) {
    let bytes = values(stream: 12, count: count).map { UInt8(truncatingIfNeeded: $0.bitPattern >> 3) }
    let expected = naive(bytes)
    for offset in [0, 1, 5, 8] {
      withBytes(bytes, offset: offset) { bytes in
        var (fast, portable) = (CRC32C(), CRC32C())
        fast.update(bytes)
        portable.updatePortably(bytes)
        #expect(fast.value == expected && portable.value == expected)
      }
    }
  }

  @Test("Pieces of any length give the checksum of the whole")
  func pieces() {
    let bytes = values(stream: 13, count: 9001).map { UInt8(truncatingIfNeeded: $0.bitPattern >> 5) }
    var checksum = CRC32C()
    for (first, end) in [(0, 0), (0, 1), (1, 3500), (3500, 3511), (3511, 9001)] {
      checksum.update(bytes.span.extracting(first..<end))
    }
    #expect(checksum.value == CRC32C.checksum(of: bytes))
  }
}

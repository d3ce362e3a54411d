import Tensors
import Testing

@Suite struct SHA256Tests {
  @Test("The published digests (FIPS 180-4)")
  func published() {
    #expect(
      SHA256.digest(of: "abc").description == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(SHA256.digest(of: "").description == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    let long = SHA256.digest(of: [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000))
    #expect(long.description == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    #expect(long.bytes.count == 32)
  }

  @Test("Pieces give the digest of the whole")
  func pieces() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var hasher = SHA256()
    hasher.update([])
    hasher.update(Array(bytes[..<1]))
    hasher.update(Array(bytes[1..<700]))
    bytes[700...].withUnsafeBytes { hasher.update($0) }
    #expect(hasher.finalize() == SHA256.digest(of: bytes))
  }

  @Test("A vector's digest is over its little-endian fp32 bytes")
  func vector() {
    let bytes: [UInt8] = [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]
    #expect(FlatVector([1, -2]).sha256() == SHA256.digest(of: bytes))
    #expect(FlatVector(count: 0).sha256() == SHA256.digest(of: ""))
  }
}

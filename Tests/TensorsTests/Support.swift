import Foundation
import Tensors
import Testing

/// Element `index` of a stream: the formula of `References/optimizer_reference.py`, exact in fp32.
func formula(stream: Int, index: Int, scale: Float) -> Float {
  var x = UInt32(truncatingIfNeeded: index + stream << 20)
  x = (x ^ (x >> 16)) &* 0x85EB_CA6B
  x = (x ^ (x >> 13)) &* 0xC2B2_AE35
  x ^= x >> 16
  return Float((Double(x >> 8) * 0x1p-23 - 1) * Double(scale))
}

/// `count` elements of a stream of the formula.
func values(stream: Int, count: Int, scale: Float = 1) -> [Float] {
  (0..<count).map { formula(stream: stream, index: $0, scale: scale) }
}

/// The numbers of a kept file.
func reference(_ name: String) throws -> [Float] {
  let url = try #require(Bundle.module.url(forResource: name, withExtension: "bin", subdirectory: "References"))
  let data = try Data(contentsOf: url)
  return data.withUnsafeBytes { bytes in
    (0..<bytes.count / 4).map { index in
      Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))
    }
  }
}

/// The bits of each number: what "the same" means here.
func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

/// Gives a copy of bytes that begins at an address with this remainder by 64.
func withBytes<Result>(_ bytes: [UInt8], offset: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
  -> Result
{
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count + 64, alignment: 64)
  defer { memory.deallocate() }
  let part = UnsafeMutableRawBufferPointer(rebasing: memory[offset..<offset + bytes.count])
  part.copyBytes(from: bytes)
  return try body(UnsafeRawBufferPointer(part))
}

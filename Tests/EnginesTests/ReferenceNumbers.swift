import Foundation
import Testing

/// The formula that inputs and parameters of the kept references follow, exact in fp32: see `References/*.py`.
func referenceFormula(stream: Int, index: Int, scale: Float = 1) -> Float {
  var x = UInt32(truncatingIfNeeded: index + stream << 20)
  x = (x ^ (x >> 16)) &* 0x85EB_CA6B
  x = (x ^ (x >> 13)) &* 0xC2B2_AE35
  x ^= x >> 16
  return Float((Double(x >> 8) * 0x1p-23 - 1) * Double(scale))
}

/// The first elements of a stream of the formula.
func referenceFormula(stream: Int, count: Int, scale: Float = 1) -> [Float] {
  (0..<count).map { referenceFormula(stream: stream, index: $0, scale: scale) }
}

/// The numbers of a kept file, taken from its beginning on.
struct ReferenceNumbers {
  private var rest: ArraySlice<Float>

  init(_ name: String) throws {
    let url = try #require(Bundle.module.url(forResource: name, withExtension: "bin", subdirectory: "References"))
    let data = try Data(contentsOf: url)
    rest = data.withUnsafeBytes { bytes in
      (0..<bytes.count / 4).map { index in
        Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))
      }[...]
    }
  }

  var isEmpty: Bool { rest.isEmpty }

  mutating func take(_ count: Int) -> [Float] {
    defer { rest = rest.dropFirst(count) }
    return Array(rest.prefix(count))
  }
}

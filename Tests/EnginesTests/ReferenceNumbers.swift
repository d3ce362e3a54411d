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

/// Parameters of a kept reference that are not what the formula says: with them no decision is near. See
/// `ReferenceChangesTests`.
struct ReferenceChanges {
  let changes: [(index: Int, value: Float)]

  /// What brings parameters to others.
  init(from formula: [Float], to wide: [Float]) {
    changes = formula.indices.filter { formula[$0] != wide[$0] }.map { ($0, wide[$0]) }
  }

  /// Those of a file: pairs of an index in the flat vector and a value, 32 bits each.
  init(_ name: String) throws {
    let url = try #require(Bundle.module.url(forResource: name, withExtension: "changes", subdirectory: "References"))
    let data = try Data(contentsOf: url)
    changes = data.withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: 8).map { at in
        func number(_ offset: Int) -> UInt32 {
          UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at + offset, as: UInt32.self))
        }
        return (Int(number(0)), Float(bitPattern: number(4)))
      }
    }
  }

  /// The file's bytes.
  var data: Data {
    Data(
      changes.flatMap { index, value in
        [UInt32(index), value.bitPattern].flatMap { number in (0..<4).map { UInt8(number >> (8 * $0) & 255) } }
      })
  }

  /// The formula's parameters with the changes.
  func applied(to formula: [Float]) -> [Float] {
    var values = formula
    for (index, value) in changes { values[index] = value }
    return values
  }
}

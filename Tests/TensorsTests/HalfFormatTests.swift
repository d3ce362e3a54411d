import Tensors
import Testing

@Suite struct HalfFormatTests {
  private func encode(_ format: HalfFormat, _ numbers: [Float]) -> [UInt16] {
    var codes = [UInt16](repeating: 0, count: numbers.count)
    var span = codes.mutableSpan
    format.encode(numbers.span, into: &span)
    return codes
  }

  private func decode(_ format: HalfFormat, _ codes: [UInt16]) -> [Float] {
    var numbers = [Float](repeating: 0, count: codes.count)
    var span = numbers.mutableSpan
    format.decode(codes.span, into: &span)
    return numbers
  }

  /// What a code stands for, by the format's definition.
  private func value(_ format: HalfFormat, _ code: UInt16) -> Double {
    let (exponentBits, mantissaBits) = format == .bf16 ? (8, 7) : (5, 10)
    let bias = 1 << (exponentBits - 1) - 1
    let exponent = Int(code & 0x7FFF) >> mantissaBits
    let mantissa = Double(Int(code) & (1 << mantissaBits - 1)) / Double(1 << mantissaBits)
    let size: Double =
      switch exponent {
      case 0: Double(sign: .plus, exponent: 1 - bias, significand: mantissa)
      case 1 << exponentBits - 1: mantissa == 0 ? .infinity : .nan
      default: Double(sign: .plus, exponent: exponent - bias, significand: 1 + mantissa)
      }
    return code & 0x8000 == 0 ? size : -size
  }

  @Test(
    "All 65,536 codes are read as what they stand for, and written back as they were", arguments: HalfFormat.allCases)
  func allCodes(format: HalfFormat) {
    let codes = (0...UInt16.max).map { $0 }
    let numbers = decode(format, codes)
    let again = encode(format, numbers)
    var wrong = 0
    for (index, code) in codes.enumerated() {
      let expected = value(format, code)
      if expected.isNaN {
        // Quiet, with the rest of its payload and its sign.
        if !numbers[index].isNaN || again[index] != code | (format == .bf16 ? 0x0040 : 0x0200) { wrong += 1 }
      } else if Double(numbers[index]) != expected || numbers[index].sign != expected.sign || again[index] != code {
        wrong += 1
      }
    }
    #expect(wrong == 0)
  }

  @Test("Between two codes the nearer is taken, of two as near the even one", arguments: HalfFormat.allCases)
  func rounding(format: HalfFormat) {
    // The largest finite code's upper neighbour is infinity, at what would be the next number.
    let last: UInt16 = format == .bf16 ? 0x7F7F : 0x7BFF
    var numbers: [Float] = []
    var expected: [UInt16] = []
    for code in 0...last {
      let low = value(format, code)
      let below = value(format, code == 0 ? 0 : code - 1)
      let next = code == last ? low + (low - below) : value(format, code + 1)
      let middle = Float((low + next) / 2)
      #expect(Double(middle) == (low + next) / 2)
      for (number, code) in [
        (middle, code % 2 == 0 ? code : code + 1), (middle.nextDown, code), (middle.nextUp, code + 1),
      ] {
        numbers += [number, -number]
        expected += [code, code | 0x8000]
      }
    }
    #expect(encode(format, numbers) == expected)
  }

  @Test("Edges: zeros, subnormals, what overflows, infinities, every kind of NaN")
  func edges() {
    let numbers: [Float] = [
      0, -0.0, .leastNonzeroMagnitude, -.leastNormalMagnitude, 65504, 65519.99, 65520, -65536, .greatestFiniteMagnitude,
      .infinity, -.infinity, .nan, Float(bitPattern: 0x7F80_0001), Float(bitPattern: 0xFFFF_FFFF), 0x1p-24, 0x1p-25,
      0x1.000002p-25, 0x1p-14, 0x1.FFFFFEp-15,
    ]
    #expect(
      encode(.fp16, numbers) == [
        0, 0x8000, 0, 0x8000, 0x7BFF, 0x7BFF, 0x7C00, 0xFC00, 0x7C00, 0x7C00, 0xFC00, 0x7E00, 0x7E00, 0xFFFF, 1, 0, 1,
        0x0400, 0x0400,
      ])
    let kept = encode(.bf16, numbers)
    #expect(kept[0..<4] == [0, 0x8000, 0, 0x8080])
    #expect(kept[8..<14] == [0x7F80, 0x7F80, 0xFF80, 0x7FC0, 0x7FC0, 0xFFFF])
  }

  @Test("The same bits at any address and for any split", arguments: HalfFormat.allCases)
  func splits(format: HalfFormat) {
    let numbers = values(stream: 9, count: 203, scale: 1e-4)
    let expected = encode(format, numbers)
    for offset in [0, 1, 3, 7] {
      withBytes(numbers.withUnsafeBytes { Array($0) }, offset: offset) { bytes in
        var codes = [UInt16](repeating: 0, count: 203)
        codes.withUnsafeMutableBytes { to in
          for (first, end) in [(0, 1), (1, 18), (18, 203)] {
            format.encode(
              UnsafeRawBufferPointer(rebasing: bytes[4 * first..<4 * end]),
              into: UnsafeMutableRawBufferPointer(rebasing: to[2 * first..<2 * end]))
          }
        }
        #expect(codes == expected)
      }
      withBytes(expected.withUnsafeBytes { Array($0) }, offset: offset) { bytes in
        var back = [Float](repeating: 0, count: 203)
        back.withUnsafeMutableBytes { format.decode(bytes, into: $0) }
        #expect(bits(back) == bits(decode(format, expected)))
      }
    }
  }
}

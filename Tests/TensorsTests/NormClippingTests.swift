import Tensors
import Testing

@Suite struct NormClippingTests {
  @Test("The scale is PyTorch's: min(1, bound / (norm + 1e-6))")
  func formula() {
    let clipping = NormClipping(bound: 0.5)
    #expect(clipping.scale(norm: 2) == 0.5 / (2 + 1e-6))
    #expect(clipping.scale(norm: 0.5) == 0.5 / (0.5 + 1e-6))
    #expect(clipping.scale(norm: 0.4) == 1)
    #expect(clipping.scale(norm: 0) == 1)
    #expect(clipping.scale(norm: .infinity) == 0)
    #expect(clipping.scale(norm: .nan).isNaN)
    #expect(clipping.scale(ofSums: [1, 3]) == 0.5 / (2 + 1e-6))
  }

  @Test("Sums over blocks are those of a plain loop, at any address", arguments: [0, 1, 2, 3])
  func sums(offset: Int) {
    let numbers = values(stream: 11, count: 1000)
    let bytes = [UInt8](repeating: 0, count: offset) + numbers.withUnsafeBytes { Array($0) }
    let sums = bytes.withUnsafeBytes {
      NormClipping.sums(of: UnsafeRawBufferPointer(rebasing: $0[offset...]), factor: 0.125, blockElements: 64)
    }
    #expect(sums.count == 16)
    for (block, sum) in sums.enumerated() {
      let part = numbers[64 * block..<min(64 * block + 64, 1000)]
      let naive = part.reduce(0.0) { $0 + Double($1 * 0.125) * Double($1 * 0.125) }
      #expect(abs(sum - naive) <= 1e-12 * naive, "block \(block)")
    }
  }

  @Test("Sums have the same bits wherever a gradient is cut between blocks", arguments: [64, 192, 640, 960])
  func cuts(place: Int) {
    let numbers = values(stream: 12, count: 1000, scale: 1e10)
    func sums(_ range: Range<Int>) -> [Double] {
      numbers.withUnsafeBytes {
        NormClipping.sums(
          of: UnsafeRawBufferPointer(rebasing: $0[4 * range.lowerBound..<4 * range.upperBound]), factor: 1 / 3,
          blockElements: 64)
      }
    }
    #expect(sums(0..<place) + sums(place..<1000) == sums(0..<1000))
  }

  @Test("A gradient that is multiplied by its scale has the norm of the bound, and one below it stays as it is")
  func whole() {
    let vector = FlatVector(values(stream: 13, count: 5000))
    let norm = vector.array.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    let scale = NormClipping(bound: 2).scale(of: vector, factor: 1, blockElements: 1024)
    #expect(abs(scale - 2 / norm) < 1e-6 * scale)
    let before = vector.array
    vector.scale(by: Float(scale))
    #expect(vector.array == before.map { $0 * Float(scale) })
    #expect(NormClipping(bound: 1e9).scale(of: vector, factor: 1, blockElements: 1024) == 1)
    for factor in [1 / 3, 1 / 128, 1] as [Float] {
      #expect(NormClipping.factor(factor, scaledBy: 1) == factor)
      #expect(NormClipping.factor(factor, scaledBy: 0.25) == factor / 4)
    }
  }
}

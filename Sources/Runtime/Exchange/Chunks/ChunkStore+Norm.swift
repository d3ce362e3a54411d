package import ParameterServer
import Tensors
import Transport

/// The norm of a gradient that several servers hold the chunks of.
extension ChunkStore {
  /// Sums the squares of a chunk's gradient, a sum over so many samples, as the mean that it is applied as: a payload
  /// of a double for each block of the norm. The gradient is read once.
  package func measure(_ chunk: Int, samples: UInt64, gradient: GradientHandle, into part: GradientHandle) {
    var sums: [Double] = []
    withBytes(of: gradient) {
      sums = NormClipping.sums(
        of: $0, factor: 1 / Float(samples), blockElements: rules.chunks.normElements)
    }
    let words = sums.map(\.bitPattern.littleEndian)
    receive(words.withUnsafeBytes { Frame(copying: $0) }, as: part)
  }

  /// Adds the parts of a norm, which are held, in their order: the bits of the scale that follows.
  package func scale(ofNorm parts: [GradientHandle]) -> UInt64 {
    guard let clipping = settings.clipping else { preconditionFailure("a norm is added in a job that clips nothing") }
    var sums: [Double] = []
    for part in parts {
      withBytes(of: part) { bytes in
        for offset in stride(from: 0, to: bytes.count, by: MemoryLayout<UInt64>.stride) {
          let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
          sums.append(Double(bitPattern: UInt64(littleEndian: word)))
        }
      }
    }
    return clipping.scale(ofSums: sums).bitPattern
  }
}

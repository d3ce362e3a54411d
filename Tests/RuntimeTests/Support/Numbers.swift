import ParameterServer
import Runtime
import Tensors
import Transport

/// Numbers that look random and are the same in every run.
struct Numbers {
  private var state: UInt64

  init(_ seed: UInt64) {
    state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
  }

  mutating func next(_ bound: UInt64) -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (state >> 33) % bound
  }

  /// From -1 to 1.
  mutating func float() -> Float { Float(next(1 << 20)) / Float(1 << 19) - 1 }

  mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in float() } }
}

extension Frame {
  /// A payload of floats that begins at an odd address.
  convenience init(floats: [Float]) {
    let bytes = [UInt8](repeating: 0, count: 1) + floats.withUnsafeBytes { Array($0) }
    let whole = Frame(copying: bytes)
    let part = whole.withBytes { UnsafeRawBufferPointer(rebasing: $0[1...]) }
    self.init(keeping: whole, bytes: part)
  }

  var floats: [Float] {
    withBytes { bytes in
      (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
  }

  var bytes: [UInt8] { withBytes { Array($0) } }
}

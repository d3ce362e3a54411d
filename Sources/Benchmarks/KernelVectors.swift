import Glibc
import Tensors

/// The vectors that the kernels are measured on, and the kernels.
final class KernelVectors {
  private let count: Int
  private let gradient: FlatVector
  private let from: FlatVector
  private let to: FlatVector
  private let codes: FlatVector
  /// What results are put into, so that no call is left out.
  private(set) var result = 0.0

  init(count: Int) {
    self.count = count
    gradient = FlatVector(count: count)
    from = FlatVector(count: count)
    to = FlatVector(count: count)
    codes = FlatVector(count: (count + 1) / 2)
    // Ordinary numbers: what arithmetic on zeros or denormals costs is not the question.
    var state: UInt32 = 1
    for index in 0..<count {
      state = state &* 1_664_525 &+ 1_013_904_223
      gradient.pointer[index] = Float(state >> 8) * 0x1p-23 - 1
      from.pointer[index] = Float(state >> 16) * 0x1p-16 + 0.5
    }
  }

  /// `memcpy`: what the others are compared with.
  var copy: KernelBenchmark.Kernel {
    KernelBenchmark.Kernel(name: "copy", bytesPerElement: 8) { [self] in
      memcpy(to.pointer, from.pointer, count * MemoryLayout<Float>.stride)
    }
  }

  /// An update by each optimiser, from one vector of parameters to another, as servers make it.
  var optimizers: [KernelBenchmark.Kernel] {
    let named: [(String, Optimizer)] = [
      ("sgd", .sgd(SGD(momentum: 0))), ("sgd, momentum", .sgd(SGD(momentum: 0.9))),
      ("sgd, nesterov", .sgd(SGD(momentum: 0.9, nesterov: true))), ("adagrad", .adagrad(Adagrad())),
      ("adadelta", .adadelta(Adadelta())), ("rmsprop", .rmsProp(RMSProp())), ("adam", .adam(Adam())),
      ("adamw", .adamW(AdamW())),
    ]
    // One set of state vectors serves all: what is in them does not change how long an update takes.
    let state = Optimizer.adam(Adam()).makeState(count: count)
    return named.map { name, optimizer in
      let needed = optimizer.stateVectors.count
      return KernelBenchmark.Kernel(name: name, bytesPerElement: 12 + 8 * needed) { [self] in
        optimizer.apply(
          gradient: gradient.pointer, scale: 1 / 128, learningRate: 0.001, update: 10,
          from: UnsafePointer(from.pointer), to: to.pointer, state: Array(state[..<needed]), stateRange: 0..<count)
      }
    }
  }

  /// Sums of two vectors, and the 16-bit forms both ways.
  var codecs: [KernelBenchmark.Kernel] {
    let size = count * MemoryLayout<UInt16>.stride
    let halves = UnsafeMutableRawBufferPointer(start: codes.pointer, count: size)
    let numbers = UnsafeMutableRawBufferPointer(start: to.pointer, count: 2 * size)
    let source = UnsafeRawBufferPointer(start: from.pointer, count: 2 * size)
    let sum = KernelBenchmark.Kernel(name: "sum of two", bytesPerElement: 12) { [self] in
      to.setSum(source, UnsafeRawBufferPointer(start: gradient.pointer, count: 2 * size))
    }
    return [sum]
      + HalfFormat.allCases.flatMap { format in
        [
          KernelBenchmark.Kernel(name: "fp32 to \(format)", bytesPerElement: 6) { format.encode(source, into: halves) },
          KernelBenchmark.Kernel(name: "\(format) to fp32", bytesPerElement: 6) {
            format.decode(UnsafeRawBufferPointer(halves), into: numbers)
          },
        ]
      }
  }

  /// What reads a vector and writes a number.
  var reductions: [KernelBenchmark.Kernel] {
    [
      KernelBenchmark.Kernel(name: "sum", bytesPerElement: 4) { [self] in result += from.sum(in: 0..<count) },
      KernelBenchmark.Kernel(name: "squared norm", bytesPerElement: 4) { [self] in
        result += from.squaredNorm(in: 0..<count)
      },
      KernelBenchmark.Kernel(name: "crc-32c", bytesPerElement: 4) { [self] in
        var checksum = CRC32C()
        from.withBytes(of: 0..<count) { checksum.update($0) }
        result += Double(checksum.value)
      },
    ]
  }
}

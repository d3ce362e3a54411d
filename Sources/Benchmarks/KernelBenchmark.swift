import Glibc
import Tensors

/// What a kernel moved in a second, beside what a copy did.
public struct KernelMeasurement: Hashable, Sendable, Encodable {
  /// The kernel's name, as in `adam`.
  public let name: String
  /// Bytes that it reads and writes for each element.
  public let bytesPerElement: Int
  /// Median of the rounds: bytes read and written in a second, in 10⁹.
  public let gigabytesPerSecond: Double
  /// The same as a share of the copy's.
  public let shareOfCopy: Double

  enum CodingKeys: String, CodingKey {
    case name
    case bytesPerElement = "bytes_per_element"
    case gigabytesPerSecond = "gigabytes_per_second"
    case shareOfCopy = "share_of_copy"
  }
}

/// Measures the kernels on vectors against the machine's copy speed: one thread, vectors of one length, `memcpy` beside.
///
/// Each round times the copy and then every kernel, so that what else the machine does falls on all alike.
public struct KernelBenchmark {
  /// A kernel: its name, the bytes that it reads and writes for each element, and a call of it on all elements.
  struct Kernel {
    let name: String
    let bytesPerElement: Int
    let run: () -> Void
  }

  private let elements: Int
  private let rounds: Int
  private let vectors: KernelVectors

  /// A benchmark over vectors of `elements` numbers. Takes memory for eight such vectors.
  public init(elements: Int, rounds: Int) {
    precondition(elements > 0 && rounds > 0, "\(rounds) rounds over \(elements) elements")
    self.elements = elements
    self.rounds = rounds
    vectors = KernelVectors(count: elements)
  }

  /// Runs the rounds; the first is not counted. The first measurement is the copy.
  public func run() -> [KernelMeasurement] {
    let kernels = [vectors.copy] + vectors.optimizers + vectors.codecs + vectors.reductions
    var seconds = [[Double]](repeating: [], count: kernels.count)
    for round in 0...rounds {
      for (index, kernel) in kernels.enumerated() {
        let duration = ContinuousClock().measure(kernel.run)
        if round > 0 { seconds[index].append(duration / .seconds(1)) }
      }
    }
    let speeds = zip(kernels, seconds).map { kernel, seconds in
      Double(kernel.bytesPerElement * elements) / seconds.sorted()[rounds / 2] / 1e9
    }
    return zip(kernels, speeds).map { kernel, speed in
      KernelMeasurement(
        name: kernel.name, bytesPerElement: kernel.bytesPerElement, gigabytesPerSecond: speed,
        shareOfCopy: speed / speeds[0])
    }
  }
}

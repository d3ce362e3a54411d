import CKernels
import COpenBLAS
import Glibc
import Tensors

/// The one door to OpenBLAS.
///
/// It is told to use one thread: threads are ours, and each of them calls it on its own part.
enum OpenBLAS {
  private static let prepared: Void = openblas_set_num_threads(1)

  /// To be called before the first product.
  static func prepare() {
    _ = prepared
  }

  /// Whether the kernels that a person asked for have instructions that this processor has not.
  private static let isIllegal: Bool = {
    guard getenv("OPENBLAS_CORETYPE") != nil else { return false }
    prepare()
    let matrices = AlignedBuffer<Float>(count: 3 * 96 * 96)
    return convoy_is_illegal(convoy_openblas_try, matrices.pointer) != 0
  }()

  /// Refuses kernels that would end the process.
  static func requireUsable() throws(EngineError) {
    guard isIllegal else { return }
    throw .environment(
      "OPENBLAS_CORETYPE=\(getenv("OPENBLAS_CORETYPE").map { String(cString: $0) } ?? "") asks for OpenBLAS's kernels for \(core), which have instructions that this processor has not: unset it"
    )
  }

  /// The library's version, as in `0.3.21`.
  static var version: String {
    let words = String(cString: openblas_get_config()).split(separator: " ")
    return words.count > 1 ? String(words[1]) : "unknown"
  }

  /// The kernels that it chose for this processor, as in `SkylakeX`.
  static var core: String { String(cString: openblas_get_corename()) }
}

/// A number format that the OpenBLAS engine computes in, with the kernels for it.
protocol EngineScalar: BinaryFloatingPoint, BitwiseCopyable, Sendable {
  static var kernels: LayerKernels<Self> { get }
  static var pooling: PoolingKernels<Self> { get }
  static var normalization: NormalizationKernels<Self> { get }
  static var elementwise: ElementwiseKernels<Self> { get }
  static var moving: MovingKernels<Self> { get }
  static var loss: LossKernels<Self> { get }

  /// c = a · b + beta · c, row-major; a is m × k and b is k × n once transposed as said.
  static func multiply(_ product: MatrixProduct<Self>)
}

/// A product of matrices: c = a · b + beta · c, row-major.
struct MatrixProduct<Scalar> {
  var rows: Int
  var columns: Int
  var depth: Int
  var a: UnsafePointer<Scalar>
  var aIsTransposed = false
  var aStride: Int
  var b: UnsafePointer<Scalar>
  var bIsTransposed = false
  var bStride: Int
  var accumulates = false
  var c: UnsafeMutablePointer<Scalar>
  var cStride: Int
}

extension Float: EngineScalar {
  static func multiply(_ p: MatrixProduct<Float>) {
    cblas_sgemm(
      CblasRowMajor, p.aIsTransposed ? CblasTrans : CblasNoTrans, p.bIsTransposed ? CblasTrans : CblasNoTrans,
      blasint(p.rows), blasint(p.columns), blasint(p.depth), 1, p.a, blasint(p.aStride), p.b, blasint(p.bStride),
      p.accumulates ? 1 : 0, p.c, blasint(p.cStride))
  }
}

extension Double: EngineScalar {
  static func multiply(_ p: MatrixProduct<Double>) {
    cblas_dgemm(
      CblasRowMajor, p.aIsTransposed ? CblasTrans : CblasNoTrans, p.bIsTransposed ? CblasTrans : CblasNoTrans,
      blasint(p.rows), blasint(p.columns), blasint(p.depth), 1, p.a, blasint(p.aStride), p.b, blasint(p.bStride),
      p.accumulates ? 1 : 0, p.c, blasint(p.cStride))
  }
}

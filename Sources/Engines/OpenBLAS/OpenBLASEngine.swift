public import Networks
package import Tensors

/// The engine on OpenBLAS: columns and matrix products.
///
/// Runs everywhere; the reference that others are checked against.
public struct OpenBLASEngine: Engine {
  /// The engine.
  public init() {}

  /// `openblas`.
  public var name: String { "openblas" }

  /// What decides the bits of its results.
  ///
  /// Not the threads: work is shared in parts that do not depend on them.
  public func fingerprint(threads: Int, precision: Precision) -> String {
    "openblas \(OpenBLAS.version) \(OpenBLAS.core) \(precision.rawValue) threads \(threads)"
  }

  /// fp32 only: the library's products are of 32-bit floats.
  public func supports(_ precision: Precision) -> Bool { precision == .fp32 }

  /// All of them: its threads are its own, and what one does not do another does.
  public func grantedThreads(of wanted: Int) throws(EngineError) -> ThreadGrant {
    try OpenBLAS.requireUsable()
    return ThreadGrant(count: wanted)
  }

  /// Compiles a network for up to `batch` samples at once.
  public func compile(
    _ network: Network, batch: Int, options: CompileOptions
  ) throws(EngineError) -> any Plan {
    precondition(batch > 0, "a plan for \(batch) samples")
    guard options.precision == .fp32 else {
      throw .unsupported("the openblas engine computes in fp32 only, not in \(options.precision.rawValue)")
    }
    try OpenBLAS.requireUsable()
    return try MicroBatches.compile(network, batch: batch, options: options) { samples, limit throws(EngineError) in
      try OpenBLASPlan<Float>.make(network, batch: samples, options: options, limit: limit)
    }
  }

  /// The library's version, as in `0.3.21`.
  public static var libraryVersion: String { OpenBLAS.version }
  /// The kernels that the library chose for this processor, as in `SkylakeX`.
  public static var libraryCore: String { OpenBLAS.core }
}

/// The same operations in double precision, for gradient checks.
package final class DoublePlan {
  private let plan: OpenBLASPlan<Double>

  /// Compiles a network for up to `batch` samples at once.
  package init(_ network: Network, batch: Int, threads: Int, purpose: PlanPurpose) {
    plan = OpenBLASPlan(network, batch: batch, threads: threads, purpose: purpose)
  }

  /// Computes a step on inputs in the order of the network's input shape; labels, targets, epoch and samples are the
  /// batch's.
  ///
  /// - Returns: the samples' losses, summed, and the gradient of that sum.
  package func step(
    inputs: [Double], batch: Batch, parameters: [Double], statistics: FlatVector? = nil
  ) throws(EngineError) -> (loss: Double, gradient: [Double]) {
    var gradient = [Double](repeating: .nan, count: parameters.count)
    let result = try gradient.withUnsafeMutableBufferPointer { gradient throws(EngineError) in
      try inputs.withUnsafeBufferPointer { inputs throws(EngineError) in
        try parameters.withUnsafeBufferPointer { parameters throws(EngineError) in
          try plan.step(
            inputs: inputs.baseAddress!, batch: batch, parameters: parameters.baseAddress!,
            gradient: gradient.baseAddress!, statistics: statistics, onFinal: { _ in })
        }
      }
    }
    return (result.lossSum, gradient)
  }
}

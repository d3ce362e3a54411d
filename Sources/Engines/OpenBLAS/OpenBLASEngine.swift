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
  ///
  /// - Parameter keepsTensors: whether every layer's output can be read after a step.
  package init(
    _ network: Network, batch: Int, threads: Int, purpose: PlanPurpose, keepsTensors: Bool = false
  ) {
    plan = OpenBLASPlan(network, batch: batch, threads: threads, purpose: purpose, keepsTensors: keepsTensors)
  }

  /// Computes a step's forward pass, or with running statistics an evaluation.
  package func forward(
    inputs: [Double], batch: Batch, parameters: [Double], statistics: FlatVector? = nil, buffers: FlatVector? = nil
  ) throws(EngineError) {
    _ = try inputs.withUnsafeBufferPointer { inputs throws(EngineError) in
      try parameters.withUnsafeBufferPointer { parameters throws(EngineError) in
        try plan.step(
          inputs: inputs.baseAddress!, batch: batch, parameters: parameters.baseAddress!, gradient: nil,
          statistics: statistics, buffers: buffers, isTraining: buffers == nil, onFinal: { _ in })
      }
    }
  }

  /// What a node gave for the first samples of the last step, of a plan that keeps tensors: sample after sample, each in
  /// the order of its shape.
  package func output(of node: Int, samples: Int) -> [Double] {
    let slot = plan.outputs[node].slot
    let (base, plane) = (plan.arena.pointer + slot.offset, slot.plane ?? 1)
    if slot.plane == nil { return Array(UnsafeBufferPointer(start: base, count: samples * slot.count)) }
    return [Double](unsafeUninitializedCapacity: samples * slot.count) { values, count in
      for sample in 0..<samples {
        for channel in 0..<slot.channels {
          (values.baseAddress! + (sample * slot.channels + channel) * plane).update(
            from: base + (channel * samples + sample) * plane, count: plane)
        }
      }
      count = samples * slot.count
    }
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

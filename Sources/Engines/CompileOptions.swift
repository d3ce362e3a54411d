public import Networks

/// The number format that a network is computed in.
public enum Precision: String, CaseIterable, Hashable, Sendable {
  /// 32-bit floats throughout.
  case fp32
  /// bfloat16 activations and weights in the step; parameters, gradients handed over, accumulation, the statistics of
  /// batch normalisation and the loss stay in 32-bit floats.
  case bf16
}

/// How a network is to be compiled.
public struct CompileOptions: Hashable, Sendable {
  /// Threads that compute.
  public var threads: Int
  /// What the plan is for.
  public var purpose: PlanPurpose
  /// The number format.
  public var precision: Precision
  /// Most bytes of the plan's arena; nil for as many as it takes.
  public var memoryLimit: Int?

  /// Options as stated.
  public init(threads: Int, purpose: PlanPurpose, precision: Precision = .fp32, memoryLimit: Int? = nil) {
    precondition(threads > 0, "a plan for \(threads) threads")
    self.threads = threads
    self.purpose = purpose
    self.precision = precision
    self.memoryLimit = memoryLimit
  }
}

extension Engine {
  /// Compiles a network in fp32 for up to `batch` samples at once, with the memory that it takes.
  public func compile(
    _ network: Network, batch: Int, threads: Int, purpose: PlanPurpose
  ) throws(EngineError) -> any Plan {
    try compile(network, batch: batch, options: CompileOptions(threads: threads, purpose: purpose))
  }

  /// What decides the bits of its results in fp32.
  public func fingerprint(threads: Int) -> String { fingerprint(threads: threads, precision: .fp32) }
}

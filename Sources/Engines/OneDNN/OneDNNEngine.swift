#if OneDNN
  public import Networks

  /// The engine on oneDNN: blocked layouts from input to loss, primitives and memory made before the first step.
  public struct OneDNNEngine: Engine {
    /// The engine.
    public init() {}

    /// `onednn`.
    public var name: String { "onednn" }

    /// What decides the bits of its results: the library shares work by the number of threads, and layers that it does
    /// not compute are OpenBLAS's.
    public func fingerprint(threads: Int, precision: Precision) -> String {
      "onednn \(OneDNN.version) \(OneDNN.instructionSet) openblas \(OpenBLAS.version) \(OpenBLAS.core) "
        + "\(precision.rawValue) threads \(threads)"
    }

    /// bf16 with AVX512-bf16 or AMX; the library computes it on any AVX-512, slower than fp32.
    public func supports(_ precision: Precision) -> Bool {
      switch precision {
      case .fp32: true
      case .bf16: OneDNN.hasBFloat16
      }
    }

    /// What the library's OpenMP grants.
    public func grantedThreads(of wanted: Int) throws(EngineError) -> ThreadGrant {
      try OpenBLAS.requireUsable()
      return OpenMP.grant(of: wanted)
    }

    /// Compiles a network for up to `batch` samples at once.
    ///
    /// A step with a number of samples that is new takes memory for the library's primitives of that number; other
    /// steps take none.
    public func compile(
      _ network: Network, batch: Int, options: CompileOptions
    ) throws(EngineError) -> any Plan {
      precondition(batch > 0, "a plan for \(batch) samples")
      guard options.precision == .fp32 || OneDNN.emulatesBFloat16 else {
        throw .unsupported(
          "bf16 needs a processor with AVX-512; this one's instruction set is \(OneDNN.instructionSet)")
      }
      // The library shares a layer's work among as many threads as it was planned for: what fewer leave undone is missing
      // in the result, or waited for without end.
      try requireThreads(options.threads)
      return try MicroBatches.compile(network, batch: batch, options: options) {
        samples, limit throws(EngineError) in
        var options = options
        options.memoryLimit = limit
        return try OneDNNPlan(network, batch: samples, options: options)
      }
    }

    /// The library's version, as in `2.6.3`.
    public static var libraryVersion: String { OneDNN.version }
    /// The instruction set that it uses at most on this processor, as in `avx512_core`.
    public static var instructionSet: String { OneDNN.instructionSet }
  }
#endif

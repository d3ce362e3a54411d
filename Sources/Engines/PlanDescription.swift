/// What a plan consists of: what computes each layer's passes, and what memory they take.
public struct PlanDescription: Hashable, Sendable {
  /// A layer's forward or backward pass, or a part of one, as a reorder.
  public struct Pass: Hashable, Sendable {
    /// When it is computed.
    public enum Kind: String, Hashable, Sendable {
      case forward
      /// The forward pass again, before the backward pass.
      case recomputation
      case backward
    }

    /// The layer's name.
    public let layer: String
    /// When it is computed.
    public let kind: Kind
    /// What it is for, as in `conv1 weights' gradient`.
    public let purpose: String
    /// What computes it, as its library names it; `convoy` for loops of ours.
    public let implementation: String
    /// How its output lies in memory, as the library names it: `aBcd16b` has blocks of 16 channels, in `acdb` a place's
    /// channels lie next to each other, `abcd` is the order of the extents.
    public let layout: String
    /// Bytes of its output.
    public let outputBytes: Int
    /// Bytes that it needs besides: what it keeps for the backward pass, scratchpads.
    public let workspaceBytes: Int
    /// Floating-point operations that it is expected to take: 2 for each multiplication that is added up.
    public let operations: Int
  }

  /// The passes in the order of a step.
  public let passes: [Pass]
  /// Bytes of the arena, in which all of the activations and their gradients lie.
  public let arenaBytes: Int
  /// Most bytes of it that are in use at once.
  public let peakBytes: Int
  /// Number of layers whose forward pass is computed twice, so that the batch fits the memory limit.
  public let recomputedLayers: Int
  /// Most samples that are computed at once: the batch, or a part of it where it would not fit the memory limit.
  public internal(set) var partSamples: Int
}

/// A plan that can tell what it consists of.
protocol DescribedPlan: Plan {
  func describe() throws(EngineError) -> PlanDescription
}

extension Plan {
  /// What the plan for a full batch consists of.
  public func description() throws(EngineError) -> PlanDescription {
    guard let plan = self as? any DescribedPlan else {
      throw .unsupported("this engine cannot tell what its plans consist of")
    }
    return try plan.describe()
  }
}

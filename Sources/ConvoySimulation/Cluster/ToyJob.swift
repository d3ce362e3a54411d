/// A job of numbers in place of a network: quick to run, and every mistake in the exchange changes its result.
public struct ToyJob: Hashable, Sendable, Codable {
  /// Steps.
  public var steps: Int
  /// When pushes are applied.
  public var mode: Mode
  /// Shards of a step, a power of two up to 64; nil for the one at or above the number of workers.
  public var shards: Int?
  /// Chunks for each server.
  public static let chunksPerServer = 3
  /// The numbers; nil takes integers for even seeds and doubles for odd ones.
  public var numbers: ToyNumbers?
  /// Steps between two checkpoints; nil for one that follows from the seed.
  public var checkpointEvery: Int?

  /// A job of so many steps.
  public init(steps: Int = 50, mode: Mode = .sync) {
    self.steps = steps
    self.mode = mode
  }

  /// Most shards: what a word has bits for.
  public static let maximumShards = 64
}

/// Asks for a chunk.
public struct Pull: Hashable, Sendable {
  /// The chunk.
  public let chunk: UInt32
  /// Steps that must be closed.
  public let closed: UInt64
  /// Whether exactly so many: what is newer is answered with where the chunk is.
  public let isExact: Bool

  /// A request for a chunk.
  public init(chunk: UInt32, closed: UInt64, isExact: Bool) {
    self.chunk = chunk
    self.closed = closed
    self.isExact = isExact
  }
}

/// A gradient for a chunk: the sum over the samples under a node.
public struct Push: Hashable, Sendable {
  /// The chunk.
  public let chunk: UInt32
  /// The step; the first of its round.
  public let step: UInt64
  /// The node of the step's shards that it is the sum of.
  public let node: ShardNode
  /// The version of the chunk that it was computed from.
  public let basis: UInt64
  /// Steps that must be closed before the answer.
  public let awaits: UInt64

  /// A gradient's statement.
  public init(chunk: UInt32, step: UInt64, node: ShardNode, basis: UInt64, awaits: UInt64) {
    self.chunk = chunk
    self.step = step
    self.node = node
    self.basis = basis
    self.awaits = awaits
  }
}

/// A contribution to a chunk, as an answer names it.
public struct Contribution: Hashable, Sendable {
  /// The step.
  public let step: UInt64
  /// The node.
  public let node: ShardNode
  /// Whether it was refused for its age: it is to be computed anew.
  public let isStale: Bool

  /// A contribution.
  public init(step: UInt64, node: ShardNode, isStale: Bool = false) {
    self.step = step
    self.node = node
    self.isStale = isStale
  }
}

/// A chunk's parameters.
public struct Parameters: Hashable, Sendable {
  /// The chunk.
  public let chunk: UInt32
  /// Its version: the number of updates.
  public let version: UInt64
  /// Steps that are closed.
  public let closed: UInt64
  /// The contribution that this is the answer to.
  public let answers: Contribution?
  /// Where a pull is answered with where the chunk is: the closed steps that were asked for; else 0.
  public let asked: UInt64

  /// A chunk's statement.
  public init(chunk: UInt32, version: UInt64, closed: UInt64, answers: Contribution? = nil, asked: UInt64 = 0) {
    self.chunk = chunk
    self.version = version
    self.closed = closed
    self.answers = answers
    self.asked = asked
  }
}

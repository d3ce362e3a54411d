/// A gradient that a worker has to compute: the sum over the samples under each node.
public struct ComputeOrder: Hashable, Sendable {
  /// The step.
  public let step: Int
  /// The nodes, in the order to compute them; each holds at least one sample.
  public let nodes: [ShardNode]
  /// What the rules say of samples and shards.
  public let schedule: BatchSchedule
}

/// What a worker learnt from one shard.
public struct ShardResult: Hashable, Sendable {
  /// The step.
  public let step: Int
  /// The shard.
  public let shard: Int
  /// Its samples.
  public let samples: Int
  /// Sum of their losses.
  public let lossSum: Double
  /// Samples whose largest logit was the label's.
  public let correct: Int

  /// A shard's result.
  public init(step: Int, shard: Int, samples: Int, lossSum: Double, correct: Int) {
    self.step = step
    self.shard = shard
    self.samples = samples
    self.lossSum = lossSum
    self.correct = correct
  }
}

/// What happens to a worker.
public enum WorkerEvent: Sendable {
  /// It starts.
  case started
  /// A message came, with its payload where it has one.
  case message(Envelope, from: Destination, payload: ReceivedPayload?)
  /// Bytes came that are no message.
  case unreadable(Refusal, from: Destination)
  /// The job and its data were read.
  case prepared(Ready)
  /// A part of an ordered gradient, or of its statistics, is final: a chunk of a node's sum.
  case gradientReady(step: Int, node: ShardNode, chunk: Int)
  /// A shard was computed.
  case computed(ShardResult)
  /// Everything ordered was computed.
  case computeFinished(step: Int)
  /// The time that was asked for has come.
  case timer
  /// Something stopped it from outside, or went wrong in Runtime; the text says what.
  case failed(String)
}

/// A part of a gradient that goes along with a message.
public struct GradientPart: Hashable, Sendable {
  /// The step.
  public let step: Int
  /// The node whose sum it is.
  public let node: ShardNode
  /// The chunk.
  public let chunk: Int
}

/// What a worker wants done.
public enum WorkerEffect: Hashable, Sendable {
  /// Send a message; `gradient` names what goes along as payload.
  case send(Envelope, to: Destination, gradient: GradientPart?)
  /// Read the job and its data, then say `prepared`.
  case prepare(Welcome)
  /// Connect to the view's servers.
  case connect(View)
  /// Copy a payload into the parameters, or the buffers where they are wanted, and let go of it.
  case install(chunk: Int, version: UInt64, payload: GradientHandle)
  /// Let go of a payload.
  case release(GradientHandle)
  /// Read these samples ahead: they are the next to be computed.
  case readAhead(ComputeOrder)
  /// Compute gradients; say `gradientReady`, `computed` and at the end `computeFinished`.
  case compute(ComputeOrder)
  /// Say `timer` at this moment; replaces the one asked for before.
  case timer(Moment)
  /// Leave.
  case stop(StopReason)
}

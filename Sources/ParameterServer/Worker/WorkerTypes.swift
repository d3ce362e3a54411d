/// A gradient that a worker has to compute: the sum over the samples under each node.
public struct ComputeOrder: Hashable, Sendable {
  /// Tells orders apart; what is reported names it.
  public let number: UInt64
  /// The steps: one, or in local mode those of a round.
  public let steps: Range<Int>
  /// The nodes, in the order to compute them; each holds at least one sample.
  public let nodes: [ShardNode]
  /// What to compute: gradients, or in local mode what each shard becomes by itself.
  public let consistency: Consistency
  /// What the rules say of samples and shards.
  public let schedule: BatchSchedule

  /// An order as stated.
  public init(
    number: UInt64, steps: Range<Int>, nodes: [ShardNode], consistency: Consistency, schedule: BatchSchedule
  ) {
    self.number = number
    self.steps = steps
    self.nodes = nodes
    self.consistency = consistency
    self.schedule = schedule
  }
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
  indirect case unreadable(Refusal, from: Destination)
  /// The job and its data were read.
  indirect case prepared(Ready)
  /// A part of an ordered sum is final: a chunk of a node's.
  case gradientReady(order: UInt64, node: ShardNode, chunk: Int)
  /// A shard was computed.
  case computed(ShardResult)
  /// Everything ordered was computed, in so many milliseconds.
  case computeFinished(order: UInt64, milliseconds: UInt64)
  /// The time that was asked for has come.
  case timer
  /// Somebody asks it to leave; the text says who.
  case asked(String)
  /// Something went wrong in Runtime; the text says what.
  case failed(String, FailureKind = .failed)
}

/// A part of a sum that goes along with a message.
public struct GradientPart: Hashable, Sendable {
  /// The order that it was computed for.
  public let order: UInt64
  /// The node whose sum it is.
  public let node: ShardNode
  /// The chunk.
  public let chunk: Int

  /// A part as stated.
  public init(order: UInt64, node: ShardNode, chunk: Int) {
    self.order = order
    self.node = node
    self.chunk = chunk
  }
}

/// What a worker wants done.
public enum WorkerEffect: Hashable, Sendable {
  /// Send a message; `gradient` names what goes along as payload.
  case send(Envelope, to: Destination, gradient: GradientPart?)
  /// Read the job and its data, then say `prepared`.
  indirect case prepare(Welcome)
  /// Work in this view: know the ways to its servers.
  indirect case adopt(View)
  /// Copy a payload into the parameters, or the buffers where they are wanted, and let go of it.
  case install(chunk: Int, payload: GradientHandle)
  /// Let go of a payload.
  case release(GradientHandle)
  /// Read these samples ahead: they are likely to be computed next.
  indirect case readAhead(ComputeOrder)
  /// Compute; say `gradientReady`, `computed` and at the end `computeFinished`. Only one order at a time.
  indirect case compute(ComputeOrder)
  /// Let go of the sum of an order's node: every server has it. It may be sent no more.
  case discard(order: UInt64, node: ShardNode)
  /// Tell the log what was refused.
  indirect case refused(Refusal)
  /// Say `timer` at this moment; replaces the one asked for before.
  case timer(Moment)
  /// Leave.
  indirect case stop(StopReason)
}

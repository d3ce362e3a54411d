/// A gradient that Runtime holds and a state machine decides about.
public struct GradientHandle: Hashable, Sendable {
  /// Runtime numbers what it received from 0; the machine numbers the sums that it asks for from 2⁶³.
  public let rawValue: UInt64

  /// The handle of this number.
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// The first number of the sums.
  public static let firstSum: UInt64 = 1 << 63
}

/// A payload that came with a message.
public struct ReceivedPayload: Hashable, Sendable {
  /// What Runtime knows it by.
  public let handle: GradientHandle
  /// Its length.
  public let bytes: Int

  /// A payload of so many bytes.
  public init(handle: GradientHandle, bytes: Int) {
    self.handle = handle
    self.bytes = bytes
  }
}

/// An update of a chunk that Runtime has to make.
public struct ApplyOrder: Hashable, Sendable {
  /// The chunk.
  public let chunk: Int
  /// The version that it becomes.
  public let version: UInt64
  /// The step that schedules count.
  public let step: Int
  /// Applies between what the gradient was computed from and now: 0 in sync mode.
  public let staleness: UInt64
  /// The number of the worker whose gradient it is; nil in sync mode, where it is everyone's.
  public let worker: UInt32?
  /// The gradient, a sum over samples; for a chunk of buffers the shards' statistics, a sum over shards.
  public let gradient: GradientHandle
  /// Samples of the whole step: a sum over samples is multiplied by one over it.
  public let samples: Int
  /// Shards of the whole step that hold a sample: a sum over shards is divided by it.
  public let shards: Int
}

/// What happens to a server.
public enum ServerEvent: Sendable {
  /// It starts.
  case started
  /// A message came, with its payload where it has one.
  case message(Envelope, from: Destination, payload: ReceivedPayload?)
  /// Bytes came that are no message.
  case unreadable(Refusal, from: Destination)
  /// The job was read.
  case prepared(Ready)
  /// The chunks of the view hold their first parameters.
  case initialised
  /// An ordered update was made.
  case applied(chunk: Int)
  /// The time that was asked for has come.
  case timer
  /// Something stopped it from outside, or went wrong in Runtime; the text says what.
  case failed(String)
}

/// What a server wants done.
public enum ServerEffect: Hashable, Sendable {
  /// Send a message; `parameters` names the version of a chunk that goes along as payload.
  case send(Envelope, to: Destination, parameters: Parameters?)
  /// Read the job, open the address that workers reach, then say `prepared`.
  case prepare(Welcome)
  /// Take memory for the view's chunks and fill it with the first parameters, then say `initialised`.
  case initialise(View)
  /// Add two gradients: left + right.
  case combine(left: GradientHandle, right: GradientHandle, into: GradientHandle)
  /// Let go of a gradient.
  case release(GradientHandle)
  /// Update a chunk, let go of the gradient, then say `applied`.
  case apply(ApplyOrder)
  /// Say `timer` at this moment; replaces the one asked for before.
  case timer(Moment)
  /// Leave.
  case stop(StopReason)
}

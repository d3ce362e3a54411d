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

/// What happens to a server.
public enum ServerEvent: Sendable {
  /// It starts.
  case started
  /// A message came, with its payload where it has one.
  case message(Envelope, from: Destination, payload: ReceivedPayload?)
  /// Bytes came that are no message.
  indirect case unreadable(Refusal, from: Destination)
  /// The job was read.
  indirect case prepared(Ready)
  /// These chunks hold their first parameters, as was ordered in an era.
  case initialised(chunks: [Int], era: UInt32)
  /// An ordered update was made: the version that the chunk has become.
  case applied(chunk: Int, version: UInt64)
  /// The parts of a norm were added as ordered: the scale that follows, as the bits of a double.
  case scaled(order: UInt64, scale: UInt64)
  /// The time that was asked for has come.
  case timer
  /// Somebody asks it to leave; the text says who.
  case asked(String)
  /// Something went wrong in Runtime; the text says what.
  case failed(String, FailureKind = .failed)
}

/// What a server's message carries beside it.
public enum ServerPayload: Hashable, Sendable {
  /// A chunk's values at a version: the current one or the one before it.
  case values(chunk: Int, version: UInt64)
  /// A gradient that is held, as it came or as a sum.
  case gradient(GradientHandle)
  /// A chunk's whole state as it is now: values of this and the version before, and the optimiser's.
  case state(chunk: Int)
  /// The snapshot that is kept of a chunk.
  case snapshot(chunk: Int)
}

/// What a server wants done.
public enum ServerEffect: Hashable, Sendable {
  /// Send a message.
  case send(Envelope, to: Destination, payload: ServerPayload?)
  /// Read the job, open the address that workers reach, then say `prepared`.
  indirect case prepare(Welcome)
  /// Work in this view: know the ways to its servers. Of an earlier era nothing is kept.
  indirect case adopt(View)
  /// Take memory for these chunks and fill it with the first parameters, then say `initialised`: of all at once or of
  /// some after the others. That may take long, and the machine answers meanwhile; a chunk that was ordered before and is
  /// not filled yet may be ordered again, and what is held of a chunk already stays as it is.
  case initialise(chunks: [Int], era: UInt32)
  /// Replace all that is held of a chunk by a state that came, and let go of the payload. A state that cannot be read is
  /// a failure of this member.
  indirect case install(ChunkPosition, payload: GradientHandle)
  /// Let go of all that is held of a chunk.
  case drop(chunk: Int)
  /// Add two gradients, left + right, and let go of both.
  case combine(left: GradientHandle, right: GradientHandle, into: GradientHandle)
  /// Let go of a gradient or a payload.
  case release(GradientHandle)
  /// Sum the squares of a chunk's gradient, a sum over so many samples, as the mean that it is applied as: a payload with
  /// a double for each block of the norm.
  case measure(chunk: Int, samples: UInt64, gradient: GradientHandle, into: GradientHandle)
  /// Add the parts of a norm in this order, then say `scaled`.
  case addNorm(order: UInt64, parts: [GradientHandle])
  /// Update a chunk by a gradient, which is kept, then say `applied`.
  indirect case apply(Update, gradient: GradientHandle)
  /// Keep a copy of a chunk's state as it is now, in the place of an earlier copy.
  indirect case snapshot(ChunkPosition)
  /// Let go of the copy.
  case forgetSnapshot(chunk: Int)
  /// Tell the log what was refused, where nobody is answered.
  indirect case refused(Refusal)
  /// Say `timer` at this moment; replaces the one asked for before.
  case timer(Moment)
  /// Leave.
  indirect case stop(StopReason)
}

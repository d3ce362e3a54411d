import ParameterServer
import Transport

/// A message and what travels beside it: a reference, which is moved cheaply. A letter that was read is written anew.
///
/// Unchecked: it belongs to one simulation, which one thread runs at a time.
final class Letter: @unchecked Sendable {
  /// The message; nil once it was taken out.
  private(set) var envelope: Envelope?
  private(set) var payload: ToyPayload?
  /// The floats of a real network's job, which travel beside the toy numbers; nil in a toy job.
  private(set) var frame: Frame?
  /// The next of the blank letters, where this is one.
  private var next: Letter?

  /// A letter with its message.
  init(_ envelope: consuming Envelope, _ payload: ToyPayload? = nil, _ frame: consuming Frame? = nil) {
    self.envelope = envelope
    self.payload = payload
    self.frame = frame
  }

  /// What the trace's hash knows of it. Costs a few operations.
  @inline(__always)
  func word(_ envelope: Envelope) -> UInt64 {
    let bits = payload?.bits ?? 0
    return switch envelope.message {
    case .push(let push): bits ^ push.step << 20 ^ UInt64(push.chunk)
    case .parameters(let parameters): bits ^ parameters.version << 20 ^ UInt64(parameters.chunk)
    default: bits
    }
  }

  /// Takes the message out of a letter that has arrived; nil of one that has none. A letter that somebody else holds, as
  /// it arrives again, keeps its message and is not read for the last time.
  @inline(__always)
  static func open(_ letter: inout Letter) -> (envelope: Envelope, isLast: Bool)? {
    guard isKnownUniquelyReferenced(&letter) else { return letter.envelope.map { ($0, false) } }
    guard let envelope = letter.envelope.take() else { return nil }
    return (envelope, true)
  }

  /// Letters that were read for the last time.
  struct Blanks {
    private var first: Letter?

    /// A letter: one of these, or a new one.
    @inline(__always)
    mutating func write(_ envelope: consuming Envelope, _ payload: ToyPayload?, _ frame: consuming Frame?) -> Letter {
      guard let letter = first.take() else { return Letter(envelope, payload, frame) }
      first = letter.next.take()
      letter.envelope = consume envelope
      letter.payload = payload
      if let frame { letter.frame = frame }
      return letter
    }

    /// Takes a letter whose message was taken out.
    @inline(__always)
    mutating func add(_ letter: consuming Letter) {
      if letter.frame != nil { letter.frame = nil }
      letter.next = first.take()
      first = letter
    }
  }
}

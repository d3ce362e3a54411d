import ParameterServer
import Transport

/// A message with its payload, as it travels.
struct Letter: Sendable {
  let envelope: Envelope
  let payload: ToyPayload?
  /// The floats of a real network's job, which travel beside the toy numbers; nil in a toy job.
  let frame: Frame?

  init(envelope: consuming Envelope, payload: ToyPayload?, frame: consuming Frame? = nil) {
    self.envelope = envelope
    self.payload = payload
    self.frame = frame
  }

  /// What the trace's hash knows of it. Costs a few operations.
  var word: UInt64 {
    let bits = payload?.bits ?? 0
    return switch envelope.message {
    case .push(let push): bits ^ push.step << 20 ^ UInt64(push.chunk)
    case .parameters(let parameters): bits ^ parameters.version << 20 ^ UInt64(parameters.chunk)
    default: bits
    }
  }
}

/// What a letter travels in: a reference, which is moved cheaply. A bag that was emptied is filled again.
///
/// Unchecked: it belongs to one simulation, which one thread runs at a time.
final class Mailbag: @unchecked Sendable {
  private var letter: Letter?

  /// A bag with a letter.
  init(_ letter: consuming Letter) { self.letter = letter }

  /// Puts a letter into an empty bag.
  func fill(_ letter: consuming Letter) { self.letter = letter }

  /// Takes the letter out.
  func empty() -> Letter? { letter.take() }

  /// A copy of the letter, for one that arrives twice.
  func copy() -> Letter? { letter }
}

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
  /// The next of the empty bags, where this is one.
  private var next: Mailbag?

  /// A bag with a letter.
  init(_ letter: consuming Letter) { self.letter = letter }

  /// Puts a letter into the first of the empty bags, which is none of them any more.
  func fill(_ letter: consuming Letter, _ bags: inout Mailbag?) {
    self.letter = letter
    bags = next.take()
  }

  /// Takes the letter out; the bag is the first of the empty ones.
  func empty(_ bags: inout Mailbag?) -> Letter? {
    next = bags.take()
    bags = self
    return letter.take()
  }

  /// A copy of the letter, for one that arrives twice.
  func copy() -> Letter? { letter }
}

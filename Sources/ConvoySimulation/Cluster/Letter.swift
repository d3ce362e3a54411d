import ParameterServer
import Transport

/// A message with its payload, as it travels. A reference: it is moved often, and read once.
final class Letter: Sendable {
  let envelope: Envelope
  let payload: ToyPayload?
  /// The floats of a real network's job, which travel beside the toy numbers; nil in a toy job.
  let frame: Frame?

  init(envelope: Envelope, payload: ToyPayload?, frame: Frame? = nil) {
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

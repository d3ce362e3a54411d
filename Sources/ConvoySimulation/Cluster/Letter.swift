import ParameterServer

/// A message with its payload, as it travels. A reference: it is moved often, and read once.
final class Letter: Sendable {
  let envelope: Envelope
  let payload: ToyPayload?

  init(envelope: Envelope, payload: ToyPayload?) {
    self.envelope = envelope
    self.payload = payload
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

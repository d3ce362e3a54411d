import ParameterServer

/// A message with its payload, as it travels.
struct Letter: Sendable {
  let envelope: Envelope
  let payload: ToyPayload?

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

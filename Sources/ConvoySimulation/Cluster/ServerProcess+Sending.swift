import ParameterServer
import Transport

/// What a server's process sends. All is `mutating`, so that it is done where the process is: one that is copied for a
/// message costs more than the message.
extension ServerProcess {
  mutating func send(
    _ envelope: consuming Envelope, to destination: Destination, _ payload: ServerPayload?,
    _ context: inout SimulationContext
  ) {
    var content: ToyPayload?
    var frame: Frame?
    if let payload {
      content = self.payload(payload, &context)
      // What cannot be sent as it was ordered is not sent: the contract is broken, and noted.
      if content == nil { return }
      if case .parameters(let parameters) = envelope.message, let rules {
        // Outside an exchange of its own a chunk has the bytes of the round that its reader begins.
        content?.bytes = Int32(rules.payloadBytes(ofChunk: Int(parameters.chunk), step: Int(parameters.closed)))
      }
      if training != nil {
        frame = training?.frame(payload, for: envelope.message, to: destination, &context)
        content?.bytes = Int32(frame?.count ?? 0)
      }
    }
    note(envelope.message, content, &context)
    switch destination {
    case .coordinator:
      context.send(consume envelope, content, frame, from: slot, toAddressOf: SimulationContext.coordinatorSlot)
    case .server(let member):
      if case .stateLost = envelope.message { context.coverage.count(.stateAsked) }
      guard let route = routes.first(where: { $0.member == member }), route.slot != slot else { return }
      context.send(consume envelope, content, frame, from: slot, toAddressOf: route.slot)
    case .connection(let connection): context.send(consume envelope, content, frame, from: slot, to: connection)
    }
  }

  private mutating func note(_ message: Message, _ content: ToyPayload?, _ context: inout SimulationContext) {
    switch message {
    case .parameters(let parameters):
      guard let content, let version = held[Int(parameters.chunk)]?.chunk.version else { return }
      context.monitor.violations.now = context.world.now
      context.monitor.served(
        ServedFact(
          slot: slot, life: life, view: viewNumber, era: era, chunk: Int(parameters.chunk), held: version,
          version: parameters.version, bits: content.bits))
    case .replica: context.coverage.count(.replicaBuilt)
    case .scale: if isPrimary.first != true { context.coverage.count(.scaleTold) }
    default: break
    }
  }

  private mutating func payload(_ wanted: ServerPayload, _ context: inout SimulationContext) -> ToyPayload? {
    switch wanted {
    case .gradient(let handle): return payloads.read(handle)
    case .values(let chunk, let version):
      guard let state = state(chunk, &context) else { return nil }
      guard version == state.version || version + 1 == state.version else {
        context.misuse(slot, "sends version \(version) of chunk \(chunk), which is at \(state.version)")
        return nil
      }
      return ToyPayload(
        bits: version == state.version || context.bug == .wrongVersion ? state.bits : state.previousBits,
        version: version,
        bytes: bytes(of: chunk), chunk: UInt16(chunk))
    case .state(let chunk):
      guard var state = state(chunk, &context) else { return nil }
      if context.bug == .lostOptimizer { state.optimizer = 0 }
      return payload(of: chunk, state)
    case .snapshot(let chunk):
      guard past.indices.contains(chunk), let snapshot = past[chunk].snapshot else {
        context.misuse(slot, "sends a snapshot of chunk \(chunk), which it has not")
        return nil
      }
      var state = snapshot.state
      if context.bug == .tornSnapshot { state.bits = state.previousBits }
      return payload(of: chunk, state)
    }
  }

  private mutating func state(_ chunk: Int, _ context: inout SimulationContext) -> ToyChunk? {
    guard held.indices.contains(chunk), let state = held[chunk] else {
      context.misuse(slot, "sends chunk \(chunk), which it does not hold")
      return nil
    }
    return state.chunk
  }

  private mutating func payload(of chunk: Int, _ state: ToyChunk) -> ToyPayload {
    ToyPayload(
      bits: state.bits, previousBits: state.previousBits, optimizerBits: state.optimizer, version: state.version,
      bytes: bytes(of: chunk) * 3, chunk: UInt16(chunk))
  }

  private mutating func bytes(of chunk: Int) -> Int32 { Int32(rules?.chunks.bytes(of: chunk) ?? 0) }
}

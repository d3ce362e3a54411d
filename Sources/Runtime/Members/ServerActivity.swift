import ParameterServer

/// What a server is doing, as its byte in `CONVOY_STATE_DIR` says it.
struct ServerActivity {
  private let byte: StateByte?
  /// Updates and states that a replica has not confirmed, by chunk: the newest version.
  private var unconfirmed: [UInt32: UInt64] = [:]
  private var snapshots: Set<Int> = []

  init(_ byte: StateByte?) {
    self.byte = byte
  }

  /// A new view: what was sent to replicas of the old one is void.
  mutating func adopted() {
    unconfirmed = [:]
    rest()
  }

  /// A message goes out.
  mutating func sends(_ message: Message) {
    guard byte != nil else { return }
    switch message {
    case .replicate(let update): unconfirmed[update.chunk] = update.version
    case .replica(let position): unconfirmed[position.chunk] = position.version
    default: return
    }
    rest()
  }

  /// A message came in.
  mutating func receives(_ message: Message) {
    guard byte != nil, case .replicated(let chunk, let version) = message, let newest = unconfirmed[chunk],
      newest <= version
    else { return }
    unconfirmed[chunk] = nil
    rest()
  }

  mutating func snapshot(_ chunk: Int, isKept: Bool) {
    guard byte != nil else { return }
    if isKept { snapshots.insert(chunk) } else { snapshots.remove(chunk) }
    rest()
  }

  /// Does something while the byte says so.
  func during(_ state: StateByte.State, _ body: () throws(ConvoyError) -> Void) throws(ConvoyError) {
    byte?.set(state)
    defer { rest() }
    try body()
  }

  private func rest() {
    byte?.set(!snapshots.isEmpty ? .checkpointing : unconfirmed.isEmpty ? .idle : .replicating)
  }
}

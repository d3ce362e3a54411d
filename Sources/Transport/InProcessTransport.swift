import Synchronization

/// Bytes between hubs of one process, without any library: for tests. Frames are shared, never copied; messages from
/// one peer arrive in order, and those of several in the order in which they were sent.
///
/// Any address serves, and port 0 gives a port that no other hub of the transport has. Closing does not linger: what
/// was sent is with its receiver already.
public final class InProcessTransport: Transport {
  /// Who listens where, and who waits for somebody to.
  private struct Registry {
    var listeners: [Address: InProcessInbox] = [:]
    var waiting: [Address: [InProcessInbox]] = [:]
  }

  private let registry = Mutex(Registry())

  /// A transport whose hubs reach each other and nobody else.
  public init() {}

  /// A hub for one thread.
  public func makeHub(_ limits: HubLimits) throws(TransportError) -> any Hub {
    try InProcessHub(self, limits)
  }

  /// Puts an inbox at an address and lets go of those who wait for one there; nil where the address is taken.
  func listen(on address: Address, _ inbox: InProcessInbox) -> Address? {
    let (bound, waiting): (Address?, [InProcessInbox]) = registry.withLock { registry in
      var bound = address
      if case .tcp(let host, 0) = address {
        var port: UInt16 = 1
        while registry.listeners[.tcp(host: host, port: port)] != nil { port += 1 }
        bound = .tcp(host: host, port: port)
      }
      guard registry.listeners[bound] == nil else { return (nil, []) }
      registry.listeners[bound] = inbox
      return (bound, registry.waiting.removeValue(forKey: bound) ?? [])
    }
    for inbox in waiting { inbox.event.signal() }
    return bound
  }

  /// Frees an address.
  func stopListening(on address: Address) {
    registry.withLock { $0.listeners[address] = nil }
  }

  /// Who listens at an address; where nobody does, the inbox is signalled as soon as somebody listens there.
  func listener(at address: Address, for inbox: InProcessInbox) -> InProcessInbox? {
    registry.withLock { registry in
      if let listener = registry.listeners[address] { return listener }
      if registry.waiting[address]?.contains(where: { $0 === inbox }) != true {
        registry.waiting[address, default: []].append(inbox)
      }
      return nil
    }
  }

  /// Forgets that an inbox waits for a listener.
  func stopWaiting(for address: Address, _ inbox: InProcessInbox) {
    registry.withLock { registry in
      registry.waiting[address]?.removeAll { $0 === inbox }
      if registry.waiting[address]?.isEmpty == true { registry.waiting[address] = nil }
    }
  }
}

/// A connection: the inboxes at its ends, and what its maker calls it.
final class InProcessLink: Sendable {
  let client: InProcessInbox
  let server: InProcessInbox
  let clientPeer: Peer

  init(client: InProcessInbox, server: InProcessInbox, clientPeer: Peer) {
    self.client = client
    self.server = server
    self.clientPeer = clientPeer
  }
}

/// What other hubs put for one hub, and the wait for it.
final class InProcessInbox: Sendable {
  /// A message, the connection that it came by, and in which direction.
  struct Message {
    let link: InProcessLink
    let isToServer: Bool
    let frames: [Frame]
  }

  private struct State {
    var messages: [Message] = []
    /// The next message to take; those before it were taken.
    var next = 0
    /// Messages that wait, by connection.
    var counts: [ObjectIdentifier: Int] = [:]
    var isWoken = false
    var isClosed = false
  }

  private let state = Mutex(State())
  let event: EventDescriptor

  init() throws(TransportError) {
    event = try EventDescriptor()
  }

  /// Leaves a message, unless so many of its connection wait already.
  func put(_ message: Message, limit: Int) -> SendOutcome {
    let outcome: SendOutcome = state.withLock { state in
      if state.isClosed { return .unreachable }
      let count = state.counts[ObjectIdentifier(message.link), default: 0]
      if count >= limit { return .full }
      state.counts[ObjectIdentifier(message.link)] = count + 1
      state.messages.append(message)
      return .sent
    }
    if outcome == .sent { event.signal() }
    return outcome
  }

  func wake() {
    state.withLock { $0.isWoken = true }
    event.signal()
  }

  /// Whether somebody woke the owner since it asked last.
  func takeWake() -> Bool {
    state.withLock { state in
      defer { state.isWoken = false }
      return state.isWoken
    }
  }

  func take() -> Message? {
    state.withLock { state in
      guard state.next < state.messages.count else { return nil }
      let message = state.messages[state.next]
      state.next += 1
      if state.next == state.messages.count || state.next >= 1024 {
        state.messages.removeFirst(state.next)
        state.next = 0
      }
      let link = ObjectIdentifier(message.link)
      let count = state.counts[link, default: 1] - 1
      state.counts[link] = count == 0 ? nil : count
      return message
    }
  }

  func close() {
    let messages = state.withLock { state in
      state.isClosed = true
      state.counts = [:]
      state.next = 0
      defer { state.messages = [] }
      return state.messages
    }
    // Their owners are let go outside the lock: what they do then is theirs.
    _ = messages
  }
}

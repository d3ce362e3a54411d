/// The connections of one thread within a process.
final class InProcessHub: Hub {
  /// A connection that this hub made, or will once somebody listens.
  private struct Connection {
    let peer: Peer
    let address: Address
    var link: InProcessLink?
    var pending: [[Frame]] = []
  }

  private let transport: InProcessTransport
  private let limits: HubLimits
  private let inbox: InProcessInbox
  private var bound: Address?
  private var connections: [Connection] = []
  private var accepted: [Peer: InProcessLink] = [:]
  private var numbers: [ObjectIdentifier: Peer] = [:]
  private var nextPeer: UInt64 = 1
  private var owner = ThreadOwner()
  private var isClosed = false

  init(_ transport: InProcessTransport, _ limits: HubLimits) throws(TransportError) {
    self.transport = transport
    self.limits = limits
    inbox = try InProcessInbox()
  }

  deinit {
    close(lingerMilliseconds: 0)
  }

  var waker: Waker { Waker { [inbox] in inbox.wake() } }

  func listen(on address: Address) throws(TransportError) -> Address {
    owner.check()
    precondition(bound == nil, "a hub listens on one address")
    bound = transport.listen(on: address, inbox)
    guard let bound else { throw .addressInUse(address) }
    return bound
  }

  /// Nobody: within a process all are one.
  func identity(of peer: Peer) -> PeerIdentity? { nil }

  func connect(to address: Address, expecting listener: String?) throws(TransportError) -> Peer {
    owner.check()
    let peer = makePeer()
    connections.append(Connection(peer: peer, address: address))
    return peer
  }

  func letGo(of peer: Peer) {
    owner.check()
    guard let index = connections.firstIndex(where: { $0.peer == peer }) else { return forget(peer) }
    let connection = connections.remove(at: index)
    guard connection.link == nil else { return }
    transport.stopWaiting(for: connection.address, inbox)
    // Others of this hub may wait for the same place: they say so again when they look for it.
    for index in connections.indices where connections[index].address == connection.address { flush(index) }
  }

  private func makePeer() -> Peer {
    defer { nextPeer += 1 }
    return Peer(rawValue: nextPeer)
  }

  // MARK: Sending

  func send(_ frames: [Frame], to peer: Peer) throws(TransportError) -> SendOutcome {
    owner.check()
    precondition(!frames.isEmpty, "a message without frames")
    if let index = connections.firstIndex(where: { $0.peer == peer }) { return send(frames, on: index) }
    guard let link = accepted[peer] else { return .unreachable }
    let outcome = link.client.put(
      .init(link: link, isToServer: false, frames: frames), limit: limits.maximumQueuedMessages)
    if outcome == .unreachable { forget(peer) }
    return outcome
  }

  private func send(_ frames: [Frame], on index: Int) -> SendOutcome {
    flush(index)
    if connections[index].pending.isEmpty, let outcome = put(frames, on: index) { return outcome }
    guard connections[index].pending.count < limits.maximumQueuedMessages else { return .full }
    connections[index].pending.append(frames)
    return .sent
  }

  /// Sends what waits for a connection, where somebody listens by now.
  private func flush(_ index: Int) {
    while let frames = connections[index].pending.first, put(frames, on: index) == .sent {
      connections[index].pending.removeFirst()
    }
  }

  /// Hands a message to whoever listens; nil where nobody does.
  private func put(_ frames: [Frame], on index: Int) -> SendOutcome? {
    while true {
      let link: InProcessLink
      if let known = connections[index].link {
        link = known
      } else {
        guard let server = transport.listener(at: connections[index].address, for: inbox) else { return nil }
        link = InProcessLink(client: inbox, server: server, clientPeer: connections[index].peer)
        connections[index].link = link
      }
      let outcome = link.server.put(
        .init(link: link, isToServer: true, frames: frames), limit: limits.maximumQueuedMessages)
      guard outcome == .unreachable else { return outcome }
      // Whoever listened is gone, and no longer found: somebody else may have come.
      connections[index].link = nil
    }
  }

  // MARK: Receiving

  func receive(timeoutMilliseconds: Int) throws(TransportError) -> Received {
    owner.check()
    let deadline = Deadline(milliseconds: timeoutMilliseconds)
    while true {
      if let received = take() { return received }
      let remaining = deadline.remainingMilliseconds
      if remaining == 0 { return .timeout }
      inbox.event.wait(milliseconds: remaining)
      _ = inbox.event.take()
    }
  }

  private func take() -> Received? {
    for index in connections.indices where !connections[index].pending.isEmpty { flush(index) }
    if inbox.takeWake() { return .woken }
    guard let message = inbox.take() else { return nil }
    // From one that was let go meanwhile nothing more is taken.
    if !message.isToServer, !connections.contains(where: { $0.peer == message.link.clientPeer }) { return take() }
    let peer = message.isToServer ? number(message.link) : message.link.clientPeer
    if message.frames.count > limits.maximumFrames { return .refused(peer, limits.tooManyFrames) }
    if message.frames.contains(where: { $0.count > limits.maximumFrameBytes }) {
      return .refused(peer, limits.tooLongFrame)
    }
    return .message(peer, message.frames)
  }

  /// The number of whoever is at the other end of a connection that was made to this hub.
  private func number(_ link: InProcessLink) -> Peer {
    if let known = numbers[ObjectIdentifier(link)] { return known }
    let peer = makePeer()
    numbers[ObjectIdentifier(link)] = peer
    accepted[peer] = link
    return peer
  }

  private func forget(_ peer: Peer) {
    guard let link = accepted.removeValue(forKey: peer) else { return }
    numbers[ObjectIdentifier(link)] = nil
  }

  func close(lingerMilliseconds: Int) {
    guard !isClosed else { return }
    isClosed = true
    for index in connections.indices {
      flush(index)
      transport.stopWaiting(for: connections[index].address, inbox)
    }
    // First nobody finds it, then it takes nothing more: who finds it closed looks again in vain.
    if let bound { transport.stopListening(on: bound) }
    inbox.close()
    connections = []
    accepted = [:]
    numbers = [:]
  }
}

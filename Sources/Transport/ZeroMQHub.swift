import CZeroMQ
import Glibc

/// All ZeroMQ sockets of one thread.
final class ZeroMQHub: Hub {
  /// A connection that this hub made.
  private struct Connection {
    let peer: Peer
    let address: Address
    /// Who was to be expected at its other end.
    let name: String?
    /// Who must be there; nil where nobody proves it.
    let identity: PeerIdentity?
    /// What becomes of it; nil without keys.
    var watch: ConnectionWatch?
    var socket: ZeroMQSocket
    /// Messages that wait until the other side is there; bounded as the library's own queue is.
    var pending: [OutgoingMessage] = []
    /// What has come of a message so far, where messages come in pieces.
    var incoming = IncomingMessage()
    /// When one that the library gave up is made anew.
    var renewal: Deadline?
  }

  /// Milliseconds until a connection that the library gave up is made anew.
  private static let renewalMilliseconds = 500
  /// Milliseconds between two tries to send the rest of a message to who takes nothing.
  private static let restMilliseconds = 5
  /// Pieces that are taken from one socket before another has its turn.
  private static let piecesOfTurn = 256

  private let opening: ZeroMQOpening
  private let limits: HubLimits
  private let wakeEvent: EventDescriptor
  private let pulse: HubPulse
  /// Whether the sockets were looked at to the last message.
  private var isDrained = true
  let waker: Waker

  private var router: ZeroMQSocket?
  private var bound: Address?
  private var connections: [Connection] = []
  private var routes = RouteTable()
  /// Messages to peers of the router that have begun to leave; their rest comes before all else.
  private var begun: [Peer: OutgoingMessage] = [:]
  private var nextPeer: UInt64 = 1
  /// Where the next look for messages begins, so that no socket starves another.
  private var turn = 0
  private var owner = ThreadOwner()
  private var isClosed = false

  init(_ core: ZeroMQCore, _ limits: HubLimits) throws(TransportError) {
    self.limits = limits
    let event = try EventDescriptor()
    wakeEvent = event
    pulse = HubPulse(event)
    opening = ZeroMQOpening(core: core, limits: limits, wakeEvent: event, pulse: pulse)
    waker = Waker { event.signal() }
  }

  deinit {
    close(lingerMilliseconds: 0)
  }

  func close(lingerMilliseconds: Int) {
    guard !isClosed else { return }
    isClosed = true
    let deadline = Deadline(milliseconds: max(lingerMilliseconds, 0))
    flushAll(until: deadline)
    router?.close(lingerMilliseconds: deadline.remainingMilliseconds, listeningAt: bound?.description)
    if case .ipc(let path) = bound { unlink(path) }
    for connection in connections { connection.socket.close(lingerMilliseconds: deadline.remainingMilliseconds) }
    router = nil
    connections = []
  }

  /// Waits until every message that waits for its connection was handed to the library, or the time is over.
  private func flushAll(until deadline: Deadline) {
    while true {
      for index in connections.indices { flush(index) }
      sendRests()
      if !begun.isEmpty, deadline.remainingMilliseconds > 0 {
        usleep(UInt32(1000 * Self.restMilliseconds))
        continue
      }
      var items = connections.filter { !$0.pending.isEmpty }.map {
        zmq_pollitem_t(socket: $0.socket.handle, fd: 0, events: Int16(ZMQ_POLLOUT), revents: 0)
      }
      let remaining = deadline.remainingMilliseconds
      guard !items.isEmpty, remaining > 0, (try? ZeroMQ.poll(&items, milliseconds: remaining)) != nil else { return }
    }
  }

  // MARK: Opening

  func listen(on address: Address) throws(TransportError) -> Address {
    owner.check()
    precondition(router == nil, "a hub listens on one address")
    let (socket, bound) = try opening.listener(at: address)
    router = socket
    self.bound = bound
    return bound
  }

  func connect(to address: Address, expecting listener: String?) throws(TransportError) -> Peer {
    owner.check()
    let (socket, identity, watch) = try opening.connection(to: address, expecting: listener)
    let peer = makePeer()
    connections.append(
      Connection(peer: peer, address: address, name: listener, identity: identity, watch: watch, socket: socket))
    return peer
  }

  func letGo(of peer: Peer) {
    owner.check()
    if let index = connections.firstIndex(where: { $0.peer == peer }) {
      connections.remove(at: index).socket.close(lingerMilliseconds: 0)
    } else if let router, let routing = routes.routing(of: peer) {
      if cutsMessages { router.end(routing: routing) }
      forget(peer)
    }
  }

  func limitWaiting(toBytes bytes: Int) {
    pulse.maximumWaitingBytes = UInt64(max(bytes, 0))
  }

  private func forget(_ peer: Peer) {
    routes.forget(peer)
    begun[peer] = nil
  }

  /// Whether messages of the router come and go in pieces.
  private var cutsMessages: Bool { bound?.isTCP == true }

  /// Makes connections anew that the library gave up because of who was there: milliseconds until the next has its turn,
  /// or nil.
  private func renewConnections() throws(TransportError) -> Int? {
    var next: Int?
    for index in connections.indices where connections[index].watch?.isGivenUp == true {
      let deadline = connections[index].renewal ?? Deadline(milliseconds: Self.renewalMilliseconds)
      connections[index].renewal = deadline
      let remaining = deadline.remainingMilliseconds
      guard remaining == 0 else {
        next = min(next ?? remaining, remaining)
        continue
      }
      connections[index].socket.close(lingerMilliseconds: 0)
      let (socket, _, watch) = try opening.connection(
        to: connections[index].address, expecting: connections[index].name)
      (connections[index].socket, connections[index].watch, connections[index].renewal) = (socket, watch, nil)
    }
    return next
  }

  func identity(of peer: Peer) -> PeerIdentity? {
    if let connection = connections.first(where: { $0.peer == peer }) { return connection.identity }
    return routes.identity(of: peer)
  }

  func state(of peer: Peer) -> ConnectionState? {
    connections.first { $0.peer == peer }?.watch?.state
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
    guard let router, let routing = routes.routing(of: peer) else { return .unreachable }
    if let failure = sendRest(to: peer, routing, on: router) {
      if failure.code == EAGAIN { return .full }
      return try ended(peer, failure)
    }
    var message = OutgoingMessage(frames, isCut: cutsMessages)
    guard let failure = message.send(on: router, routing: routing) else { return .sent }
    guard failure.code == EAGAIN else { return try ended(peer, failure) }
    if !message.hasBegun { return .full }
    begun[peer] = message
    return .sent
  }

  private func ended(_ peer: Peer, _ failure: ZeroMQ.Failure) throws(TransportError) -> SendOutcome {
    forget(peer)
    if failure.code == EHOSTUNREACH { return .unreachable }
    throw failure.during("send a message")
  }

  /// Sends the rest of a message that has begun to leave for a peer; nil when none is left.
  private func sendRest(to peer: Peer, _ routing: [UInt8], on router: ZeroMQSocket) -> ZeroMQ.Failure? {
    guard var message = begun[peer] else { return nil }
    let failure = message.send(on: router, routing: routing)
    begun[peer] = failure == nil ? nil : message
    return failure
  }

  /// Sends what is left of messages that have begun to leave, as far as peers take it.
  private func sendRests() {
    guard let router else { return }
    for peer in Array(begun.keys) {
      guard let routing = routes.routing(of: peer) else {
        begun[peer] = nil
        continue
      }
      if let failure = sendRest(to: peer, routing, on: router), failure.code != EAGAIN { forget(peer) }
    }
  }

  private func send(_ frames: [Frame], on index: Int) -> SendOutcome {
    flush(index)
    var message = OutgoingMessage(frames, isCut: connections[index].address.isTCP)
    if connections[index].pending.isEmpty, message.send(on: connections[index].socket, routing: nil) == nil {
      return .sent
    }
    guard message.hasBegun || connections[index].pending.count < limits.maximumQueuedMessages else { return .full }
    connections[index].pending.append(message)
    return .sent
  }

  /// Sends what waits for a connection, as far as it takes it.
  private func flush(_ index: Int) {
    var sent = 0
    while sent < connections[index].pending.count {
      guard connections[index].pending[sent].send(on: connections[index].socket, routing: nil) == nil else { break }
      sent += 1
    }
    connections[index].pending.removeFirst(sent)
  }

  // MARK: Receiving

  func receive(timeoutMilliseconds: Int) throws(TransportError) -> Received {
    owner.check()
    if let received = try take() { return received }
    let deadline = Deadline(milliseconds: timeoutMilliseconds)
    // A wait may end with nothing for the caller: a connection takes messages again.
    while true {
      let remaining = deadline.remainingMilliseconds
      var wait = remaining
      for sooner in [try renewConnections(), begun.isEmpty ? nil : Self.restMilliseconds] {
        if let sooner { wait = wait < 0 ? sooner : min(wait, sooner) }
      }
      try poll(wait)
      if let received = try take() { return received }
      if remaining == 0 { return .timeout }
    }
  }

  /// The next message of the sockets in turn, or a wake; nil when there is none.
  private func take() throws(TransportError) -> Received? {
    if wakeEvent.take() { return .woken }
    if !begun.isEmpty { sendRests() }
    isDrained = true
    let sockets = connections.count + 1
    for offset in 0..<sockets {
      let index = (turn + offset) % sockets
      let received = index == connections.count ? try takeFromRouter() : try takeFromConnection(index)
      if let received {
        turn = (index + 1) % sockets
        return received
      }
    }
    if isDrained { pulse.drain() }
    return nil
  }

  private func takeFromConnection(_ index: Int) throws(TransportError) -> Received? {
    if !connections[index].pending.isEmpty { flush(index) }
    let (peer, socket) = (connections[index].peer, connections[index].socket)
    for _ in 0..<Self.piecesOfTurn {
      guard let (first, hasMore) = try socket.receivePart() else { return nil }
      guard connections[index].address.isTCP else {
        return try message(beginning: first, hasMore, from: peer, on: socket)
      }
      connections[index].watch?.meter.count(first.bytes.count)
      let outcome = hasMore ? try passOver(on: socket) : connections[index].incoming.take(first.bytes, limits)
      if let received = Self.received(outcome, from: peer) { return received }
    }
    isDrained = false
    return nil
  }

  private func takeFromRouter() throws(TransportError) -> Received? {
    for _ in 0..<Self.piecesOfTurn {
      guard let router, let (routing, hasMore) = try router.receivePart() else { return nil }
      guard hasMore, let (first, hasMore) = try router.receivePart() else {
        return .refused(nil, "a message without frames")
      }
      let key = [UInt8](routing.bytes)
      guard cutsMessages, let protection = opening.core.protection else {
        return try message(beginning: first, hasMore, from: routes.peer(for: key) { makePeer() }, on: router)
      }
      let meters = protection.connectionGuard.meters
      let peer = routes.peer(
        for: key, name: first.userID, meter: meters.meter(ofDescriptor: first.descriptor), new: makePeer)
      let outcome = hasMore ? try passOver(on: router) : routes.take(first.bytes, from: key, limits)
      if let received = Self.received(outcome, from: peer) { return received }
    }
    isDrained = false
    return nil
  }

  private static func received(_ outcome: IncomingMessage.Outcome, from peer: Peer) -> Received? {
    switch outcome {
    case .waiting: nil
    case .message(let frames): .message(peer, frames)
    case .refused(let problem): .refused(peer, problem)
    }
  }

  /// Lets go of the other frames of what should have one.
  private func passOver(on socket: ZeroMQSocket) throws(TransportError) -> IncomingMessage.Outcome {
    while let (_, hasMore) = try socket.receivePart(), hasMore {}
    return .refused("a piece of several frames")
  }

  /// The rest of a message; past a limit the frames are let go as they come, so that no more than the limits is held.
  private func message(
    beginning first: ZeroMQMessage, _ hasMore: Bool, from peer: Peer, on socket: ZeroMQSocket
  ) throws(TransportError) -> Received {
    var frames: [Frame] = []
    var problem: String?
    var part = first
    var hasMore = hasMore
    while true {
      let bytes = part.bytes
      if frames.count == limits.maximumFrames {
        problem = limits.tooManyFrames
      } else if bytes.count > limits.maximumFrameBytes {
        // The library closes the connection of whoever sends so much, but within a process it looks at nothing.
        problem = limits.tooLongFrame
      }
      if problem == nil { frames.append(Frame(bytes: bytes, storage: .received(part))) } else { frames = [] }
      guard hasMore, let next = try socket.receivePart() else { break }
      (part, hasMore) = next
    }
    if let problem { return .refused(peer, problem) }
    return .message(peer, frames)
  }

  private func poll(_ timeoutMilliseconds: Int) throws(TransportError) {
    var items: [zmq_pollitem_t] = []
    items.reserveCapacity(connections.count + 2)
    items.append(zmq_pollitem_t(socket: nil, fd: wakeEvent.descriptor, events: Int16(ZMQ_POLLIN), revents: 0))
    if let router { items.append(zmq_pollitem_t(socket: router.handle, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0)) }
    for connection in connections {
      let events = connection.pending.isEmpty ? ZMQ_POLLIN : ZMQ_POLLIN | ZMQ_POLLOUT
      items.append(zmq_pollitem_t(socket: connection.socket.handle, fd: 0, events: Int16(events), revents: 0))
    }
    do throws(ZeroMQ.Failure) {
      try ZeroMQ.poll(&items, milliseconds: timeoutMilliseconds)
    } catch {
      throw error.during("wait for messages")
    }
  }
}

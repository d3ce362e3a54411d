import CZeroMQ
import Glibc

/// All ZeroMQ sockets of one thread.
final class ZeroMQHub: Hub {
  /// A connection that this hub made.
  private struct Connection {
    let peer: Peer
    /// Who must be at its other end; nil where nobody proves it.
    let identity: PeerIdentity?
    /// What becomes of it; nil without keys.
    let watch: ConnectionWatch?
    let socket: ZeroMQSocket
    /// Messages that wait until the other side is there; bounded as the library's own queue is.
    var pending: [[Frame]] = []
  }

  private let opening: ZeroMQOpening
  private let limits: HubLimits
  private let wakeEvent: EventDescriptor
  let waker: Waker

  private var router: ZeroMQSocket?
  private var bound: Address?
  private var routerProvesNames = false
  private var connections: [Connection] = []
  private var routes = RouteTable()
  private var nextPeer: UInt64 = 1
  /// Where the next look for messages begins, so that no socket starves another.
  private var turn = 0
  private var owner = ThreadOwner()
  private var isClosed = false

  init(_ core: ZeroMQCore, _ limits: HubLimits) throws(TransportError) {
    self.limits = limits
    let event = try EventDescriptor()
    wakeEvent = event
    opening = ZeroMQOpening(core: core, limits: limits, wakeEvent: event)
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
    // Without a ZAP handler a peer could state any name.
    routerProvesNames = opening.core.protection != nil && bound.isTCP
    self.bound = bound
    return bound
  }

  func connect(to address: Address, expecting listener: String?) throws(TransportError) -> Peer {
    owner.check()
    let (socket, identity, watch) = try opening.connection(to: address, expecting: listener)
    let peer = makePeer()
    connections.append(Connection(peer: peer, identity: identity, watch: watch, socket: socket))
    return peer
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
    guard let failure = router.send(routing: routing, frames) else { return .sent }
    if failure.code == EAGAIN { return .full }
    routes.forget(peer)
    if failure.code == EHOSTUNREACH { return .unreachable }
    throw failure.during("send a message")
  }

  private func send(_ frames: [Frame], on index: Int) -> SendOutcome {
    flush(index)
    if connections[index].pending.isEmpty, connections[index].socket.send(routing: nil, frames) == nil { return .sent }
    guard connections[index].pending.count < limits.maximumQueuedMessages else { return .full }
    connections[index].pending.append(frames)
    return .sent
  }

  /// Sends what waits for a connection, as far as it takes it.
  private func flush(_ index: Int) {
    var sent = 0
    for frames in connections[index].pending {
      guard connections[index].socket.send(routing: nil, frames) == nil else { break }
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
      try poll(remaining)
      if let received = try take() { return received }
      if remaining == 0 { return .timeout }
    }
  }

  /// The next message of the sockets in turn, or a wake; nil when there is none.
  private func take() throws(TransportError) -> Received? {
    if wakeEvent.take() { return .woken }
    let sockets = connections.count + 1
    for offset in 0..<sockets {
      let index = (turn + offset) % sockets
      let received = index == connections.count ? try takeFromRouter() : try takeFromConnection(index)
      if let received {
        turn = (index + 1) % sockets
        return received
      }
    }
    return nil
  }

  private func takeFromConnection(_ index: Int) throws(TransportError) -> Received? {
    if !connections[index].pending.isEmpty { flush(index) }
    guard let (first, hasMore) = try connections[index].socket.receivePart() else { return nil }
    return try message(beginning: first, hasMore, from: connections[index].peer, on: connections[index].socket)
  }

  private func takeFromRouter() throws(TransportError) -> Received? {
    guard let router, let (routing, hasMore) = try router.receivePart() else { return nil }
    guard hasMore, let (first, hasMore) = try router.receivePart() else {
      return .refused(nil, "a message without frames")
    }
    let name = routerProvesNames ? first.userID : nil
    let peer = routes.peer(for: [UInt8](routing.bytes), name: name) { makePeer() }
    return try message(beginning: first, hasMore, from: peer, on: router)
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

import CZeroMQ
import Glibc

/// All ZeroMQ sockets of one thread.
final class ZeroMQHub: Hub {
  /// A connection that this hub made.
  private struct Connection {
    let peer: Peer
    let socket: ZeroMQSocket
    /// Messages that wait until the other side is there; bounded as the library's own queue is.
    var pending: [[Frame]] = []
  }

  private let context: ZeroMQContext
  private let limits: HubLimits
  private let wakeEvent: EventDescriptor
  let waker: Waker

  private var router: ZeroMQSocket?
  private var bound: Address?
  private var connections: [Connection] = []
  private var routes = RouteTable()
  private var nextPeer: UInt64 = 1
  /// Where the next look for messages begins, so that no socket starves another.
  private var turn = 0
  private var owner = ThreadOwner()
  private var isClosed = false

  init(_ context: ZeroMQContext, _ limits: HubLimits) throws(TransportError) {
    self.context = context
    self.limits = limits
    let event = try EventDescriptor()
    wakeEvent = event
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

  private func configure(_ socket: ZeroMQSocket, for address: Address) throws(TransportError) {
    let queued = Int32(clamping: limits.maximumQueuedMessages)
    try socket.set(ZMQ_SNDHWM, queued)
    try socket.set(ZMQ_RCVHWM, queued)
    // Never less than a handshake's command needs.
    try socket.set(ZMQ_MAXMSGSIZE, long: Int64(max(limits.maximumFrameBytes, 276)))
    try socket.set(ZMQ_LINGER, 0)
    // Only where it is asked for: a socket of both families states addresses of IPv4 in IPv6's form.
    if case .tcp(let host, _) = address, host.contains(":") { try socket.set(ZMQ_IPV6, 1) }
    try socket.set(ZMQ_HEARTBEAT_IVL, 2000)
    try socket.set(ZMQ_HEARTBEAT_TIMEOUT, 10_000)
    try socket.set(ZMQ_HEARTBEAT_TTL, 10_000)
    try socket.set(ZMQ_HANDSHAKE_IVL, 5000)
    try socket.set(ZMQ_CONNECT_TIMEOUT, 5000)
    try socket.set(ZMQ_RECONNECT_IVL, 20)
    try socket.set(ZMQ_RECONNECT_IVL_MAX, 5000)
  }

  func listen(on address: Address) throws(TransportError) -> Address {
    owner.check()
    precondition(router == nil, "a hub listens on one address")
    try Self.prepare(address)
    let socket = try ZeroMQSocket(context, type: ZMQ_ROUTER)
    try configure(socket, for: address)
    try socket.set(ZMQ_ROUTER_MANDATORY, 1)
    // A whole cluster may connect at once.
    try socket.set(ZMQ_BACKLOG, 1024)
    do throws(ZeroMQ.Failure) {
      try socket.bind(Self.endpoint(address))
    } catch {
      if error.code == EADDRINUSE { throw .addressInUse(address) }
      throw .unusableAddress(address, error.text)
    }
    router = socket
    let bound = if case .tcp = address { try Address(parsing: socket.boundEndpoint()) } else { address }
    self.bound = bound
    return bound
  }

  /// The library knows hosts by number; `localhost` is the loopback of IPv4.
  private static func endpoint(_ address: Address) -> String {
    if case .tcp("localhost", let port) = address { return Address.tcp(host: "127.0.0.1", port: port).description }
    return address.description
  }

  /// libzmq takes over the socket file of whoever listens there: look whether somebody does.
  private static func prepare(_ address: Address) throws(TransportError) {
    guard case .ipc(let path) = address else { return }
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw .unusableAddress(address, "a file of another kind is there")
    }
    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard probe >= 0 else { throw .system("probe \(address)", String(cString: strerror(errno))) }
    defer { Glibc.close(probe) }
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
    let connected = withUnsafePointer(to: &name) { name in
      name.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    if connected == 0 { throw .addressInUse(address) }
  }

  func connect(to address: Address) throws(TransportError) -> Peer {
    owner.check()
    let socket = try ZeroMQSocket(context, type: ZMQ_DEALER)
    try configure(socket, for: address)
    // Nothing is queued for who is not there: a connection that is lost loses what was queued, so the queue for an
    // absent peer is ours.
    try socket.set(ZMQ_IMMEDIATE, 1)
    do throws(ZeroMQ.Failure) {
      try socket.connect(Self.endpoint(address))
    } catch {
      throw .unusableAddress(address, error.text)
    }
    let peer = makePeer()
    connections.append(Connection(peer: peer, socket: socket))
    return peer
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
    let peer = routes.peer(for: [UInt8](routing.bytes)) { makePeer() }
    guard hasMore, let (first, hasMore) = try router.receivePart() else {
      return .refused(peer, "a message without frames")
    }
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

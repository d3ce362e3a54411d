import Glibc

/// One connection through a proxy: two sockets, and the bytes on their way between them.
struct ProxyConnection {
  /// One direction.
  private struct Flow {
    var from: Int32
    var to: Int32
    var pending: [UInt8] = []
    /// Whether the sender has ended.
    var isEnded = false
    /// Whether the receiver was told so.
    var isFinished = false

    var wantsToRead: Bool { !isEnded && pending.count < 256 << 10 }
    var wantsToWrite: Bool { !pending.isEmpty || (isEnded && !isFinished) }

    /// Moves what can be moved without waiting; the number of bytes that arrived, or nil for a broken connection.
    mutating func move() -> Int? {
      if wantsToRead {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(from, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count > 0 { pending += buffer[..<count] }
        if count == 0 { isEnded = true }
        if count < 0, errno != EAGAIN, errno != EINTR { return nil }
      }
      var moved = 0
      if !pending.isEmpty {
        moved = send(to, pending, pending.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        if moved < 0 {
          guard errno == EAGAIN || errno == EINTR else { return nil }
          moved = 0
        }
        pending.removeFirst(moved)
      }
      if isEnded, pending.isEmpty, !isFinished {
        shutdown(to, Int32(SHUT_WR))
        isFinished = true
      }
      return moved
    }
  }

  private let client: Int32
  private let server: Int32
  private var flows: [Flow]

  /// A connection between two open sockets, which it closes.
  init(client: Int32, server: Int32) {
    self.client = client
    self.server = server
    flows = [Flow(from: client, to: server), Flow(from: server, to: client)]
  }

  /// Whether both sides have ended and everything has arrived.
  var isOver: Bool { flows.allSatisfy(\.isFinished) }

  /// What is to be watched: the client's socket, then the server's.
  var watched: [pollfd] {
    [(client, flows[0], flows[1]), (server, flows[1], flows[0])].map { descriptor, outgoing, incoming in
      var events = Int16(0)
      if outgoing.wantsToRead { events |= Int16(POLLIN) }
      if incoming.wantsToWrite { events |= Int16(POLLOUT) }
      // A socket of which nothing is wanted would report its end again and again.
      return pollfd(fd: events == 0 ? -1 : descriptor, events: events, revents: 0)
    }
  }

  /// Moves bytes both ways; their number, or nil for a connection that is broken.
  mutating func move() -> Int? {
    guard let there = flows[0].move(), let back = flows[1].move() else { return nil }
    return there + back
  }

  /// Closes both sockets; with a reset, so that both peers see an error and not an end, where it is cut.
  func close(isCut: Bool) {
    for descriptor in [client, server] {
      if isCut { reset(descriptor) } else { Glibc.close(descriptor) }
    }
  }
}

/// Closes a socket with a reset.
func reset(_ descriptor: Int32) {
  var now = linger(l_onoff: 1, l_linger: 0)
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
  close(descriptor)
}

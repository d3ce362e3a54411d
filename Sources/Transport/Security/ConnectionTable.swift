import Glibc

/// The connections to one listener, or the one that a hub made: how much each has sent that nobody has seen.
///
/// libzmq holds a message until its last frame has come, however many there are. Nor may its queues have an end: 4.3.4 and
/// 4.3.5 abort the process where a connection breaks while its queue is full and a heartbeat of the peer's is among what
/// waits. So what a connection has sent and the hub has not taken is looked at from outside, and past what a job makes
/// possible, or what one piece may be while nothing whole waits, the connection is cut off.
struct ConnectionTable {
  private struct Connection {
    let number: UInt64
    let meter: ConnectionMeter
    /// What had been read of it at a moment, by the drainings of the hub.
    var mark: (bytes: UInt64, drainings: UInt64)
    /// Whether it was cut off, and its end will be told.
    var isCut = false
  }

  /// Bytes that may have come of what is not whole, and some more.
  private static let maximumPartialBytes: UInt64 = 1 << 20
  /// Connections of a listener that have delivered nothing yet, at most: a whole cluster may connect at once.
  private static let maximumSilent = 1024

  private var connections: [Int32: Connection] = [:]
  /// Descriptors of those that have delivered nothing yet, the oldest first.
  private var silent: [Int32] = []

  var isEmpty: Bool { connections.isEmpty }

  /// A connection has come.
  mutating func add(_ descriptor: Int32, _ meters: ConnectionMeters) {
    remove(descriptor, meters)
    guard let number = ConnectionDescriptor.number(of: descriptor) else { return }
    connections[descriptor] = Connection(number: number, meter: meters.meter(of: number), mark: (0, 0))
    silent.append(descriptor)
    if silent.count > Self.maximumSilent { cutSilent(silent.count - Self.maximumSilent) }
  }

  /// The hub's own connection is there.
  mutating func add(_ descriptor: Int32, meter: ConnectionMeter) {
    guard let number = ConnectionDescriptor.number(of: descriptor) else { return }
    connections[descriptor] = Connection(number: number, meter: meter, mark: (0, 0))
  }

  /// A connection has ended.
  mutating func remove(_ descriptor: Int32, _ meters: ConnectionMeters) {
    guard let connection = connections.removeValue(forKey: descriptor) else { return }
    silent.removeAll { $0 == descriptor }
    meters.remove(connection.number)
  }

  /// Cuts off the oldest of those that have delivered nothing yet.
  mutating func cutSilent(_ count: Int) {
    silent.removeAll { (connections[$0]?.meter.bytes ?? 1) > 0 }
    for descriptor in silent.prefix(count) {
      if let connection = connections[descriptor] {
        ConnectionDescriptor.cut(descriptor, number: connection.number)
      }
    }
    silent.removeFirst(min(count, silent.count))
  }

  /// A quarter of them, one at least: where descriptors ran out.
  mutating func cutSomeSilent() {
    cutSilent(max(1, silent.count / 4))
  }

  /// Cuts off who has sent too much that nobody has seen; returns how many.
  mutating func cutExcessive(_ pulse: HubPulse) -> Int {
    var excessive: [Int32] = []
    for (descriptor, connection) in connections where !connection.isCut {
      guard let read = ConnectionDescriptor.bytesRead(of: descriptor) else { continue }
      let drainings = pulse.drainings
      let taken = connection.meter.bytes + Self.maximumPartialBytes
      if read > taken + pulse.maximumWaitingBytes {
        excessive.append(descriptor)
      } else if connection.mark.bytes <= taken {
        connections[descriptor]?.mark = (read, drainings)
      } else if drainings < connection.mark.drainings + 2 {
        // A draining that began before the mark says nothing of what came until then; the second one does.
        pulse.ask()
      } else {
        excessive.append(descriptor)
      }
    }
    for descriptor in excessive {
      guard let connection = connections[descriptor] else { continue }
      ConnectionDescriptor.cut(descriptor, number: connection.number)
      connections[descriptor]?.isCut = true
    }
    return excessive.count
  }
}

/// Two descriptors that are kept back, so that a connection can be taken and closed when all others are in use.
struct DescriptorReserve {
  private var descriptors: [Int32] = []

  init() { fill() }

  private mutating func fill() {
    while descriptors.count < 2 {
      let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { return }
      descriptors.append(descriptor)
    }
  }

  mutating func close() {
    for descriptor in descriptors { Glibc.close(descriptor) }
    descriptors = []
  }

  /// Takes and closes the connections that wait at a listener, which libzmq would try to take again and again, on a whole
  /// core, for want of a descriptor. Who connects in earnest tries again.
  mutating func turnAway(at listener: Int32, number: UInt64) {
    close()
    defer { fill() }
    let own = fcntl(listener, F_DUPFD_CLOEXEC, 0)
    guard own >= 0 else { return }
    defer { Glibc.close(own) }
    guard ConnectionDescriptor.number(of: own) == number else { return }
    // The library's own call may come in between: neither may wait for a connection.
    _ = fcntl(own, F_SETFL, fcntl(own, F_GETFL) | O_NONBLOCK)
    for _ in 0..<1024 {
      let connection = accept(own, nil, nil)
      guard connection >= 0 else { return }
      Glibc.close(connection)
    }
  }
}

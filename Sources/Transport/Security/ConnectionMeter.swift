import Glibc
import Synchronization

/// How much one connection has delivered: its hub's thread counts, the guard's reads.
final class ConnectionMeter: Sendable {
  private let delivered = Atomic<UInt64>(0)
  private let endedAt = Atomic<UInt64>(0)

  /// Bytes of the connection whose messages the hub has taken.
  var bytes: UInt64 { delivered.load(ordering: .relaxed) }

  /// The hub has taken a frame of so many bytes.
  func count(_ frameBytes: Int) {
    // CURVE's command, nonce and code, and the frame's flags and length.
    let message = frameBytes + 33
    delivered.wrappingAdd(UInt64(message + (message > 255 ? 9 : 2)), ordering: .relaxed)
  }

  /// The connection has ended; what the library holds of it may still come.
  func end() {
    endedAt.store(Deadline.now, ordering: .relaxed)
  }

  /// Whether the connection ended so long ago that nothing comes from it any more.
  var isOver: Bool {
    let moment = endedAt.load(ordering: .relaxed)
    return moment > 0 && Deadline.now > moment + Self.drainingNanoseconds
  }

  /// How long a hub may take to read what came before a connection's end.
  private static let drainingNanoseconds: UInt64 = 10_000_000_000
}

/// What a hub's thread and the guard's tell each other of the messages that wait.
final class HubPulse: Sendable {
  private let drained = Atomic<UInt64>(0)
  private let limit = Atomic<UInt64>(256 << 20)
  private let event: EventDescriptor

  init(_ event: EventDescriptor) {
    self.event = event
  }

  /// How often the hub has found no message on any of its sockets.
  var drainings: UInt64 { drained.load(ordering: .acquiring) }

  /// The hub has looked at all its sockets, and found nothing.
  func drain() {
    drained.wrappingAdd(1, ordering: .releasing)
  }

  /// Has the hub look again.
  func ask() {
    event.signal()
  }

  /// Bytes that may wait for the hub on one connection.
  var maximumWaitingBytes: UInt64 {
    get { limit.load(ordering: .relaxed) }
    set { limit.store(newValue, ordering: .relaxed) }
  }
}

/// The meters of the connections to a transport's listeners, by the kernel's number of the socket: a descriptor may be
/// another connection's by the time that somebody looks.
final class ConnectionMeters: Sendable {
  private let meters = Mutex<[UInt64: ConnectionMeter]>([:])

  /// The meter of a connection, made by whoever asks first. Of one that is gone: one that says so.
  func meter(ofDescriptor descriptor: Int32) -> ConnectionMeter {
    guard let number = ConnectionDescriptor.number(of: descriptor) else {
      let meter = ConnectionMeter()
      meter.end()
      return meter
    }
    return meter(of: number)
  }

  func meter(of number: UInt64) -> ConnectionMeter {
    meters.withLock { meters in
      if let known = meters[number] { return known }
      let meter = ConnectionMeter()
      meters[number] = meter
      return meter
    }
  }

  func remove(_ number: UInt64) {
    meters.withLock { $0.removeValue(forKey: number) }?.end()
  }
}

/// What the kernel tells of a socket of the library's, and what may be done to it behind the library's back.
enum ConnectionDescriptor {
  private static let numberOption: Int32 = 57  // SO_COOKIE, which glibc's headers name only in part
  /// Where `bytes_received` is in Linux's `tcp_info`, which is longer than glibc's.
  private static let receivedOffset = 128

  /// A number that no other socket of this machine had or will have; nil where the descriptor is no socket's.
  static func number(of descriptor: Int32) -> UInt64? {
    var number: UInt64 = 0
    var length = socklen_t(MemoryLayout<UInt64>.size)
    return getsockopt(descriptor, SOL_SOCKET, numberOption, &number, &length) == 0 ? number : nil
  }

  /// Bytes that the process has read from a connection so far; nil where the kernel does not tell.
  static func bytesRead(of descriptor: Int32) -> UInt64? {
    var info = [UInt8](repeating: 0, count: 256)
    var length = socklen_t(info.count)
    guard getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) == 0,
      Int(length) >= receivedOffset + 8
    else { return nil }
    var unread: Int32 = 0
    guard ioctl(descriptor, UInt(FIONREAD), &unread) == 0 else { return nil }
    let received = info.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: receivedOffset, as: UInt64.self) }
    return received > UInt64(unread) ? received - UInt64(unread) : 0
  }

  /// Ends the connection of a number, where it still has the descriptor: the library sees it end.
  static func cut(_ descriptor: Int32, number: UInt64) {
    let own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    // Where no descriptor is left, the one that is there is next to certainly the connection's.
    let target = own >= 0 ? own : descriptor
    if self.number(of: target) == number { shutdown(target, Int32(SHUT_RDWR)) }
    if own >= 0 { close(own) }
  }
}

import CZeroMQ
import Glibc
import Synchronization

/// A thread of a context's own that says who may connect (ZAP), and counts who was refused.
///
/// Hubs hold it, so that it outlives their sockets: libzmq waits for whoever reads a socket's events.
final class ConnectionGuard: Sendable {
  /// Counts of refused connections.
  let counter = ConnectionCounter()
  /// What connections to its listeners deliver.
  let meters = ConnectionMeters()
  private let shared: SharedState
  private let thread: pthread_t

  /// Begins to answer. No socket of the context may listen yet.
  init(_ context: ZeroMQContext, _ security: TransportSecurity) throws(TransportError) {
    shared = SharedState(event: try EventDescriptor())
    let socket = try ZeroMQSocket(context, type: ZMQ_REP)
    do throws(ZeroMQ.Failure) {
      try socket.bind("inproc://zeromq.zap.01")
    } catch {
      throw error.during("take the place of the ZAP handler")
    }
    let loop = Unmanaged.passRetained(GuardLoop(socket, security, shared, counter, meters))
    var thread = pthread_t()
    let code = pthread_create(&thread, nil, ConnectionGuard.main, loop.toOpaque())
    guard code == 0 else {
      loop.release()
      throw .system("start a thread", String(cString: strerror(code)))
    }
    self.thread = thread
  }

  deinit {
    shared.stop()
    pthread_join(thread, nil)
  }

  private static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
    // Signals are for the threads that wait for them.
    var signals = sigset_t()
    sigfillset(&signals)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    if let argument { Unmanaged<GuardLoop>.fromOpaque(argument).takeRetainedValue().run() }
    return nil
  }

  /// Counts what a listening socket refuses, and cuts off who sends without end. The socket does not listen yet.
  func watchListener(_ socket: ZeroMQSocket, _ pulse: HubPulse) throws(TransportError) {
    let events =
      ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_LISTENING
      | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED
    shared.add(.init(socket: try socket.makeMonitor(events | ZMQ_EVENT_MONITOR_STOPPED), watch: nil, pulse: pulse))
  }

  /// Keeps track of what becomes of a socket's connection, for the hub of this event. The socket is not connected yet.
  func watchConnection(
    _ socket: ZeroMQSocket, waking hubEvent: EventDescriptor, _ pulse: HubPulse
  ) throws(TransportError) -> ConnectionWatch {
    let watch = ConnectionWatch(waking: hubEvent)
    let monitor = try socket.makeMonitor(ConnectionWatch.events | ZMQ_EVENT_MONITOR_STOPPED)
    shared.add(.init(socket: monitor, watch: watch, pulse: pulse))
    return watch
  }
}

/// What hubs' threads leave for the guard's.
private final class SharedState: Sendable {
  /// A socket that changes threads, which libzmq allows when a lock lies between. Unchecked: only the guard's thread
  /// uses it once it was left.
  struct Monitor: @unchecked Sendable {
    let socket: ZeroMQSocket
    /// Who is told of the events; nil where they are counted as a listener's.
    let watch: ConnectionWatch?
    /// The hub whose socket it is.
    let pulse: HubPulse
  }

  private struct State {
    var new: [Monitor] = []
    var isStopped = false
  }

  let event: EventDescriptor
  private let state = Mutex(State())

  init(event: EventDescriptor) {
    self.event = event
  }

  func add(_ monitor: Monitor) {
    state.withLock { $0.new.append(monitor) }
    event.signal()
  }

  func stop() {
    state.withLock { $0.isStopped = true }
    event.signal()
  }

  /// The monitors that came since the last time; nil at the end.
  func take() -> [Monitor]? {
    state.withLock { state in
      defer { state.new = [] }
      return state.isStopped ? nil : state.new
    }
  }
}

/// The loop of the guard's thread.
private final class GuardLoop {
  private let handler: ZeroMQSocket
  private let security: TransportSecurity
  private let shared: SharedState
  private let counter: ConnectionCounter
  private let meters: ConnectionMeters
  private var monitored: [Monitored] = []
  private var reserve = DescriptorReserve()

  /// A socket, and its connections.
  private final class Monitored {
    let monitor: SharedState.Monitor
    var connections = ConnectionTable()
    /// Where it listens.
    var listener: (descriptor: Int32, number: UInt64)?

    init(_ monitor: SharedState.Monitor) { self.monitor = monitor }
  }

  init(
    _ handler: ZeroMQSocket, _ security: TransportSecurity, _ shared: SharedState, _ counter: ConnectionCounter,
    _ meters: ConnectionMeters
  ) {
    self.meters = meters
    self.handler = handler
    self.security = security
    self.shared = shared
    self.counter = counter
  }

  func run() {
    defer { reserve.close() }
    while true {
      _ = shared.event.take()
      guard let new = shared.take() else { return }
      monitored += new.map(Monitored.init)
      while answerRequest() {}
      monitored.removeAll { each in
        while let event = Self.event(of: each.monitor.socket) {
          if event.kind == ZMQ_EVENT_MONITOR_STOPPED { return true }
          note(event, each)
        }
        return false
      }
      let excessive = monitored.reduce(0) { $0 + $1.connections.cutExcessive($1.monitor.pulse) }
      if excessive > 0 { counter.update { $0.excessive += excessive } }
      wait()
    }
  }

  /// Milliseconds between two looks at what connections have sent.
  private static let lookMilliseconds = 20

  private func wait() {
    var items = [zmq_pollitem_t(socket: nil, fd: shared.event.descriptor, events: Int16(ZMQ_POLLIN), revents: 0)]
    items += ([handler] + monitored.map(\.monitor.socket)).map {
      zmq_pollitem_t(socket: $0.handle, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0)
    }
    do throws(ZeroMQ.Failure) {
      let isIdle = monitored.allSatisfy { $0.connections.isEmpty }
      try ZeroMQ.poll(&items, milliseconds: isIdle ? -1 : Self.lookMilliseconds)
    } catch {
      // The sockets are the loop's own and open: who may connect must not depend on a failure that cannot be.
      preconditionFailure("the connection guard cannot wait: \(error.text)")
    }
  }

  // MARK: Who may connect

  /// Answers one request; false when none waits.
  private func answerRequest() -> Bool {
    guard let parts = Self.message(of: handler) else { return false }
    let request = ZAPRequest(parts)
    let userID = request.key.flatMap { security.userID(of: $0) }
    if userID == nil {
      counter.update { counts in
        counts.unknownKey += 1
        counts.lastUnknown = "\(request.address) with \(request.key?.description ?? "no key")"
      }
    }
    // Who asked may be gone by now, which is no harm.
    _ = handler.send(routing: nil, request.answer(userID))
    return true
  }

  // MARK: What was refused before

  private static func event(of monitor: ZeroMQSocket) -> (kind: Int32, value: UInt32)? {
    guard let first = message(of: monitor)?.first else { return nil }
    guard first.count >= 6 else { return (0, 0) }
    return first.withUnsafeBytes { bytes in
      (Int32(bytes.loadUnaligned(as: UInt16.self)), bytes.loadUnaligned(fromByteOffset: 2, as: UInt32.self))
    }
  }

  private func note(_ event: (kind: Int32, value: UInt32), _ each: Monitored) {
    let descriptor = Int32(bitPattern: event.value)
    switch event.kind {
    case ZMQ_EVENT_LISTENING:
      each.listener = ConnectionDescriptor.number(of: descriptor).map { (descriptor, $0) }
      return
    case ZMQ_EVENT_ACCEPTED: return each.connections.add(descriptor, meters)
    case ZMQ_EVENT_ACCEPT_FAILED:
      guard let listener = each.listener, [EMFILE, ENFILE].contains(descriptor) else { return }
      each.connections.cutSomeSilent()
      return reserve.turnAway(at: listener.descriptor, number: listener.number)
    case ZMQ_EVENT_CONNECTED:
      if let watch = each.monitor.watch { each.connections.add(descriptor, meter: watch.meter) }
    case ZMQ_EVENT_DISCONNECTED: each.connections.remove(descriptor, meters)
    default: break
    }
    if let watch = each.monitor.watch {
      watch.note(event.kind, event.value)
    } else if event.kind != ZMQ_EVENT_DISCONNECTED {
      count(event)
    }
  }

  /// Counts an event of a listener.
  private func count(_ event: (kind: Int32, value: UInt32)) {
    counter.update { counts in
      switch (event.kind, Int32(bitPattern: event.value)) {
      case (ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH):
        counts.otherMechanism += 1
      case (ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC): counts.wrongListenerKey += 1
      default: counts.unproven += 1
      }
    }
  }

  /// A whole message's frames, without waiting; nil when there is none.
  private static func message(of socket: ZeroMQSocket) -> [[UInt8]]? {
    var parts: [[UInt8]] = []
    while let (part, hasMore) = try? socket.receivePart() {
      parts.append([UInt8](part.bytes))
      if !hasMore { return parts }
    }
    return nil
  }
}

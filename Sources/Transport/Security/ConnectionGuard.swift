import CZeroMQ
import Glibc
import Synchronization

/// A thread of a context's own that says who may connect (ZAP), and counts who was refused.
///
/// Hubs hold it, so that it outlives their sockets: libzmq waits for whoever reads a socket's events.
final class ConnectionGuard: Sendable {
  /// Counts of refused connections.
  let counter = ConnectionCounter()
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
    let loop = Unmanaged.passRetained(GuardLoop(socket, security, shared, counter))
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

  /// Counts what a listening socket refuses. The socket does not listen yet.
  func watchListener(_ socket: ZeroMQSocket) throws(TransportError) {
    let events = ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
    shared.add(.init(socket: try socket.makeMonitor(events | ZMQ_EVENT_MONITOR_STOPPED), watch: nil))
  }

  /// Keeps track of what becomes of a socket's connection, for the hub of this event. The socket is not connected yet.
  func watchConnection(
    _ socket: ZeroMQSocket, waking hubEvent: EventDescriptor
  ) throws(TransportError) -> ConnectionWatch {
    let watch = ConnectionWatch(waking: hubEvent)
    let monitor = try socket.makeMonitor(ConnectionWatch.events | ZMQ_EVENT_MONITOR_STOPPED)
    shared.add(.init(socket: monitor, watch: watch))
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
  private var monitors: [SharedState.Monitor] = []

  init(_ handler: ZeroMQSocket, _ security: TransportSecurity, _ shared: SharedState, _ counter: ConnectionCounter) {
    self.handler = handler
    self.security = security
    self.shared = shared
    self.counter = counter
  }

  func run() {
    while true {
      _ = shared.event.take()
      guard let new = shared.take() else { return }
      monitors += new
      while answerRequest() {}
      monitors.removeAll { monitor in
        while let event = Self.event(of: monitor.socket) {
          if event.kind == ZMQ_EVENT_MONITOR_STOPPED { return true }
          if let watch = monitor.watch { watch.note(event.kind, event.value) } else { count(event) }
        }
        return false
      }
      wait()
    }
  }

  private func wait() {
    var items = [zmq_pollitem_t(socket: nil, fd: shared.event.descriptor, events: Int16(ZMQ_POLLIN), revents: 0)]
    items += ([handler] + monitors.map(\.socket)).map {
      zmq_pollitem_t(socket: $0.handle, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0)
    }
    do throws(ZeroMQ.Failure) {
      try ZeroMQ.poll(&items, milliseconds: -1)
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

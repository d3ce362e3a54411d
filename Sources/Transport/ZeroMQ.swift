import CZeroMQ
import Glibc
import Synchronization

/// The one door to libzmq: each call's return is checked here, and errno taken before anything else runs.
enum ZeroMQ {
  /// The option that refuses peers where a ZAP handler is missing. The header names it for drafts only; the library
  /// has it since 4.3.
  static let zapEnforceDomain: Int32 = 93

  /// A failed call.
  struct Failure: Error {
    let code: Int32

    var text: String { String(cString: zmq_strerror(code)) }

    func during(_ action: String) -> TransportError { .system(action, text) }
  }

  /// Calls again while a signal interrupts, and throws what else is wrong.
  @discardableResult
  static func call(_ body: () -> Int32) throws(Failure) -> Int32 {
    while true {
      let result = body()
      if result >= 0 { return result }
      let code = zmq_errno()
      if code != EINTR { throw Failure(code: code) }
    }
  }

  /// Waits for the sockets and descriptors. A signal ends the wait early: the caller looks at its clock.
  static func poll(_ items: inout [zmq_pollitem_t], milliseconds: Int) throws(Failure) {
    if zmq_poll(&items, Int32(items.count), milliseconds) >= 0 { return }
    let code = zmq_errno()
    if code != EINTR { throw Failure(code: code) }
  }

  /// The library's version, as in `4.3.4`.
  static var version: String {
    var major: Int32 = 0
    var minor: Int32 = 0
    var patch: Int32 = 0
    zmq_version(&major, &minor, &patch)
    return "\(major).\(minor).\(patch)"
  }

  /// A new key, as Z85 text.
  static func makeCurveKeys() throws(TransportError) -> (publicText: String, secretText: String) {
    var publicText = [CChar](repeating: 0, count: CurvePublicKey.textLength + 1)
    var secretText = publicText
    do throws(Failure) {
      try call { zmq_curve_keypair(&publicText, &secretText) }
    } catch {
      throw error.code == ENOTSUP
        ? .system("make a key", "libzmq \(version) was built without CURVE") : error.during("make a key")
    }
    return (text(of: publicText), text(of: secretText))
  }

  /// The public half of a secret key, both as Z85 text, or nil.
  static func curvePublicText(ofSecret secret: String) -> String? {
    var publicText = [CChar](repeating: 0, count: CurvePublicKey.textLength + 1)
    guard zmq_curve_public(&publicText, secret) == 0 else { return nil }
    return text(of: publicText)
  }

  fileprivate static func text(of buffer: [CChar]) -> String {
    String(decoding: buffer.prefix(while: { $0 != 0 }).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

/// The library's state: its I/O threads. Sockets of one context reach each other over `inproc`.
final class ZeroMQContext: @unchecked Sendable {
  // Unchecked: libzmq's context may be used by any thread.
  let handle: UnsafeMutableRawPointer
  private let names = Atomic<UInt64>(0)

  init() {
    guard let context = zmq_ctx_new() else { preconditionFailure("libzmq has no memory for a context") }
    handle = context
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 65_535)
    zmq_ctx_set(context, ZMQ_BLOCKY, 0)
  }

  /// A number that no other socket's name within the context has.
  func nextNumber() -> UInt64 {
    names.wrappingAdd(1, ordering: .relaxed).newValue
  }

  deinit {
    // Every socket holds the context, so none is open by now.
    while zmq_ctx_term(handle) != 0 && zmq_errno() == EINTR {}
  }
}

/// A message of the library's, closed when the last frame that reads it goes.
package final class ZeroMQMessage {
  fileprivate let storage: UnsafeMutablePointer<zmq_msg_t>

  init() {
    storage = .allocate(capacity: 1)
    zmq_msg_init(storage)
  }

  deinit {
    zmq_msg_close(storage)
    storage.deallocate()
  }

  var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: zmq_msg_data(storage), count: zmq_msg_size(storage))
  }

  /// The descriptor of the connection that it came by, which may be another's by now; negative where that is none of tcp.
  var descriptor: Int32 { zmq_msg_get(storage, ZMQ_SRCFD) }

  /// What the ZAP handler called the sender. On a socket without one the sender may have put anything there.
  var userID: String? { zmq_msg_gets(storage, "User-Id").map { String(cString: $0) } }
}

/// A socket of the library's. Used by one thread; closed with its owner.
final class ZeroMQSocket {
  let handle: UnsafeMutableRawPointer
  private let context: ZeroMQContext
  private var isClosed = false
  private var isMonitored = false

  /// Frames shorter than this are copied: that is cheaper than to keep count of their owner.
  private static let copiedBytes = 256

  init(_ context: ZeroMQContext, type: Int32) throws(TransportError) {
    guard let socket = zmq_socket(context.handle, type) else {
      throw ZeroMQ.Failure(code: zmq_errno()).during("open a socket")
    }
    self.context = context
    handle = socket
  }

  deinit {
    close(lingerMilliseconds: 0)
  }

  /// Closes the socket. The library goes on sending in the background for at most so many milliseconds.
  ///
  /// - Parameter address: where the socket listens; it is free once this returns.
  func close(lingerMilliseconds: Int, listeningAt address: String? = nil) {
    guard !isClosed else { return }
    isClosed = true
    if isMonitored { zmq_socket_monitor(handle, nil, 0) }
    var linger = Int32(clamping: max(lingerMilliseconds, Self.leastLinger))
    zmq_setsockopt(handle, ZMQ_LINGER, &linger, MemoryLayout<Int32>.size)
    // Within a process that is all, and nothing tells of it; elsewhere it would cut off what lingers.
    let isInproc = address?.hasPrefix("inproc:") == true
    if isInproc { zmq_unbind(handle, address) }
    let monitor = address == nil || isInproc ? nil : closingMonitor()
    zmq_close(handle)
    guard let monitor else { return }
    var items = [zmq_pollitem_t(socket: monitor, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0)]
    try? ZeroMQ.poll(&items, milliseconds: 1000)
    zmq_close(monitor)
  }

  /// Milliseconds that closing lingers at least. libzmq 4.3.4 ends the process when a connection breaks in the middle
  /// of a message of several frames while its socket is being closed without lingering.
  private static let leastLinger = 100

  /// A socket that becomes readable when the listener of this one is closed: the library does so in the background.
  private func closingMonitor() -> UnsafeMutableRawPointer? {
    let name = "inproc://convoy.closing.\(context.nextNumber())"
    guard zmq_socket_monitor(handle, name, Int32(ZMQ_EVENT_CLOSED)) == 0,
      let monitor = zmq_socket(context.handle, ZMQ_PAIR)
    else { return nil }
    guard zmq_connect(monitor, name) == 0 else {
      zmq_close(monitor)
      return nil
    }
    return monitor
  }

  func set(_ option: Int32, _ value: Int32) throws(TransportError) {
    var value = value
    try check("set option \(option)") { zmq_setsockopt(handle, option, &value, MemoryLayout<Int32>.size) }
  }

  func set(_ option: Int32, long value: Int64) throws(TransportError) {
    var value = value
    try check("set option \(option)") { zmq_setsockopt(handle, option, &value, MemoryLayout<Int64>.size) }
  }

  func set(_ option: Int32, bytes: [UInt8]) throws(TransportError) {
    try check("set option \(option)") { zmq_setsockopt(handle, option, bytes, bytes.count) }
  }

  /// A socket that tells of these events of this one, for another thread. Whoever takes it reads until it is told that
  /// the monitor stopped, which closing this socket sees to: libzmq's own thread waits for a reader.
  func makeMonitor(_ events: Int32) throws(TransportError) -> ZeroMQSocket {
    precondition(!isMonitored, "a socket has one monitor")
    let name = "inproc://convoy.events.\(context.nextNumber())"
    let monitor = try ZeroMQSocket(context, type: ZMQ_PAIR)
    try check("watch a socket") { zmq_socket_monitor(handle, name, events) }
    do throws(ZeroMQ.Failure) {
      try monitor.connect(name)
    } catch {
      zmq_socket_monitor(handle, nil, 0)
      throw error.during("watch a socket")
    }
    isMonitored = true
    return monitor
  }

  private func check(_ action: String, _ body: () -> Int32) throws(TransportError) {
    do throws(ZeroMQ.Failure) {
      try ZeroMQ.call(body)
    } catch {
      throw error.during(action)
    }
  }

  func bind(_ endpoint: String) throws(ZeroMQ.Failure) {
    try ZeroMQ.call { zmq_bind(handle, endpoint) }
  }

  func connect(_ endpoint: String) throws(ZeroMQ.Failure) {
    try ZeroMQ.call { zmq_connect(handle, endpoint) }
  }

  /// The endpoint that was bound last, with its port.
  func boundEndpoint() throws(TransportError) -> String {
    var buffer = [CChar](repeating: 0, count: 512)
    var count = buffer.count
    try check("read the bound address") { zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, &buffer, &count) }
    return ZeroMQ.text(of: buffer)
  }

  /// Sends a message of one frame, without waiting; nil when it went, the reason otherwise.
  func send(
    routing: [UInt8]?, count: Int, filledBy fill: (UnsafeMutableRawBufferPointer) -> Void
  ) -> ZeroMQ.Failure? {
    if let failure = sendRouting(routing) { return failure }
    var message = zmq_msg_t()
    precondition(zmq_msg_init_size(&message, count) == 0, "libzmq has no memory for a message")
    fill(UnsafeMutableRawBufferPointer(start: zmq_msg_data(&message), count: count))
    return send(&message, flags: 0)
  }

  private func sendRouting(_ routing: [UInt8]?) -> ZeroMQ.Failure? {
    guard let routing else { return nil }
    var message = zmq_msg_t()
    routing.withUnsafeBytes { Self.fill(&message, copying: $0) }
    return send(&message, flags: ZMQ_SNDMORE)
  }

  /// Ends the connection of a peer of a ROUTER that gives ids itself.
  func end(routing: [UInt8]) {
    if sendRouting(routing) != nil { return }
    var message = zmq_msg_t()
    zmq_msg_init(&message)
    _ = send(&message, flags: 0)
  }

  /// Sends a message whole or not at all, without waiting; nil when it went, the reason otherwise.
  func send(routing: [UInt8]?, _ frames: [Frame]) -> ZeroMQ.Failure? {
    if let failure = sendRouting(routing) { return failure }
    var failure: ZeroMQ.Failure?
    for (index, frame) in frames.enumerated() {
      var message = zmq_msg_t()
      Self.fill(&message, with: frame)
      if let partFailure = send(&message, flags: index + 1 < frames.count ? ZMQ_SNDMORE : 0) {
        if index == 0 && routing == nil { return partFailure }
        // Room for a first part is room for all, so the connection ended in between. The library drops the message,
        // and has to be handed its other parts to know where the next message begins.
        failure = failure ?? partFailure
      }
    }
    return failure
  }

  private func send(_ message: inout zmq_msg_t, flags: Int32) -> ZeroMQ.Failure? {
    do throws(ZeroMQ.Failure) {
      try ZeroMQ.call { zmq_msg_send(&message, handle, flags | ZMQ_DONTWAIT) }
      return nil
    } catch {
      zmq_msg_close(&message)
      return error
    }
  }

  private static func fill(_ message: inout zmq_msg_t, copying bytes: UnsafeRawBufferPointer) {
    precondition(zmq_msg_init_size(&message, bytes.count) == 0, "libzmq has no memory for a message")
    if let base = bytes.baseAddress { memcpy(zmq_msg_data(&message), base, bytes.count) }
  }

  private static func fill(_ message: inout zmq_msg_t, with frame: Frame) {
    frame.withBytes { bytes in
      guard bytes.count >= copiedBytes, let base = bytes.baseAddress else {
        return fill(&message, copying: bytes)
      }
      // The library gives the frame back from one of its threads when the last byte left.
      let retained = Unmanaged.passRetained(frame).toOpaque()
      let result = zmq_msg_init_data(
        &message, UnsafeMutableRawPointer(mutating: base), bytes.count,
        { _, frame in if let frame { Unmanaged<Frame>.fromOpaque(frame).release() } }, retained)
      precondition(result == 0, "libzmq has no memory for a message")
    }
  }

  /// One part of a message, without waiting; nil when there is none.
  func receivePart() throws(TransportError) -> (message: ZeroMQMessage, hasMore: Bool)? {
    let message = ZeroMQMessage()
    do throws(ZeroMQ.Failure) {
      try ZeroMQ.call { zmq_msg_recv(message.storage, handle, ZMQ_DONTWAIT) }
    } catch {
      if error.code == EAGAIN { return nil }
      throw error.during("receive a message")
    }
    return (message, zmq_msg_more(message.storage) != 0)
  }
}

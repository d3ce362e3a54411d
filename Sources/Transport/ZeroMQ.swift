import CZeroMQ
import Glibc

/// The one door to libzmq: each call's return is checked here, and errno taken before anything else runs.
enum ZeroMQ {
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

  /// The library's version, as in `4.3.4`.
  static var version: String {
    var major: Int32 = 0
    var minor: Int32 = 0
    var patch: Int32 = 0
    zmq_version(&major, &minor, &patch)
    return "\(major).\(minor).\(patch)"
  }
}

/// The library's state: its I/O threads. Sockets of one context reach each other over `inproc`.
final class ZeroMQContext: @unchecked Sendable {
  // Unchecked: libzmq's context may be used by any thread.
  let handle: UnsafeMutableRawPointer

  init() {
    guard let context = zmq_ctx_new() else { preconditionFailure("libzmq has no memory for a context") }
    handle = context
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 65_535)
    zmq_ctx_set(context, ZMQ_BLOCKY, 0)
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
}

/// A socket of the library's. Used by one thread; closed with its owner.
final class ZeroMQSocket {
  let handle: UnsafeMutableRawPointer
  private let context: ZeroMQContext
  private var isClosed = false

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

  func close(lingerMilliseconds: Int) {
    guard !isClosed else { return }
    isClosed = true
    var linger = Int32(lingerMilliseconds)
    zmq_setsockopt(handle, ZMQ_LINGER, &linger, MemoryLayout<Int32>.size)
    zmq_close(handle)
  }

  func set(_ option: Int32, _ value: Int32) throws(TransportError) {
    var value = value
    try check("set option \(option)") { zmq_setsockopt(handle, option, &value, MemoryLayout<Int32>.size) }
  }

  func set(_ option: Int32, long value: Int64) throws(TransportError) {
    var value = value
    try check("set option \(option)") { zmq_setsockopt(handle, option, &value, MemoryLayout<Int64>.size) }
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
    return String(decoding: buffer.prefix(while: { $0 != 0 }).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Sends a message whole or not at all, without waiting; nil when it went, the reason otherwise.
  func send(routing: [UInt8]?, _ frames: [Frame]) -> ZeroMQ.Failure? {
    var parts: [Frame?] = frames
    if routing != nil { parts.insert(nil, at: 0) }
    for (index, part) in parts.enumerated() {
      var message = zmq_msg_t()
      if let part { Self.fill(&message, with: part) } else { Self.fill(&message, with: routing ?? []) }
      let flags = ZMQ_DONTWAIT | (index + 1 < parts.count ? ZMQ_SNDMORE : 0)
      do throws(ZeroMQ.Failure) {
        try ZeroMQ.call { zmq_msg_send(&message, handle, flags) }
      } catch {
        zmq_msg_close(&message)
        // Only a first part can fail so: once a pipe took it, it takes the rest.
        return error
      }
    }
    return nil
  }

  private static func fill(_ message: inout zmq_msg_t, with bytes: [UInt8]) {
    zmq_msg_init_size(&message, bytes.count)
    bytes.withUnsafeBytes { if let base = $0.baseAddress { memcpy(zmq_msg_data(&message), base, bytes.count) } }
  }

  private static func fill(_ message: inout zmq_msg_t, with frame: Frame) {
    frame.withBytes { bytes in
      guard bytes.count >= copiedBytes, let base = bytes.baseAddress else {
        zmq_msg_init_size(&message, bytes.count)
        if let base = bytes.baseAddress { memcpy(zmq_msg_data(&message), base, bytes.count) }
        return
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

  /// Whether a message may be sent without waiting.
  func isWritable() throws(TransportError) -> Bool {
    var events: Int32 = 0
    var size = MemoryLayout<Int32>.size
    try check("read a socket's state") { zmq_getsockopt(handle, ZMQ_EVENTS, &events, &size) }
    return events & ZMQ_POLLOUT != 0
  }
}

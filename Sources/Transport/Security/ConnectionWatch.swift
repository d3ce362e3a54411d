import CZeroMQ
import Synchronization

/// What has become of a connection that a hub made with keys.
public struct ConnectionState: Hashable, Sendable {
  /// Whether it is there, and its listener has proved who it is.
  public var isConnected = false
  /// How often it was there and was lost.
  public var losses = 0
  /// Why it is not there, as far as is known: one line for a person. It is tried again meanwhile.
  public var problem: String?

  /// A connection that nothing is known of yet.
  public init() {}
}

/// The state of one connection: the guard's thread writes it, its hub reads it.
final class ConnectionWatch: Sendable {
  static let events =
    ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
    | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED

  private let stored = Mutex(ConnectionState())

  var state: ConnectionState { stored.withLock { $0 } }

  /// Takes an event of the connection's socket.
  func note(_ kind: Int32, _ value: UInt32) {
    stored.withLock { state in
      switch kind {
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        state.isConnected = true
        state.problem = nil
      case ZMQ_EVENT_DISCONNECTED:
        // One that was refused ends too: why is known by then.
        guard state.isConnected else { return }
        state.isConnected = false
        state.losses += 1
        state.problem = "the connection was lost"
      case ZMQ_EVENT_CLOSED: state.problem = "nobody answers there"
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: state.problem = "it does not know this process's key"
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        state.problem =
          Int32(bitPattern: value) == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
          ? "it uses no keys" : "what it says is not as the protocol has it"
      default: state.problem = "it has another key than the one that was named, or broke off"
      }
    }
  }
}

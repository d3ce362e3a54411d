import CZeroMQ
import Synchronization

/// What has become of a connection that a hub made with keys.
public struct ConnectionState: Hashable, Sendable {
  /// Whether it is there, and its listener has proved who it is.
  public var isConnected = false
  /// How often it was there and was lost.
  public var losses = 0
  /// Why it is not there, as far as is known: one line for a person.
  public var problem: String?
  /// Whether the listener, which has proved who it is, refused it for good, so that it is not tried again: the two would
  /// have to change their keys. Connecting anew to the same address makes a new try.
  public var isOver = false

  /// A connection that nothing is known of yet.
  public init() {}
}

/// The state of one connection: the guard's thread writes it, its hub reads it and is woken when the connection is over.
final class ConnectionWatch: Sendable {
  static let events =
    ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
    | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED

  private struct Stored {
    var state = ConnectionState()
    var isGivenUp = false
  }

  /// What its connection delivers.
  let meter = ConnectionMeter()
  private let stored = Mutex(Stored())
  private let hubEvent: EventDescriptor

  init(waking hubEvent: EventDescriptor) {
    self.hubEvent = hubEvent
  }

  var state: ConnectionState { stored.withLock { $0.state } }

  /// Whether libzmq has given the connection up because of what somebody said who has proved nothing: whoever is at its
  /// address now may not be who was named, and leave again.
  var isGivenUp: Bool { stored.withLock { $0.isGivenUp } }

  /// Takes an event of the connection's socket.
  func note(_ kind: Int32, _ value: UInt32) {
    let wakes = stored.withLock { stored in
      Self.change(&stored.state, kind, value)
      if kind == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL { stored.isGivenUp = true }
      return stored.state.isOver || stored.isGivenUp
    }
    if wakes { hubEvent.signal() }
  }

  private static func change(_ state: inout ConnectionState, _ kind: Int32, _ value: UInt32) {
    switch kind {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      state.isConnected = true
      state.problem = nil
    case ZMQ_EVENT_DISCONNECTED:
      // One that was refused ends too: why is known by then.
      guard state.isConnected else { break }
      state.isConnected = false
      state.losses += 1
      state.problem = "the connection was lost"
    case ZMQ_EVENT_CLOSED: state.problem = "nobody answers there"
    case ZMQ_EVENT_CONNECTED: break
    // libzmq gives up a connection whose listener says that it is wrong.
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      state.problem = "it does not know this process's key"
      state.isOver = true
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      state.problem =
        Int32(bitPattern: value) == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
        ? "it uses no keys" : "what it says is not as the protocol has it"
    default: state.problem = "it has another key than the one that was named, or broke off"
    }
  }
}

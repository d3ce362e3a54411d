/// Bytes over ZeroMQ: ROUTER where a hub listens, one DEALER for each connection, over tcp, ipc and inproc.
///
/// A connection over tcp or ipc is made anew when it is lost; one over inproc is not. A message that never ends is
/// held by the library until it does: only peers that are trusted so far may connect.
public final class ZeroMQTransport: Transport {
  private let context = ZeroMQContext()

  /// A transport with I/O threads of its own. Hubs of one transport reach each other over `inproc`.
  public init() {}

  /// The library's version, as in `4.3.4`.
  public static var libraryVersion: String { ZeroMQ.version }

  /// A hub for one thread.
  public func makeHub(_ limits: HubLimits) throws(TransportError) -> any Hub {
    try ZeroMQHub(context, limits)
  }
}

/// Bytes over ZeroMQ: ROUTER where a hub listens, one DEALER for each connection, over tcp, ipc and inproc.
///
/// A connection over tcp or ipc is made anew when it is lost; one over inproc is not.
public final class ZeroMQTransport: Transport {
  private let core: ZeroMQCore

  /// A transport without keys, with I/O threads of its own: for ipc and inproc. Hubs of one transport reach each other
  /// over `inproc`.
  public init() {
    core = ZeroMQCore(context: ZeroMQContext(), protection: nil)
  }

  /// A transport whose connections over tcp are encrypted with CURVE, and between those who hold the keys only. It has
  /// one thread more, which answers who may connect. Fails where libzmq was built without CURVE, or has no room for
  /// more sockets or threads.
  public init(security: TransportSecurity) throws(TransportError) {
    let context = ZeroMQContext()
    let connectionGuard = try ConnectionGuard(context, security)
    core = ZeroMQCore(context: context, protection: .init(security: security, connectionGuard: connectionGuard))
  }

  /// The library's version, as in `4.3.4`.
  public static var libraryVersion: String { ZeroMQ.version }

  /// A hub for one thread.
  public func makeHub(_ limits: HubLimits) throws(TransportError) -> any Hub {
    try ZeroMQHub(core, limits)
  }

  /// How many connections were refused so far.
  public var refusedConnections: RefusedConnections {
    core.protection?.connectionGuard.counter.counts ?? RefusedConnections()
  }

  /// Waits until the refused connections are as asked for, for at most so many milliseconds (a negative number waits
  /// for ever); returns what they are then. Returns at once where the transport has no keys.
  package func waitForRefusedConnections(
    timeoutMilliseconds: Int, until isReached: (RefusedConnections) -> Bool
  ) throws(TransportError) -> RefusedConnections {
    guard let counter = core.protection?.connectionGuard.counter else { return RefusedConnections() }
    return try counter.wait(milliseconds: timeoutMilliseconds, until: isReached)
  }
}

/// What the hubs of a transport share.
struct ZeroMQCore: Sendable {
  /// Keys, and the thread that holds peers to them.
  struct Protection: Sendable {
    let security: TransportSecurity
    let connectionGuard: ConnectionGuard
  }

  let context: ZeroMQContext
  let protection: Protection?
}

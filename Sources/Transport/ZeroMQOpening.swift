import CZeroMQ
import Glibc

/// Opens the sockets of one hub, with the options that all of ours have.
struct ZeroMQOpening {
  let core: ZeroMQCore
  let limits: HubLimits
  /// What wakes the hub.
  let wakeEvent: EventDescriptor
  /// What the hub tells the guard.
  let pulse: HubPulse

  /// Bytes that CURVE adds to a frame, and some more: a handshake's longest command has some 300 in all.
  private static let curveBytes = 64

  /// A ROUTER that listens, and where: with the port that it got.
  func listener(at address: Address) throws(TransportError) -> (socket: ZeroMQSocket, bound: Address) {
    try Self.prepare(address)
    let numeric = try address.resolved()
    let socket = try ZeroMQSocket(core.context, type: ZMQ_ROUTER)
    try configure(socket, numeric)
    try socket.set(ZMQ_ROUTER_MANDATORY, 1)
    // A whole cluster may connect at once.
    try socket.set(ZMQ_BACKLOG, 1024)
    // The modes of folders and files may let others in; the kernel knows who they are.
    if case .ipc = address { try socket.set(ZMQ_IPC_FILTER_UID, Int32(bitPattern: geteuid())) }
    if let protection = try protection(of: address) {
      try socket.set(ZMQ_CURVE_SERVER, 1)
      try socket.set(ZMQ_CURVE_SECRETKEY, bytes: protection.security.keys.secretBytes)
      try socket.set(ZMQ_ZAP_DOMAIN, bytes: Array(ZAPRequest.domain.utf8))
      // Without a handler nobody is let in, instead of everybody.
      try socket.set(ZeroMQ.zapEnforceDomain, 1)
      try protection.connectionGuard.watchListener(socket, pulse)
    }
    do throws(ZeroMQ.Failure) {
      try socket.bind(numeric.description)
    } catch {
      switch error.code {
      case EADDRINUSE: throw .addressInUse(address)
      case EADDRNOTAVAIL, ENODEV: throw .unusableAddress(address, "this machine has \(Interfaces.summary)")
      default: throw .unusableAddress(address, error.text)
      }
    }
    guard address.isTCP else { return (socket, address) }
    // From here on the socket gives every peer an id of its own making. Those that peers state collide with the ids that
    // it gives to others, and libzmq 4.3 ends the process for it. The listener was made before, and speaks ZMTP.
    try socket.set(ZMQ_ROUTER_RAW, 1)
    return (socket, try Address(parsing: socket.boundEndpoint()))
  }

  /// A DEALER that connects, and with keys who must be at the other end.
  func connection(
    to address: Address, expecting name: String?
  ) throws(TransportError) -> (socket: ZeroMQSocket, listener: PeerIdentity?, watch: ConnectionWatch?) {
    let numeric = try address.resolved()
    let socket = try ZeroMQSocket(core.context, type: ZMQ_DEALER)
    try configure(socket, numeric)
    // Nothing is queued for who is not there: a connection that is lost loses what was queued, so the queue for an
    // absent peer is ours.
    try socket.set(ZMQ_IMMEDIATE, 1)
    var listener: PeerIdentity?
    var watch: ConnectionWatch?
    if let protection = try protection(of: address) {
      listener = try Self.protect(socket, protection.security, to: address, expecting: name)
      watch = try protection.connectionGuard.watchConnection(socket, waking: wakeEvent, pulse)
    }
    do throws(ZeroMQ.Failure) {
      // By name, so that a host that comes back with another number is found; the key says whether it is the same.
      try socket.connect(watch == nil ? numeric.description : address.description)
    } catch {
      throw .unusableAddress(address, error.text)
    }
    return (socket, listener, watch)
  }

  private static func protect(
    _ socket: ZeroMQSocket, _ security: TransportSecurity, to address: Address, expecting name: String?
  ) throws(TransportError) -> PeerIdentity? {
    let (key, identity) = try security.listener(name, at: address)
    try socket.set(ZMQ_CURVE_SERVERKEY, bytes: key.bytes)
    try socket.set(ZMQ_CURVE_PUBLICKEY, bytes: security.keys.publicKey.bytes)
    try socket.set(ZMQ_CURVE_SECRETKEY, bytes: security.keys.secretBytes)
    return identity
  }

  /// The keys for an address. Over tcp there is no connection without: a stranger's identity or frames end libzmq 4.3,
  /// and whoever has taken a listener's place reads what is said to it. What stays on this machine by other means needs
  /// none.
  private func protection(of address: Address) throws(TransportError) -> ZeroMQCore.Protection? {
    guard address.isTCP else { return nil }
    guard let protection = core.protection else { throw .unprotected(address) }
    return protection
  }

  private func configure(_ socket: ZeroMQSocket, _ address: Address) throws(TransportError) {
    let queued = Int32(clamping: limits.maximumQueuedMessages)
    if address.isTCP {
      try socket.set(ZMQ_SNDHWM, Int32(clamping: Int(queued) * Pieces.perMessage))
      // Without end for the library; the guard looks at what waits.
      try socket.set(ZMQ_RCVHWM, 0)
      // Of a handshake's commands too: whoever sends them has proved nothing yet.
      try socket.set(ZMQ_MAXMSGSIZE, long: Int64(Pieces.maximumBytes + Self.curveBytes))
    } else {
      try socket.set(ZMQ_SNDHWM, queued)
      try socket.set(ZMQ_RCVHWM, queued)
      try socket.set(ZMQ_MAXMSGSIZE, long: Int64(limits.maximumFrameBytes))
    }
    try socket.set(ZMQ_LINGER, 0)
    // Only where it is asked for: a socket of both families states addresses of IPv4 in IPv6's form.
    if address.isIPv6 { try socket.set(ZMQ_IPV6, 1) }
    try watchForSilence(socket)
    try socket.set(ZMQ_HANDSHAKE_IVL, 5000)
    try socket.set(ZMQ_CONNECT_TIMEOUT, 5000)
    try socket.set(ZMQ_RECONNECT_IVL, 20)
    try socket.set(ZMQ_RECONNECT_IVL_MAX, 5000)
  }

  /// Has the kernel close a connection whose other side is gone without a word.
  ///
  /// ZMTP's own heartbeats would do so too, but libzmq (4.3.4 and 4.3.5) ends the process with `Assertion failed:
  /// !_io_error` where its timer for them fires after the peer has left a connection on which input waits: one that is
  /// being closed, or whose queue is full.
  private func watchForSilence(_ socket: ZeroMQSocket) throws(TransportError) {
    try socket.set(ZMQ_HEARTBEAT_IVL, 0)
    try socket.set(ZMQ_TCP_KEEPALIVE, 1)
    try socket.set(ZMQ_TCP_KEEPALIVE_IDLE, 2)  // seconds, as is the next
    try socket.set(ZMQ_TCP_KEEPALIVE_INTVL, 2)
    try socket.set(ZMQ_TCP_KEEPALIVE_CNT, 4)
    try socket.set(ZMQ_TCP_MAXRT, Int32(Self.silenceMilliseconds))
  }

  /// How long what was sent may stay without the other machine's acknowledgement.
  private static let silenceMilliseconds = 10_000

  /// libzmq takes over the socket file of whoever listens there: look whether somebody does.
  private static func prepare(_ address: Address) throws(TransportError) {
    guard case .ipc(let path) = address else { return }
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw .unusableAddress(address, "a file of another kind is there")
    }
    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard probe >= 0 else { throw .system("probe \(address)", String(cString: strerror(errno))) }
    defer { Glibc.close(probe) }
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
    let connected = withUnsafePointer(to: &name) { name in
      name.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    if connected == 0 { throw .addressInUse(address) }
  }
}

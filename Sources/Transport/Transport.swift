/// A way for bytes to travel between threads, processes or machines.
public protocol Transport: Sendable {
  /// A hub for one thread.
  func makeHub(_ limits: HubLimits) throws(TransportError) -> any Hub
  /// How many connections were refused so far, for want of a key that is known. Any thread may ask.
  var refusedConnections: RefusedConnections { get }
}

extension Transport {
  /// None: the transport has no keys.
  public var refusedConnections: RefusedConnections { RefusedConnections() }
}

/// What a hub takes from its peers at most.
public struct HubLimits: Hashable, Sendable {
  /// Bytes of a frame. A peer of another process that sends a longer one loses its connection, and with it what was
  /// under way; within a process the message is dropped and reported.
  public var maximumFrameBytes: Int
  /// Frames of a message. A longer message is dropped and reported.
  public var maximumFrames: Int
  /// Messages that wait for one peer, or from it; with ZeroMQ each side of a connection holds so many at most.
  public var maximumQueuedMessages: Int

  /// Limits as stated.
  ///
  /// - Precondition: each is at least 1.
  public init(maximumFrameBytes: Int, maximumFrames: Int, maximumQueuedMessages: Int) {
    precondition(
      maximumFrameBytes > 0 && maximumFrames > 0 && maximumQueuedMessages > 0,
      "limits of \(maximumFrameBytes) bytes, \(maximumFrames) frames, \(maximumQueuedMessages) messages")
    self.maximumFrameBytes = maximumFrameBytes
    self.maximumFrames = maximumFrames
    self.maximumQueuedMessages = maximumQueuedMessages
  }

  /// Why a message was refused.
  var tooManyFrames: String { "a message of more than \(maximumFrames) frames" }
  var tooLongFrame: String { "a frame of more than \(maximumFrameBytes) bytes" }
}

/// Whoever is at the other end: a number that one hub gives out.
public struct Peer: Hashable, Sendable {
  /// The number.
  public let rawValue: UInt64

  /// The peer of this number.
  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }
}

/// What became of a message that was to be sent.
public enum SendOutcome: Hashable, Sendable {
  /// It is on its way.
  case sent
  /// Nobody is there.
  case unreachable
  /// Too many wait for this peer already.
  case full
}

/// What a hub has for its thread.
public enum Received: Sendable {
  /// A message.
  case message(Peer, [Frame])
  /// A message that was dropped, and why.
  case refused(Peer?, String)
  /// Another thread woke this one.
  case woken
  /// Nothing came in time.
  case timeout
}

/// All sockets of one thread. Only the thread that uses it first may use it.
public protocol Hub: AnyObject {
  /// Takes messages at an address; returns it as bound, with its port. Looks up a host's name, and waits for the answer.
  func listen(on address: Address) throws(TransportError) -> Address
  /// Connects to an address. A message may be sent at once: up to `maximumQueuedMessages` wait in this hub until
  /// somebody listens there, and again while a connection that was lost is made anew. They leave while this hub is
  /// sending or receiving. A host's name is looked up at once, waiting for the answer, and with keys again for each try.
  ///
  /// - Parameter listener: the name of whoever must listen there, as in the allow-list. Where the transport has keys a
  ///   connection over tcp needs it, and comes about only with the holder of that name's key; elsewhere it is not
  ///   looked at.
  func connect(to address: Address, expecting listener: String?) throws(TransportError) -> Peer
  /// Who a peer has proved to be, by its key; nil where it has not: the transport has no keys, or the connection is not
  /// over tcp, or nothing has come from it yet. Of a connection that this hub made, who must be at its other end:
  /// nothing reaches anybody else, and nothing comes from anybody else.
  func identity(of peer: Peer) -> PeerIdentity?
  /// What has become of a connection that this hub made with keys, as of now; nil for any other. When one is over, the
  /// hub is woken.
  func state(of peer: Peer) -> ConnectionState?
  /// Lets go of a peer: its connection is closed, what waits for it or was not taken yet is dropped, and its number is
  /// nobody's any more. Over ipc and inproc one that connected to this hub stays connected, and is a new peer when it
  /// speaks again.
  func letGo(of peer: Peer)
  /// States how many bytes of a peer's messages may wait for this hub; over tcp a peer that lets more wait loses its
  /// connection.
  func limitWaiting(toBytes bytes: Int)
  /// Sends a message of at least one frame, whole or not at all, without waiting.
  ///
  /// - Returns: `full` where too many wait for this peer already. `unreachable` where the peer had connected to this
  ///   hub and is gone: its number is forgotten. One that this hub connected to is never unreachable, only full.
  ///   What was sent may still be lost with its connection.
  func send(_ frames: [Frame], to peer: Peer) throws(TransportError) -> SendOutcome
  /// Waits for a message for at most so many milliseconds; a negative number waits for ever.
  func receive(timeoutMilliseconds: Int) throws(TransportError) -> Received
  /// Wakes the thread that waits in `receive`.
  var waker: Waker { get }
  /// Closes the sockets, after waiting so long for what is still to be sent.
  func close(lingerMilliseconds: Int)
}

extension Hub {
  /// Connects to an address, whoever listens there: where the transport has no keys, or not over tcp.
  public func connect(to address: Address) throws(TransportError) -> Peer {
    try connect(to: address, expecting: nil)
  }

  /// Within a process nobody is held to it.
  public func limitWaiting(toBytes bytes: Int) {}

  /// Nothing is known.
  public func state(of peer: Peer) -> ConnectionState? { nil }
}

/// Wakes the thread of one hub, from any thread.
public final class Waker: Sendable {
  private let action: @Sendable () -> Void

  /// A waker that does what is given.
  package init(_ action: @escaping @Sendable () -> Void) {
    self.action = action
  }

  /// Makes the hub's `receive` return `woken`, now or the next time it is called.
  public func wake() {
    action()
  }
}

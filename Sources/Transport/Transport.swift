/// A way for bytes to travel between threads, processes or machines.
public protocol Transport: Sendable {
  /// A hub for one thread.
  func makeHub(_ limits: HubLimits) throws(TransportError) -> any Hub
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
  /// Takes messages at an address; returns it as bound, with its port.
  func listen(on address: Address) throws(TransportError) -> Address
  /// Connects to an address. A message may be sent at once: up to `maximumQueuedMessages` wait in this hub until
  /// somebody listens there, and again while a connection that was lost is made anew. They leave while this hub is
  /// sending or receiving.
  func connect(to address: Address) throws(TransportError) -> Peer
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

/// Why bytes cannot travel.
public enum TransportError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The text is no address; it says what was expected.
  case malformedAddress(String)
  /// Somebody else listens there.
  case addressInUse(Address)
  /// Nothing can listen there, or nothing can be reached.
  case unusableAddress(Address, String)
  /// The library or the system failed: what was done, and what it said.
  case system(String, String)

  /// One line for a person.
  public var description: String {
    switch self {
    case .malformedAddress(let text): text
    case .addressInUse(let address):
      "\(address) is in use: another process listens there; stop it or choose another address (port 0 takes a free one)"
    case .unusableAddress(let address, let problem): "\(address) cannot be used: \(problem)"
    case .system(let action, let problem): "\(action): \(problem)"
    }
  }
}

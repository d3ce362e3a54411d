/// What a simulated network is like while nothing disturbs it.
public struct NetworkShape: Hashable, Sendable {
  /// Microseconds that a message travels at least.
  public var latency: UInt64 = 60
  /// Microseconds that it may travel longer, drawn for each message.
  public var jitter: UInt64 = 40
  /// Bytes that a machine sends in a microsecond.
  public var bytesPerMicrosecond: UInt64 = 1250
  /// Messages that wait on one connection in one direction at most, as ZeroMQ's high-water marks.
  public var highWaterMark: Int = 1000
  /// Microseconds of silence after which a connection is given up, and what waits on it lost: TCP's keep-alive.
  public var connectionTimeout: UInt64 = 10_000_000

  /// A quiet local network: 60 to 100 µs, 10 Gbit/s.
  public init() {}
}

/// What became of what a process sent.
package enum SendOutcome: Int, CaseIterable {
  /// It is on its way.
  case sent
  /// The router does not know the peer: the message vanishes.
  case unreachable
  /// The queue is at its high-water mark.
  case full
  /// Lost on the way, as with a connection that is made anew.
  case lost
}

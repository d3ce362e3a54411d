import Synchronization

/// How many connections a transport's listeners refused since it was made, by reason. One that is tried again is
/// counted again.
public struct RefusedConnections: Hashable, Sendable, CustomStringConvertible {
  /// The peer's key is on no list.
  public var unknownKey = 0
  /// The peer wanted something else than CURVE.
  public var otherMechanism = 0
  /// What the peer sent cannot be deciphered: it took this listener for one with another key, or it is damaged.
  public var wrongListenerKey = 0
  /// The peer was gone, or did not speak as the protocol has it, before it had proved to hold any key. libzmq's own
  /// peers without keys are counted here or under `otherMechanism`: they leave when they see that keys are wanted.
  public var unproven = 0
  /// The peer sent more than its messages may have before one was whole; it was let in before.
  public var excessive = 0
  /// Where the last one with an unknown key came from, and the key; nil where there was none.
  public var lastUnknown: String?

  /// None so far.
  public init() {}

  /// The counts by what programs know them by.
  public init(_ counts: [String: Int]) {
    unknownKey = counts["unknown_key"] ?? 0
    otherMechanism = counts["other_mechanism"] ?? 0
    wrongListenerKey = counts["wrong_listener_key"] ?? 0
    unproven = counts["unproven"] ?? 0
    excessive = counts["excessive"] ?? 0
  }

  /// Each count with what programs know it by.
  public var counts: [(name: String, count: Int)] {
    [
      ("unknown_key", unknownKey), ("other_mechanism", otherMechanism), ("wrong_listener_key", wrongListenerKey),
      ("unproven", unproven), ("excessive", excessive),
    ]
  }

  /// All of them.
  public var total: Int { unknownKey + otherMechanism + wrongListenerKey + unproven + excessive }

  /// One line for a person: the counts that are not zero.
  public var description: String {
    let parts = [
      (unknownKey, "with an unknown key"), (otherMechanism, "without CURVE"),
      (wrongListenerKey, "meant for another key"),
      (unproven, "without proof of a key"), (excessive, "that sent without end"),
    ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
    return parts.isEmpty ? "none" : parts.joined(separator: ", ")
  }
}

/// Counts that the guard's thread keeps and any thread reads, or waits for.
final class ConnectionCounter: Sendable {
  private struct State {
    var counts = RefusedConnections()
    var waiting: [EventDescriptor] = []
  }

  private let state = Mutex(State())

  var counts: RefusedConnections { state.withLock { $0.counts } }

  func update(_ change: (inout RefusedConnections) -> Void) {
    let waiting = state.withLock { state in
      change(&state.counts)
      return state.waiting
    }
    for event in waiting { event.signal() }
  }

  /// Waits until the counts are as asked for, at most so many milliseconds; returns what they are then.
  func wait(
    milliseconds: Int, until isReached: (RefusedConnections) -> Bool
  ) throws(TransportError) -> RefusedConnections {
    let event = try EventDescriptor()
    state.withLock { $0.waiting.append(event) }
    defer { state.withLock { state in state.waiting.removeAll { $0 === event } } }
    let deadline = Deadline(milliseconds: milliseconds)
    while true {
      let counts = counts
      let remaining = deadline.remainingMilliseconds
      if isReached(counts) || remaining == 0 { return counts }
      event.wait(milliseconds: remaining)
      _ = event.take()
    }
  }
}

/// A machine that takes what happened and returns what to do, in order: no I/O, no clock of its own.
///
/// The same machines run over sockets and in a simulator.
public protocol StateMachine: Sendable {
  /// What can happen to it.
  associatedtype Event: Sendable
  /// What it can want done.
  associatedtype Effect: Hashable & Sendable

  /// Takes what happened at a moment and adds what to do, in order, to a list that the caller keeps.
  mutating func handle(_ event: Event, at now: Moment, into effects: inout [Effect])
}

extension StateMachine {
  /// Takes what happened at a moment and returns what to do, in order.
  public mutating func handle(_ event: Event, at now: Moment) -> [Effect] {
    var effects: [Effect] = []
    handle(event, at: now, into: &effects)
    return effects
  }
}

extension Server: StateMachine {}
extension Worker: StateMachine {}
extension Coordinator: StateMachine {}

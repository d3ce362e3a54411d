/// A machine that takes what happened and returns what to do, in order: no I/O, no clock of its own.
///
/// The same machines run over sockets and in a simulator.
public protocol StateMachine: Sendable {
  /// What can happen to it.
  associatedtype Event: Sendable
  /// What it can want done.
  associatedtype Effect: Hashable & Sendable

  /// Takes what happened at a moment and returns what to do, in order.
  mutating func handle(_ event: Event, at now: Moment) -> [Effect]
}

extension Server: StateMachine {}
extension Worker: StateMachine {}
extension Coordinator: StateMachine {}

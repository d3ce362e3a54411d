import ParameterServer
import Synchronization

/// What happened to the machines of a job, and what they did about it: to be played again.
///
/// While a recording is current, every event loop that is made in this process is recorded; each event costs its size
/// in memory. A job that goes wrong in a way that no simulation shows is looked into with this.
package final class JobRecording: Sendable {
  private static let holder = Mutex<JobRecording?>(nil)

  /// The recording that new event loops belong to; nil for none.
  package static var current: JobRecording? {
    get { holder.withLock { $0 } }
    set { holder.withLock { $0 = newValue } }
  }

  private let tapes = Mutex<[any MachineTape]>([])

  /// An empty recording.
  package init() {}

  /// What was recorded of each machine.
  package var machines: [any MachineTape] { tapes.withLock { $0 } }

  /// Begins the tape of a machine as it is now.
  func begin<Machine: StateMachine>(_ machine: Machine) -> Tape<Machine> {
    let tape = Tape(machine)
    tapes.withLock { $0.append(tape) }
    return tape
  }
}

/// The events of one machine, in order.
package protocol MachineTape: Sendable {
  /// Number of events.
  var count: Int { get }
  /// Plays the events through the machine as it was: the numbers of those with other effects than were recorded.
  func differences() -> [Int]
}

/// One machine's events with its effects.
final class Tape<Machine: StateMachine>: MachineTape {
  private struct Entry: Sendable {
    let event: Machine.Event
    let moment: Moment
    let effects: [Machine.Effect]
  }

  private let first: Machine
  private let entries = Mutex<[Entry]>([])

  init(_ machine: Machine) {
    first = machine
  }

  func record(_ event: Machine.Event, at moment: Moment, _ effects: [Machine.Effect]) {
    entries.withLock { $0.append(Entry(event: event, moment: moment, effects: effects)) }
  }

  var count: Int { entries.withLock { $0.count } }

  func differences() -> [Int] {
    var machine = first
    return entries.withLock { entries in
      entries.indices.filter { machine.handle(entries[$0].event, at: entries[$0].moment) != entries[$0].effects }
    }
  }
}

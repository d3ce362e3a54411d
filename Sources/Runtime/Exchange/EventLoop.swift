package import ParameterServer
import Transport

/// Runs a state machine on one thread: turns messages, timers and what other threads leave into events, and has the
/// effects performed in order.
package final class EventLoop<Machine: StateMachine> {
  /// The machine.
  package private(set) var machine: Machine
  /// This thread's messages.
  package let post: Post
  /// What other threads leave.
  package let mailbox: Mailbox<Machine.Event>

  /// The first effect's error, with its exit code; the machine knows only what it says.
  package private(set) var failure: ConvoyError?

  private var events: [Machine.Event] = []
  private var deadline: Moment?
  private let timerEvent: Machine.Event
  private let tape: Tape<Machine>?

  /// A loop that has not begun; `timerEvent` is what the machine is told when its time has come.
  package init(_ machine: Machine, post: Post, timerEvent: Machine.Event) {
    self.machine = machine
    self.post = post
    self.timerEvent = timerEvent
    mailbox = Mailbox(waker: post.waker)
    tape = JobRecording.current?.begin(machine)
  }

  /// Adds something that follows from what is being done, to be handled after what already waits.
  package func follow(_ event: Machine.Event) {
    events.append(event)
  }

  /// Adds what the machine is told of work beside the loop that failed; the error has the exit code.
  package func follow(_ event: Machine.Event, after error: ConvoyError) {
    if failure == nil { failure = error }
    events.append(event)
  }

  /// Sets the moment of the next timer event.
  package func setTimer(_ moment: Moment) {
    deadline = moment
  }

  /// Handles events until an effect ends the loop.
  ///
  /// - Parameters:
  ///   - first: what the machine is told first.
  ///   - incoming: the event for what came from a peer, or nil to pass over it.
  ///   - failure: the event for an effect that could not be performed.
  ///   - perform: performs one effect; returns why the loop ends, or nil.
  package func run(
    first: Machine.Event, incoming: (Post.Incoming) throws(ConvoyError) -> Machine.Event?,
    failure: (ConvoyError) -> Machine.Event,
    perform: (Machine.Effect) throws(ConvoyError) -> StopReason?
  ) throws(ConvoyError) -> StopReason {
    try AnsweringThread.run { () throws(ConvoyError) in
      try answer(first: first, incoming: incoming, failure: failure, perform: perform)
    }
  }

  private func answer(
    first: Machine.Event, incoming: (Post.Incoming) throws(ConvoyError) -> Machine.Event?,
    failure: (ConvoyError) -> Machine.Event,
    perform: (Machine.Effect) throws(ConvoyError) -> StopReason?
  ) throws(ConvoyError) -> StopReason {
    events.append(first)
    var next = 0
    while true {
      while next < events.count {
        let event = events[next]
        next += 1
        if let reason = handle(event, failure: failure, perform: perform) { return reason }
      }
      events.removeAll(keepingCapacity: true)
      next = 0
      events += mailbox.takeAll()
      guard events.isEmpty else { continue }
      let now = MonotonicClock.now
      if let deadline, deadline <= now {
        self.deadline = nil
        events.append(timerEvent)
        continue
      }
      let timeout = deadline.map { Int(min($0.milliseconds(since: now), 60_000)) } ?? 60_000
      if let event = try incoming(post.receive(timeoutMilliseconds: timeout)) { events.append(event) }
    }
  }

  private func handle(
    _ event: Machine.Event, failure: (ConvoyError) -> Machine.Event,
    perform: (Machine.Effect) throws(ConvoyError) -> StopReason?
  ) -> StopReason? {
    let now = MonotonicClock.now
    let effects = machine.handle(event, at: now)
    tape?.record(event, at: now, effects)
    for effect in effects {
      do throws(ConvoyError) {
        if let reason = try perform(effect) { return reason }
      } catch {
        if self.failure == nil { self.failure = error }
        // The rest of this event's effects stand on the one that failed.
        events.append(failure(error))
        return nil
      }
    }
    return nil
  }
}

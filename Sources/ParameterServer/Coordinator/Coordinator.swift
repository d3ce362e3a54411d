/// The coordinator: gives out places and the view, hears signs of life, collects the result, ends the job.
///
/// Never on the gradient's path. A value without I/O, clock or floats: `handle` takes what happened and returns
/// what to do, in order.
public struct Coordinator: Sendable {
  enum Phase: Sendable {
    case gathering
    /// Servers take their chunks of the view.
    case placing(View)
    case training(View)
    /// All updates are made; the chunks that are still to come.
    case collecting(View, missing: Set<Int>)
    case storing(View)
    /// Everyone was told to stop; those who have not said goodbye are waited for until the deadline.
    case ending(StopReason, deadline: Moment)
    case over
  }

  private let plan: JobPlan
  private let token: JobToken
  private let incarnation: Incarnation
  private let deadlines: Deadlines

  private var phase = Phase.gathering
  private var roster: Roster
  private var nextUnit = 0
  private var timer: Moment?
  private var reportedMissingAt: Moment?

  /// What was refused since the start.
  public private(set) var refusals = RefusalCounts()

  /// A coordinator that has not started.
  public init(plan: JobPlan, token: JobToken, incarnation: Incarnation, deadlines: Deadlines = Deadlines()) {
    self.plan = plan
    self.token = token
    self.incarnation = incarnation
    self.deadlines = deadlines
    roster = Roster(servers: plan.servers, workers: plan.workers)
  }

  /// Takes what happened and returns what to do, in order.
  public mutating func handle(_ event: CoordinatorEvent, at now: Moment) -> [CoordinatorEffect] {
    var effects: [CoordinatorEffect] = []
    if case .over = phase {
      if case .message(_, _, let payload?) = event { effects.append(.release(payload.handle)) }
      return effects
    }
    switch event {
    case .started:
      reportedMissingAt = now
    case .message(let envelope, let connection, let payload):
      receive(envelope, from: connection, payload: payload, at: now, &effects)
    case .unreadable(let refusal, let connection):
      refuse(refusal, connection, &effects)
    case .stored:
      if case .storing = phase { end(.completed, at: now, &effects) }
    case .timer:
      tick(at: now, &effects)
    case .interrupted:
      end(.interrupted, at: now, &effects)
    case .failed(let text):
      end(.failed(text), at: now, &effects)
    }
    if case .over = phase { return effects }
    let deadline = timer.flatMap { $0 > now ? $0 : nil } ?? now.advanced(milliseconds: deadlines.heartbeat)
    if deadline != timer {
      timer = deadline
      effects.append(.timer(deadline))
    }
    return effects
  }

  private func send(_ message: Message, to connection: Connection, _ effects: inout [CoordinatorEffect]) {
    effects.append(
      .send(
        Envelope(
          token: token, view: view?.number ?? .none, sender: .coordinator, incarnation: incarnation, message: message),
        to: connection))
  }

  private mutating func refuse(
    _ refusal: Refusal, _ connection: Connection, _ effects: inout [CoordinatorEffect]
  ) {
    refusals.count(refusal.reason)
    effects.append(.report(.refused(refusal)))
    send(.refused(refusal), to: connection, &effects)
  }

  private var isGathering: Bool {
    if case .gathering = phase { true } else { false }
  }

  private var view: View? {
    switch phase {
    case .placing(let view), .training(let view), .collecting(let view, _), .storing(let view): view
    case .gathering, .ending, .over: nil
    }
  }

  /// Tells everyone to stop, and leaves once they have said goodbye: a connection that is closed too early takes what
  /// it has not delivered with it.
  private mutating func end(_ reason: StopReason, at now: Moment, _ effects: inout [CoordinatorEffect]) {
    if case .ending = phase { return }
    for entry in roster.entries { send(.stop(reason), to: entry.connection, &effects) }
    phase = .ending(reason, deadline: now.advanced(milliseconds: deadlines.goodbye))
    leaveIfAlone(at: now, &effects)
  }

  private mutating func leaveIfAlone(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard case .ending(let reason, let deadline) = phase else { return }
    guard roster.entries.isEmpty || now >= deadline else { return }
    phase = .over
    effects.append(.stop(reason))
  }

  // MARK: Time

  private mutating func tick(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    if case .ending(let reason, _) = phase {
      for entry in roster.entries { send(.stop(reason), to: entry.connection, &effects) }
      return leaveIfAlone(at: now, &effects)
    }
    for entry in roster.entries where entry.isReady {
      if now.milliseconds(since: entry.heardAt) >= deadlines.silence {
        roster.remove(entry.member)
        return end(
          .failed("\(entry.member) (\(entry.name)) has been silent for \(deadlines.silence / 1000) s"), at: now,
          &effects)
      }
    }
    if case .gathering = phase, now.milliseconds(since: reportedMissingAt ?? now) >= deadlines.missingReport {
      reportedMissingAt = now
      effects.append(.report(.waiting(missing: roster.missing)))
    }
    if case .training(let view) = phase { effects.append(.report(.progress(progress(view)))) }
  }

  private func progress(_ view: View) -> JobProgress {
    roster.progress(totalSteps: view.rules.steps, view: view)
  }

  // MARK: Messages

  private mutating func receive(
    _ envelope: Envelope, from connection: Connection, payload: ReceivedPayload?, at now: Moment,
    _ effects: inout [CoordinatorEffect]
  ) {
    if envelope.token != token {
      if let payload { effects.append(.release(payload.handle)) }
      return refuse(Fence.wrongJob, connection, &effects)
    }
    if case .hello(let hello) = envelope.message {
      if let payload { effects.append(.release(payload.handle)) }
      // A member's hello may come again long after the first: it is welcome, as it was then.
      guard isGathering || roster.contains(envelope.incarnation) else {
        return refuse(Refusal(.jobFull, "the job has begun"), connection, &effects)
      }
      return join(hello, envelope.incarnation, connection, at: now, &effects)
    }
    guard roster.hear(envelope.sender, envelope.incarnation, connection, at: now) else {
      if let payload { effects.append(.release(payload.handle)) }
      // The goodbye of a process that was not taken, or one that came twice.
      if case .leaving = envelope.message { return }
      return refuse(
        Refusal(.unknownMember, "\(envelope.sender) has no place in this job, or another process has it"),
        connection, &effects)
    }
    if case .parameters(let parameters) = envelope.message, let payload {
      return collect(parameters, payload, from: envelope.sender, &effects)
    }
    if let payload { effects.append(.release(payload.handle)) }
    receive(envelope.message, of: envelope.sender, connection, at: now, &effects)
  }

  private mutating func receive(
    _ message: Message, of sender: Member, _ connection: Connection, at now: Moment,
    _ effects: inout [CoordinatorEffect]
  ) {
    if case .leaving(let text) = message {
      roster.remove(sender)
      end(.failed("\(sender): \(text)"), at: now, &effects)
      return leaveIfAlone(at: now, &effects)
    }
    if case .ending = phase { return }
    switch message {
    case .ready(let ready): memberReady(ready, of: sender, connection, at: now, &effects)
    case .viewAccepted: viewAccepted(by: sender, &effects)
    case .progress(let progress):
      roster.record(progress, of: sender)
      send(.alive, to: connection, &effects)
    case .leaseRequest: grant(to: sender, connection, &effects)
    case .finished(let finished):
      roster.record(finished.progress, of: sender)
      roster.finish(sender)
      collectIfFinished(&effects)
    case .refused(let refusal):
      end(.failed("\(sender) refused the coordinator: \(refusal.explanation)"), at: now, &effects)
    default:
      refuse(Refusal(.misplaced, "a coordinator takes no such message from \(sender)"), connection, &effects)
    }
  }

  private mutating func join(
    _ hello: Hello, _ incarnation: Incarnation, _ connection: Connection, at now: Moment,
    _ effects: inout [CoordinatorEffect]
  ) {
    switch roster.join(hello, incarnation, connection, at: now, silence: deadlines.silence) {
    case .success(let entry, let isNew):
      if isNew { effects.append(.report(.joined(entry.member, name: entry.name))) }
      send(.welcome(Welcome(member: entry.member, job: plan.job)), to: connection, &effects)
    case .failure(let refusal): refuse(refusal, connection, &effects)
    }
  }

  private mutating func memberReady(
    _ ready: Ready, of sender: Member, _ connection: Connection, at now: Moment,
    _ effects: inout [CoordinatorEffect]
  ) {
    guard isGathering else {
      // Said again because an answer was lost: the view is the answer, where the member is to have it by now.
      if let view, roster.hasView(sender, in: phase) {
        send(.view(view), to: connection, &effects)
      } else {
        send(.alive, to: connection, &effects)
      }
      return
    }
    if let refusal = roster.mismatch(ready, of: sender, plan: plan) {
      roster.remove(sender)
      return refuse(refusal, connection, &effects)
    }
    roster.setReady(ready, sender)
    guard roster.isComplete else {
      // Others may take minutes to join: without an answer this one would take the coordinator for dead.
      return send(.alive, to: connection, &effects)
    }
    guard let samples = roster.samples, let rules = plan.rules(samples: samples) else {
      return end(
        .failed("the job has no step, or too many to be counted: it needs at least one sample and one step"), at: now,
        &effects)
    }
    let view = roster.view(number: ViewNumber(1), rules: rules)
    phase = .placing(view)
    // Servers first: a worker never meets a server that does not know the view yet.
    for entry in roster.entries where entry.member.role == .server { send(.view(view), to: entry.connection, &effects) }
  }

  private mutating func viewAccepted(by sender: Member, _ effects: inout [CoordinatorEffect]) {
    guard case .placing(let view) = phase else { return }
    roster.accept(sender)
    guard roster.allServersAccepted else { return }
    phase = .training(view)
    for entry in roster.entries where entry.member.role == .worker { send(.view(view), to: entry.connection, &effects) }
    effects.append(.report(.begun(view)))
  }

  /// Gives units of work: large blocks first, small ones towards the end, so that the workers end together.
  private mutating func grant(
    to worker: Member, _ connection: Connection, _ effects: inout [CoordinatorEffect]
  ) {
    guard case .training(let view) = phase, view.rules.consistency == .async, worker.role == .worker else { return }
    let remaining = view.rules.units - nextUnit
    let count = min(remaining, max(1, min(Leases.maximumUnits, remaining / (2 * view.workers.count))))
    let granted = roster.grant(count, to: worker)
    let first = count == 0 ? granted : UInt64(nextUnit)
    send(.leases(Leases(first: first, count: UInt32(count))), to: connection, &effects)
    nextUnit += count
  }

  // MARK: The result

  private mutating func collectIfFinished(_ effects: inout [CoordinatorEffect]) {
    guard case .training(let view) = phase, roster.allFinished(view) else { return }
    effects.append(.report(.trained(progress(view))))
    phase = .collecting(view, missing: Set(0..<view.rules.chunks.count))
    for entry in roster.entries where entry.member.role == .server {
      for chunk in view.servers[Int(entry.member.number)].chunks {
        send(.pull(Pull(chunk: chunk, version: view.rules.finalVersion)), to: entry.connection, &effects)
      }
    }
  }

  private mutating func collect(
    _ parameters: Parameters, _ payload: ReceivedPayload, from sender: Member, _ effects: inout [CoordinatorEffect]
  ) {
    let chunk = Int(parameters.chunk)
    guard case .collecting(let view, var missing) = phase, missing.contains(chunk),
      payload.bytes == view.rules.chunks.bytes(of: chunk), parameters.version == view.rules.finalVersion,
      sender.role == .server, view.servers[Int(sender.number)].chunks.contains(parameters.chunk)
    else {
      effects.append(.release(payload.handle))
      return
    }
    missing.remove(chunk)
    effects.append(.collect(chunk: chunk, payload: payload.handle))
    phase = .collecting(view, missing: missing)
    if missing.isEmpty {
      phase = .storing(view)
      effects.append(.store(view.rules))
    }
  }
}

/// Where a message goes, as a server or a worker sees it.
public enum Destination: Hashable, Sendable {
  /// The coordinator.
  case coordinator
  /// A server of the view, as a worker reaches it.
  case server(Member)
  /// Whoever is at the other end of a connection: where answers go.
  case connection(Connection)
}

/// What a member works with, once it has read the job.
public typealias Preparation = Ready

/// What a session asks of the member that it is part of.
enum SessionOutcome {
  /// Nothing more: a sign of life.
  case none
  /// Nothing follows from it, and why.
  case dropped(DropReason)
  /// Read the job, then say `prepared`.
  case prepare(Welcome)
  /// Work in this view.
  case adopt(View)
  /// The view that it works in was told once more.
  case adoptedBefore
  /// Something else that the coordinator says to a member at work.
  case other(Message)
  /// Say this to the coordinator, whose message is of a term that is over.
  case answer(Message)
  /// The message is not the coordinator's of this job, or nothing for this member.
  case refuse(Refusal)
  /// The job is over for this member.
  case stop(StopReason)
}

/// What is due in a session at some moment.
enum SessionDue {
  /// Nothing is.
  case nothing
  /// A message to the coordinator.
  case message(Message)
  /// A sign of life, which says how far the member is.
  case progress
  /// The end of the wait for the coordinator.
  case stop(StopReason)
}

/// A server's or worker's side of its bond with the coordinator: joining, signs of life, the end.
///
/// What is not answered is said again with every heartbeat, so that a lost message only costs time.
struct MemberSession: Sendable {
  enum Phase: Sendable {
    case idle
    case asking
    case preparing
    case waiting
    case working
    case over
  }

  let role: Role
  let name: String
  let token: JobToken
  let incarnation: Incarnation
  let deadlines: Deadlines

  private(set) var phase = Phase.idle
  /// What it said when it was prepared: said again until a view comes.
  private var preparation: Ready?
  /// The view that the member works in, or nil.
  private(set) var view: View?
  /// The number of the view that the member works in: what every message names, without a copy of the view.
  private(set) var viewNumber = ViewNumber.none
  private(set) var member: Member
  private var heardAt = Moment(milliseconds: 0)
  private var startedAt = Moment(milliseconds: 0)
  private var saidAt = Moment(milliseconds: 0)
  /// The incarnation of a coordinator is its term: a later one has a larger number.
  private var term: UInt64 = 0

  init(role: Role, name: String, token: JobToken, incarnation: Incarnation, deadlines: Deadlines) {
    self.role = role
    self.name = name
    self.token = token
    self.incarnation = incarnation
    self.deadlines = deadlines
    member = Member(role, Member.unassigned)
  }

  /// The goodbye of a member.
  func leaving(_ text: String, isOrderly: Bool, kind: FailureKind, progress: Progress) -> Message {
    .leaving(Leaving(text: text, isOrderly: isOrderly, kind: kind, progress: progress))
  }

  /// Whether the member has stopped.
  var isOver: Bool { phase == .over }

  /// A message of this member's.
  func envelope(_ message: Message) -> Envelope {
    Envelope(
      token: token, view: viewNumber, sender: member, incarnation: incarnation, message: message)
  }

  /// Asks the coordinator for a place.
  mutating func start(at now: Moment) -> Message {
    phase = .asking
    startedAt = now
    heardAt = now
    saidAt = now
    return .hello(Hello(role: role, name: name))
  }

  /// The job was read: says so to the coordinator.
  mutating func prepared(_ ready: Ready, at now: Moment) -> Message? {
    guard phase == .preparing else { return nil }
    phase = .waiting
    preparation = ready
    // Reading a data set can take longer than a heartbeat; the silence was this member's own.
    heardAt = now
    saidAt = now
    return .ready(ready)
  }

  /// What a member that stops tells the coordinator: its goodbye, or what it stops for of its own accord.
  func farewell(_ reason: StopReason) -> String {
    switch reason {
    case .completed, .interrupted: "told to stop"
    case .failed(let text, _), .unreachable(let text), .rejected(let text), .fenced(let text): text
    }
  }

  /// Ends the session.
  mutating func end() {
    phase = .over
    view = nil
  }

  /// Takes a message that came from the coordinator's connection.
  mutating func receive(_ envelope: Envelope, at now: Moment) -> SessionOutcome {
    guard !isOver else { return .dropped(.ended) }
    guard envelope.token == token else {
      // Of bytes that it could not read the coordinator does not know whose they are.
      if case .refused(let refusal) = envelope.message, envelope.token == .none, phase == .asking {
        return refused(refusal)
      }
      return .refuse(Fence.wrongJob)
    }
    guard envelope.sender == .coordinator else {
      return .refuse(Refusal(.unknownMember, "\(envelope.sender) speaks through the coordinator's connection"))
    }
    // What a coordinator said before its successor came says nothing now. A successor that does not know of its
    // predecessor would be waited for in vain: it is told.
    guard envelope.incarnation.rawValue >= term else { return .answer(.outranked(term: term)) }
    term = envelope.incarnation.rawValue
    heardAt = now
    switch (envelope.message, phase) {
    case (.welcome(let welcome), .asking):
      guard welcome.member.role == role, welcome.member.number < Bounds.members else {
        return .refuse(Refusal(.outOfBounds, "a \(role) is given the place \(welcome.member)"))
      }
      member = welcome.member
      phase = .preparing
      return .prepare(welcome)
    case (.view(let view), .waiting), (.view(let view), .working):
      return adopt(view)
    case (.stop(let reason), _):
      end()
      return .stop(reason)
    case (.refused(let refusal), _):
      return refused(refusal)
    case (.alive, _): return .none
    case (.welcome, _): return .dropped(.repeated)
    case (.view, _): return .dropped(.untimely)
    case (let message, .working):
      return .other(message)
    default:
      // It is said again once the view has come that it is of.
      return .refuse(Refusal(.oldView, "the coordinator speaks of a view that has not come"))
    }
  }

  private mutating func refused(_ refusal: Refusal) -> SessionOutcome {
    switch refusal.reason {
    case .deadIncarnation, .unknownMember:
      // A refusal of what was said before this life had a place, or of a life before it, is none of this one.
      if phase == .asking { return .dropped(.refusal) }
      end()
      return .stop(.fenced("the coordinator no longer knows this \(member): \(refusal.explanation)"))
    case .oldView, .misplaced: return .dropped(.refusal)
    default:
      end()
      return .stop(.rejected("the coordinator refused \(member): \(refusal.explanation)"))
    }
  }

  private mutating func adopt(_ view: View) -> SessionOutcome {
    if let current = self.view, view.number <= current.number {
      return view.number == current.number ? .adoptedBefore : .dropped(.outdated)
    }
    var problem = view.problem
    if let current = self.view?.rules, current.chunks != view.rules.chunks || current.schedule != view.rules.schedule {
      problem = "it is of another job"
    }
    if let problem {
      end()
      return .stop(.failed("the coordinator's view \(view.number.rawValue) does not hold together: \(problem)"))
    }
    guard view.incarnation(of: member) == incarnation else {
      end()
      return .stop(.fenced("\(member) is another process in view \(view.number.rawValue)"))
    }
    phase = .working
    self.view = view
    viewNumber = view.number
    return .adopt(view)
  }

  /// What is due by now.
  mutating func tick(at now: Moment) -> SessionDue {
    switch phase {
    case .idle, .preparing, .over:
      return .nothing
    case .asking where now.milliseconds(since: startedAt) >= deadlines.joining:
      end()
      return .stop(.unreachable("the coordinator did not answer within \(deadlines.joining / 1000) s"))
    case .waiting, .working:
      if now.milliseconds(since: heardAt) >= deadlines.coordinatorSilence {
        end()
        return .stop(.unreachable("the coordinator has been silent for \(deadlines.coordinatorSilence / 1000) s"))
      }
    case .asking: break
    }
    guard now.milliseconds(since: saidAt) >= deadlines.heartbeat else { return .nothing }
    saidAt = now
    if phase == .asking { return .message(.hello(Hello(role: role, name: name))) }
    if phase == .waiting, let preparation { return .message(.ready(preparation)) }
    return .progress
  }

  /// When `tick` has something to do next; nil where nothing is due.
  var nextDeadline: Moment? {
    switch phase {
    case .idle, .preparing, .over: nil
    case .asking, .waiting, .working: saidAt.advanced(milliseconds: deadlines.heartbeat)
    }
  }
}

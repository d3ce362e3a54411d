/// What a coordinator tells of its job.
extension Coordinator {
  /// What was refused by everyone, those who are gone too.
  var refused: RefusedCounts {
    var refused = pastRefused
    refused.messages.add(refusals)
    for entry in roster.entries { refused.add(entry.refused) }
    return refused
  }

  private var isOver: Bool {
    if case .over = phase { true } else { false }
  }

  /// What somebody is answered who speaks after the end of a completed job, while Runtime evaluates its model; nil for
  /// nothing.
  public func answerAfterEnd(to envelope: Envelope, at now: Moment) -> Envelope? {
    guard envelope.token == token else { return nil }
    switch envelope.message {
    case .refused, .leaving: return nil
    case .statusRequest: return self.envelope(.status(status(at: now)))
    case .setMode: return self.envelope(.refused(Refusal(.misplaced, "too late: the job has made its last step")))
    default: return self.envelope(.stop(.completed))
    }
  }

  /// How the job does, as one JSON object.
  func status(at now: Moment) -> String {
    // Nobody is left of a job that is over, and nobody is missed.
    let hasEnded = isCompleted || isOver
    let progress = hasEnded ? progress.completed : progress
    let mode = view.map { $0.rules.consistency(ofStep: min(max(progress.steps - 1, 0), $0.rules.steps - 1)) }
    let state: String
    switch phase {
    case .gathering: state = hasEnded ? "evaluating" : "waiting for members"
    case .running: state = recovery != nil ? "recovering" : isPlaced ? "training" : "placing"
    case .ending: state = "ending"
    case .over: state = "evaluating"
    }
    let missing = hasEnded ? [] : roster.missing.map(Self.quoted)
    let members = (hasEnded ? [] : roster.entries).map { member($0, at: now) }
    return Self.object(
      [
        ("state", Self.quoted(state)), ("mode", Self.quoted("\(mode ?? plan.consistency)")),
        ("step", "\(progress.steps)"), ("steps", "\(progress.totalSteps)"), ("view", "\(view?.number.rawValue ?? 0)"),
        ("era", "\(view?.era ?? 0)"),
      ] + refusalFields + lateness(progress.staleness) + waitFields(at: now) + [
        ("missing", "[\(missing.joined(separator: ","))]"), ("members", "[\(members.joined(separator: ","))]"),
      ])
  }

  private func lateness(_ staleness: StalenessCounts) -> [(name: String, value: String)] {
    guard staleness.count > 0 else { return [] }
    let fields = [
      ("pushes", "\(staleness.count)"), ("mean", "\(staleness.mean)"), ("max", "\(staleness.largest)"),
      ("histogram", "\(staleness.bins)"),
    ]
    return [("staleness", Self.object(fields))]
  }

  private func waitFields(at now: Moment) -> [(name: String, value: String)] {
    let waits = stalls(of: deadlines.stallReport, at: now).map { stall in
      Self.object([
        ("member", Self.quoted("\(stall.waiter)")), ("server", Self.quoted("\(stall.wait.server)")),
        ("address", Self.quoted(stall.address)), ("milliseconds", "\(stall.wait.milliseconds)"),
        ("request", Self.quoted("\(stall.wait.request)")),
      ])
    }
    return waits.isEmpty ? [] : [("waits", "[\(waits.joined(separator: ","))]")]
  }

  private var refusalFields: [(name: String, value: String)] {
    let refused = refused
    let connections = refused.connections
    return [
      ("refused", "\(refused.messages.total)"),
      (
        "refusals",
        Self.object(
          RefusalReason.allCases.filter { refused.messages[$0] > 0 }.map { ($0.name, "\(refused.messages[$0])") })
      ),
      ("refused_connections", "\(connections.total)"),
      (
        "connection_refusals",
        Self.object([
          ("unknown_key", "\(connections.unknownKey)"), ("other_mechanism", "\(connections.otherMechanism)"),
          ("wrong_listener_key", "\(connections.wrongListenerKey)"), ("unproven", "\(connections.unproven)"),
        ])
      ),
    ]
  }

  private func member(_ entry: Roster.Entry, at now: Moment) -> String {
    let isInView = view?.incarnation(of: entry.member) == entry.incarnation
    var fields = [
      ("name", Self.quoted(entry.name)), ("place", Self.quoted("\(entry.member)")),
      ("state", Self.quoted(isInView ? "working" : entry.ready != nil ? "standing by" : "preparing")),
      ("steps", "\(entry.steps)"), ("shards", "\(entry.shards)"),
      ("refused", "\(entry.refused.messages.total)"), ("silent_ms", "\(now.milliseconds(since: entry.heardAt))"),
    ]
    if entry.member.role == .server {
      let line = isInView ? view?.server(entry.member) : nil
      fields += [("chunks", "\(line?.chunks.count ?? 0)"), ("replicas", "\(line?.replicas.count ?? 0)")]
    }
    return Self.object(fields)
  }

  /// A JSON object of values that are JSON.
  private static func object(_ fields: [(name: String, value: String)]) -> String {
    "{\(fields.map { "\"\($0.name)\":\($0.value)" }.joined(separator: ","))}"
  }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case "\u{0}"..<" ": quoted += " "
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}

/// What a coordinator tells of its job.
extension Coordinator {
  /// What was refused by everyone, those who are gone too.
  var refused: RefusedCounts {
    var refused = pastRefused
    refused.messages.add(refusals)
    for entry in roster.entries { refused.add(entry.refused) }
    return refused
  }

  /// How the job does, as one JSON object.
  func status(at now: Moment) -> String {
    let progress = progress
    let mode = view.map { $0.rules.consistency(ofStep: min(max(progress.steps - 1, 0), $0.rules.steps - 1)) }
    let state: String
    switch phase {
    case .gathering: state = "waiting for members"
    case .running: state = recovery != nil ? "recovering" : isPlaced ? "training" : "placing"
    case .ending, .over: state = "ending"
    }
    let refused = refused
    let connections = refused.connections
    return Self.object([
      ("state", Self.quoted(state)), ("mode", Self.quoted("\(mode ?? plan.consistency)")),
      ("step", "\(progress.steps)"), ("steps", "\(progress.totalSteps)"), ("view", "\(view?.number.rawValue ?? 0)"),
      ("era", "\(view?.era ?? 0)"), ("refused", "\(refused.messages.total)"),
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
      ("missing", "[\(roster.missing.map(Self.quoted).joined(separator: ","))]"),
      ("members", "[\(roster.entries.map { member($0, at: now) }.joined(separator: ","))]"),
    ])
  }

  private func member(_ entry: Roster.Entry, at now: Moment) -> String {
    let isInView = view?.incarnation(of: entry.member) == entry.incarnation
    var fields = [
      ("name", Self.quoted(entry.name)), ("place", Self.quoted("\(entry.member)")),
      ("state", Self.quoted(isInView ? "working" : entry.isReady ? "standing by" : "preparing")),
      ("steps", "\(entry.progress.steps)"), ("shards", "\(entry.progress.shards)"),
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

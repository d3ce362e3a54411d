/// What a coordinator takes over from its predecessor, and what it tells of itself.
extension Coordinator {
  /// Goes on from what a predecessor wrote down.
  mutating func replay(_ journal: [JournalRecord]) {
    var data: (fingerprint: String, data: [UInt8])?
    for record in journal {
      switch record {
      case .term: break
      case .agreed(let fingerprint, let digest): data = (fingerprint, digest)
      case .view(let view): replay(view)
      case .leased(let member, let incarnation, let leases): book?.replay(leases, to: member, incarnation)
      case .checkpoint: break
      case .totals(let totals, let staleness): (pastTotals, pastStaleness) = (totals, staleness)
      case .completed: isCompleted = true
      }
    }
    guard let view, let data else { return }
    agreed = Agreement(
      fingerprint: data.fingerprint, data: data.data, samples: UInt64(view.rules.schedule.samples))
    eraBegan = true
    let unheard = Moment(milliseconds: 0)
    for line in view.servers {
      let ready = Ready(digests: plan.digests, samples: 0, engineFingerprint: "", address: line.address)
      roster.add(entry(line.member, line.incarnation, line.name, ready, unheard))
    }
    for line in view.workers {
      let ready = Ready(
        digests: plan.digests, samples: agreed?.samples ?? 0, engineFingerprint: data.fingerprint, address: "")
      roster.add(entry(line.member, line.incarnation, line.name, ready, unheard))
    }
  }

  private func entry(
    _ member: Member, _ incarnation: Incarnation, _ name: String, _ ready: Ready, _ heardAt: Moment
  ) -> Roster.Entry {
    Roster.Entry(
      member: member, incarnation: incarnation, name: name, connection: nil, heardAt: heardAt, ready: ready)
  }

  private mutating func replay(_ view: View) {
    if view.era != self.view?.era {
      book = LeaseBook(from: view.origin.step * view.rules.schedule.tree.shards, applied: UnitSet())
    }
    // What a worker who is gone held was given to others only after this.
    book?.keep(view.workers.map(\.incarnation))
    self.view = view
    closedSteps = view.origin.step
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
    case .setMode: return self.envelope(.refused(Refusal(.misplaced, "the job has made its last step")))
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
    let members = (hasEnded ? [] : roster.entries).map { entry in
      let inView = view?.incarnation(of: entry.member) == entry.incarnation
      return
        "{\"name\":\(Self.quoted(entry.name)),\"place\":\"\(entry.member)\",\"state\":\"\(inView ? "working" : entry.isReady ? "standing by" : "preparing")\",\"steps\":\(entry.progress.steps),\"shards\":\(entry.progress.shards),\"silent_ms\":\(now.milliseconds(since: entry.heardAt))}"
    }
    let missing = hasEnded ? [] : roster.missing.map(Self.quoted)
    let staleness = progress.staleness
    let lateness =
      staleness.count == 0
      ? ""
      : "\"staleness\":{\"pushes\":\(staleness.count),\"mean\":\(staleness.mean),\"max\":\(staleness.largest),\"histogram\":\(staleness.bins)},"
    return
      "{\"state\":\"\(state)\",\"mode\":\"\(mode ?? plan.consistency)\",\"step\":\(progress.steps),\"steps\":\(progress.totalSteps),\"view\":\(view?.number.rawValue ?? 0),\"era\":\(view?.era ?? 0),\"refused\":\(refusals.total),\(lateness)\"missing\":[\(missing.joined(separator: ","))],\"members\":[\(members.joined(separator: ","))]}"
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

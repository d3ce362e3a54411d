/// What a coordinator takes over from its predecessor.
extension Coordinator {
  /// Goes on from what a predecessor wrote down.
  mutating func replay(_ journal: [JournalRecord]) {
    var data: (fingerprint: String, data: [UInt8])?
    for record in journal {
      switch record {
      case .term: break
      case .agreed(let fingerprint, let digest): data = (fingerprint, digest)
      case .view(let view): replay(view)
      case .leaseBook(let stand): book = LeaseBook(stand)
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

  /// The records that a successor needs, in the place of all that were written so far: a journal is written anew by them
  /// when it has grown long.
  public var condensedJournal: [JournalRecord] {
    var records = [JournalRecord.term(term)]
    if let view, let agreed {
      records += [.agreed(fingerprint: agreed.fingerprint, data: agreed.data), .view(view)]
      if let book { records += book.condensed }
    }
    records.append(.totals(pastTotals, pastStaleness))
    if isCompleted { records.append(.completed) }
    return records
  }

  // MARK: A journal that lacks something

  /// More than the coordinators of any job.
  private static let maximumLack: UInt64 = 1 << 20

  /// Members have heard a later coordinator than this one's journal knows of: this one comes after it.
  mutating func outranked(by other: UInt64, _ effects: inout [CoordinatorEffect]) {
    // What came late is of the predecessor whom this one knows; what is far beyond is nobody's.
    guard other > term, other - term < Self.maximumLack else { return drops.count(.outdated) }
    term = other + 1
    effects.append(.journal(.term(term)))
    effects.append(.report(.outranked(by: other)))
  }

  /// What a successor that reads one journal would make otherwise than one that reads another; nil where both make the
  /// same. Of leases, what is known to be finished may be known by the second alone.
  package static func difference(_ plan: JobPlan, _ whole: [JournalRecord], _ condensed: [JournalRecord]) -> String? {
    let token = JobToken.none
    let (first, second) = (
      Coordinator(plan: plan, token: token, journal: whole), Coordinator(plan: plan, token: token, journal: condensed)
    )
    if first.term != second.term { return "term \(second.term) in the place of \(first.term)" }
    if first.view != second.view { return "another view" }
    if first.agreed != second.agreed { return "another agreement" }
    if first.pastTotals != second.pastTotals {
      return "totals \(second.pastTotals) in the place of \(first.pastTotals)"
    }
    if first.pastStaleness != second.pastStaleness { return "other counts of staleness" }
    if first.isCompleted != second.isCompleted { return "completed in one of them" }
    if first.closedSteps != second.closedSteps || first.eraBegan != second.eraBegan {
      return "another place in its era"
    }
    if first.roster.entries.map(\.incarnation) != second.roster.entries.map(\.incarnation) { return "other members" }
    guard let book = first.book, let other = second.book else {
      return (first.book == nil) == (second.book == nil) ? nil : "leases in one of them"
    }
    return book.difference(other)
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
}

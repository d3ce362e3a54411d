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
  /// when it has grown long. Empty before the first view.
  public var condensedJournal: [JournalRecord] {
    guard let view, let agreed else { return [] }
    var records = [
      JournalRecord.term(term), .agreed(fingerprint: agreed.fingerprint, data: agreed.data), .view(view),
    ]
    if let book { records += book.condensed }
    records.append(.totals(pastTotals))
    if isCompleted { records.append(.completed) }
    return records
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

import ParameterServer

/// Versions rise by one for each update; no worker sees one fall within a view.
///
/// Where a step's shards are summed, a worker that has to compute a step again reads exactly the version before: servers
/// keep it for that, and such a fall by one is none.
struct VersionsRiseChecker {
  private struct Seen {
    var life: UInt16 = 0
    var view = ViewNumber.none
    var versions: [UInt64] = []
  }

  /// By slot of the world.
  private var seen: [Seen]

  init(slots: Int) {
    seen = Array(repeating: Seen(), count: slots)
  }

  func applied(_ fact: AppliedFact, _ violations: inout Violations) {
    if fact.update.version != fact.old.version + 1 {
      violations.add(
        .versionsRise,
        "chunk \(fact.chunk): an update makes version \(fact.update.version) of version \(fact.old.version)")
    }
  }

  mutating func installed(_ fact: InstalledFact, _ log: JobLog, _ violations: inout Violations) {
    let chunks = log.chunkCount
    if seen[fact.slot].life != fact.life || seen[fact.slot].view != fact.view
      || seen[fact.slot].versions.count != chunks
    {
      seen[fact.slot] = Seen(life: fact.life, view: fact.view, versions: Array(repeating: 0, count: chunks))
    }
    let before = seen[fact.slot].versions[fact.chunk]
    if fact.version < before, fact.version + 1 < before || !readsAgain(fact, log) {
      violations.add(
        .versionsRise, "chunk \(fact.chunk): a worker sees version \(fact.version) after version \(before) in one view")
    }
    seen[fact.slot].versions[fact.chunk] = fact.version
  }

  /// Whether the newest steps are summed ones, of which the version before is kept.
  private func readsAgain(_ fact: InstalledFact, _ log: JobLog) -> Bool {
    guard let rules = log.rules else { return false }
    let closed = Int(log.line(fact.era, fact.chunk)?.closed ?? 0)
    return [closed - 1, closed].contains { $0 >= 0 && rules.consistency(ofStep: min($0, rules.steps - 1)).isSummed }
  }
}

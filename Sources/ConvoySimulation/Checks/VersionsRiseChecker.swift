import ParameterServer

/// Versions rise by one for each update; no worker sees one fall within a view.
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

  mutating func installed(_ fact: InstalledFact, chunks: Int, _ violations: inout Violations) {
    if seen[fact.slot].life != fact.life || seen[fact.slot].view != fact.view
      || seen[fact.slot].versions.count != chunks
    {
      seen[fact.slot] = Seen(life: fact.life, view: fact.view, versions: Array(repeating: 0, count: chunks))
    }
    let before = seen[fact.slot].versions[fact.chunk]
    if fact.version < before {
      violations.add(
        .versionsRise, "chunk \(fact.chunk): a worker sees version \(fact.version) after version \(before) in one view")
    }
    seen[fact.slot].versions[fact.chunk] = fact.version
  }
}

import ParameterServer

/// What was published survives the crash of any one server that has a replica.
struct SurvivesCrashChecker {
  func applied(_ fact: AppliedFact, _ standing: JobLog.Standing, _ violations: inout Violations) {
    if standing == .conflicting {
      violations.add(
        .survivesCrash,
        "chunk \(fact.chunk): version \(fact.update.version) was published and is made again with another content")
    }
    if standing == .diverged {
      violations.add(
        .survivesCrash, "chunk \(fact.chunk): version \(fact.update.version) is not the same on primary and replica")
    }
  }

  func served(_ fact: ServedFact, _ log: JobLog, _ violations: inout Violations) {
    guard log.has(fact.era, fact.chunk) else { return }
    let published = log.published(fact.chunk)
    if fact.view >= log.view(fact.chunk), fact.held < published {
      violations.add(
        .survivesCrash,
        "chunk \(fact.chunk): its server is at version \(fact.held), and version \(published) was published")
    }
  }
}

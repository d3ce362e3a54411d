import ParameterServer

/// What was published survives the crash of any one server that has a replica.
struct SurvivesCrashChecker {
  func applied(_ fact: AppliedFact, _ standing: JobLog.Standing, _ log: JobLog, _ violations: inout Violations) {
    if standing == .conflicting {
      violations.add(
        .survivesCrash,
        "chunk \(fact.chunk): version \(fact.update.version) was published and is made again with another content")
    }
    guard !fact.isPrimary, standing == .repeated,
      let known = log.line(fact.era, fact.chunk)?.value(fact.update.version),
      fact.era == log.newestEra
    else { return }
    if known != fact.new {
      violations.add(
        .survivesCrash, "chunk \(fact.chunk): the replica's version \(fact.update.version) is not the primary's")
    }
  }

  func served(_ fact: ServedFact, _ log: JobLog, _ violations: inout Violations) {
    guard fact.era == log.newestEra, let line = log.line(fact.era, fact.chunk) else { return }
    if fact.held < line.published {
      violations.add(
        .survivesCrash,
        "chunk \(fact.chunk): its server is at version \(fact.held), and version \(line.published) was published")
    }
  }
}

import ParameterServer

/// Parameters are the fold of the log of updates, and the recorded staleness is true.
struct FoldOfLogChecker {
  let model: ToyModel

  func applied(_ fact: AppliedFact, _ log: JobLog, _ violations: inout Violations) {
    let update = fact.update
    if update.kind == .single {
      let truth = update.version &- 1 &- fact.payload.version
      if update.staleness != truth || update.basis != fact.payload.version {
        violations.add(
          .foldOfLog,
          "chunk \(fact.chunk): version \(update.version) states staleness \(update.staleness), and its gradient is of version \(fact.payload.version)"
        )
      }
      if fact.payload.shards.nonzeroBitCount != 1 {
        violations.add(.foldOfLog, "chunk \(fact.chunk): version \(update.version) applies more than one shard at once")
      }
    }
    let awaitsScale =
      update.kind == .summed && log.rules?.awaitsScale(chunk: fact.chunk, step: Int(update.step)) == true
    // An era that is over had other rules.
    if fact.era == log.newestEra, (update.scale != nil) != awaitsScale {
      violations.add(
        .foldOfLog,
        "chunk \(fact.chunk): version \(update.version) is made \(awaitsScale ? "without" : "by") a scale")
    }
    guard fact.isPrimary, log.has(fact.era, fact.chunk), fact.view >= log.view(fact.chunk),
      let before = log.value(fact.chunk, update.version &- 1), log.value(fact.chunk, update.version) != nil
    else { return }
    if model.updated(before, by: fact.payload.bits, update) != fact.new {
      violations.add(
        .foldOfLog, "chunk \(fact.chunk): version \(update.version) is not its update of version \(update.version - 1)")
    }
  }

  func served(_ fact: ServedFact, _ log: JobLog, _ violations: inout Violations) {
    guard log.has(fact.era, fact.chunk), fact.view >= log.view(fact.chunk),
      let known = log.value(fact.chunk, fact.version)
    else { return }
    if known.bits != fact.bits {
      violations.add(
        .foldOfLog, "chunk \(fact.chunk): version \(fact.version) as sent to a worker is not the fold of the log")
    }
  }
}

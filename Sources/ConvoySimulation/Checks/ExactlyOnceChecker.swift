import ParameterServer

/// An acknowledged push is applied exactly once; an unacknowledged one at most once.
struct ExactlyOnceChecker {
  func applied(_ fact: AppliedFact, again: UInt64, _ violations: inout Violations) {
    if again != 0 {
      violations.add(
        .exactlyOnce,
        "chunk \(fact.chunk): shards \(shardList(again)) of step \(fact.payload.step) are applied a second time, with version \(fact.update.version)"
      )
    }
    if fact.payload.isMixed {
      violations.add(
        .exactlyOnce, "chunk \(fact.chunk): version \(fact.update.version) has a shard twice, or shards of two steps")
    }
  }

  func acknowledged(
    _ contribution: Contribution, chunk: Int, era: UInt32, _ log: JobLog, _ violations: inout Violations
  ) {
    let step = Int(contribution.step)
    guard !contribution.isStale, log.has(era, chunk), let rules = log.rules, step < log.steps else { return }
    // Late shards of `backup` are dropped once the step is closed: their acknowledgement says that they may be forgotten.
    if rules.consistency(ofStep: step).sparedShards > 0, log.closed(chunk) > UInt64(step) { return }
    let shards = contribution.node.shards
    guard shards.upperBound <= UInt64.bitWidth else { return }
    let bits = (UInt64.max >> UInt64(UInt64.bitWidth - shards.count)) << UInt64(shards.lowerBound)
    let missing = bits & log.occupied(step) & ~log.units(chunk, step: step)
    if missing != 0 {
      violations.add(
        .exactlyOnce, "chunk \(chunk): shards \(shardList(missing)) of step \(step) are acknowledged and not applied")
    }
  }
}

/// The shards of some bits, for a person.
func shardList(_ bits: UInt64) -> String {
  (0..<64).filter { bits >> UInt64($0) & 1 == 1 }.map(String.init).joined(separator: ",")
}

import ParameterServer

/// Nobody computes further ahead of the oldest open step than the slack of `ssp` allows.
struct BoundedSpreadChecker {
  func computing(_ fact: ComputeFact, _ log: JobLog, _ violations: inout Violations) {
    guard let rules = log.rules, case .ssp(let slack) = rules.consistency(ofStep: fact.order.steps.lowerBound),
      // Those who are left of an earlier era go on among themselves, and nobody takes it down.
      fact.era == log.newestEra, let lines = log.lines(fact.era)
    else { return }
    let oldest = lines.reduce(UInt64.max) { min($0, $1.closed) }
    let step = fact.order.steps.lowerBound
    if UInt64(step) > oldest + UInt64(slack) {
      violations.add(
        .boundedSpread, "a worker computes step \(step) while step \(oldest) is open: more than \(slack) ahead")
    }
  }
}

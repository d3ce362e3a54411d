import ParameterServer

/// Each sample is used once in an epoch: at the job's end every shard of every step is in every chunk; and no unit is
/// leased to two workers at once.
struct SamplesOnceChecker {
  private struct Holder: Equatable {
    let worker: Int
    let life: UInt16
  }

  /// The holder of each unit that was leased in a view: a later view may give what a lost worker held to others.
  private var holders: [Int: Holder] = [:]
  private var view = ViewNumber.none

  mutating func leased(
    _ units: UnitSet, to worker: Int, life: UInt16, in view: ViewNumber, _ violations: inout Violations
  ) {
    if view != self.view {
      holders.removeAll()
      self.view = view
    }
    let holder = Holder(worker: worker, life: life)
    for unit in units.ranges.joined() {
      if let other = holders[unit], other != holder {
        violations.add(.samplesOnce, "unit \(unit) is leased to two workers in view \(view.rawValue)")
      }
      holders[unit] = holder
    }
  }

  /// The job is over; its last checkpoint was cut in an era.
  func ended(in era: UInt32, _ log: JobLog, _ rules: JobRules, _ violations: inout Violations) {
    for (chunk, line) in (log.lines(era) ?? []).enumerated() {
      for step in 0..<rules.steps where rules.round(ofStep: step).lowerBound == step {
        let occupied = log.occupied(step)
        let missing = (occupied & ~line.units[step])
        if missing.nonzeroBitCount > rules.consistency(ofStep: step).sparedShards || line.units[step] & ~occupied != 0 {
          violations.add(
            .samplesOnce, "chunk \(chunk): the job ends without shards \(shardList(missing)) of step \(step)")
          break
        }
      }
    }
  }
}

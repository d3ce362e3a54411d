import ParameterServer

/// Each sample is used once in an epoch: at the job's end every shard of every step is in every chunk; and no unit is
/// leased to two workers at once.
struct SamplesOnceChecker {
  /// The holder of each unit that is leased; 0 for none.
  private var holders: [Int: (member: Member, incarnation: Incarnation)] = [:]

  /// A new era, or a member that left, makes leases void.
  mutating func view(_ view: View, isNewEra: Bool) {
    if isNewEra { holders.removeAll() }
    let living = view.workers.map(\.incarnation)
    holders = holders.filter { living.contains($0.value.incarnation) }
  }

  mutating func leased(
    _ member: Member, _ incarnation: Incarnation, _ units: UnitSet, _ violations: inout Violations
  ) {
    for unit in units.ranges.joined() {
      if let holder = holders[unit], holder.incarnation != incarnation {
        violations.add(
          .samplesOnce,
          "unit \(unit) is leased to \(member) while \(holder.member) holds it: its samples are used twice")
      }
      holders[unit] = (member, incarnation)
    }
  }

  func ended(_ log: JobLog, _ rules: JobRules, _ violations: inout Violations) {
    for (chunk, line) in (log.lines(log.newestEra) ?? []).enumerated() {
      for step in 0..<rules.steps where rules.round(ofStep: step).lowerBound == step {
        let occupied = JobLog.occupied(step, rules)
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

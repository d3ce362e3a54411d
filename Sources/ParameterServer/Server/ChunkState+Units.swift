/// Pushes that are applied one by one, each of a unit of work.
extension ChunkState {
  /// Whether a unit was applied, or is about to be.
  private mutating func hasUnit(_ unit: Int, shards: Int) -> Bool {
    unit < closed * shards || covered.contains(unit) || open?.update.unit == UInt64(unit)
      || queued.contains { Int($0.push.step) * shards + Int($0.push.node.index) == unit }
  }

  /// What becomes of a single push.
  enum SingleOffer {
    /// Let go of it: it was applied, or is about to be.
    case known
    /// Refuse it for its age: the chunk is at a version, with so many closed steps.
    case stale(version: UInt64, closed: Int)
    /// It waits for the update under way.
    case queued
    /// Apply it.
    case open
  }

  /// Takes the push of a unit, and notes who waits for the answer.
  mutating func offer(_ queued: QueuedPush, unit: Int, _ rules: JobRules) -> SingleOffer {
    let push = queued.push
    let pending = version + UInt64(self.queued.count + (open == nil ? 0 : 1))
    let isKnown = hasUnit(unit, shards: rules.schedule.tree.shards)
    if !isKnown, let bound = rules.maximumStaleness, pending - push.basis > bound {
      return .stale(version: version, closed: closed)
    }
    // The answer holds this very push: whatever is queued before it is applied first.
    wait(
      Waiter(
        destination: queued.source, closed: Int(push.awaits), version: isKnown ? pending : pending + 1,
        answers: Contribution(step: push.step, node: push.node)))
    if isKnown { return .known }
    if open == nil { return .open }
    enqueue(queued)
    return .queued
  }

  /// Where an update by a unit begins: at which version, how many steps it closes, and how many schedules count, which
  /// is one for a step's worth of units, whichever they are.
  mutating func next(by unit: Int, _ rules: JobRules) -> (version: UInt64, closed: Int, counted: Int) {
    var next = closed
    while next < rules.steps, !rules.consistency(ofStep: next).isSummed, isWhole(next, with: unit, rules) { next += 1 }
    return (version, next, closed + covered.count / rules.schedule.tree.shards)
  }

  /// Whether every unit of a step is covered or empty, where pushes are applied one by one.
  private mutating func isWhole(_ step: Int, with unit: Int, _ rules: JobRules) -> Bool {
    let shards = rules.schedule.tree.shards
    let end = (step + 1) * shards
    var next = covered.firstMissing(from: step * shards)
    while next < end {
      guard next == unit || rules.isEmpty(unit: next) else { return false }
      next = covered.firstMissing(from: next + 1)
    }
    return true
  }
}

/// Another consistency, from a step on that nobody has begun.
extension Coordinator {
  mutating func setMode(
    _ mode: Consistency, _ connection: Connection, at now: Moment, _ effects: inout [CoordinatorEffect]
  ) {
    guard let view, recovery == nil, case .running = phase else {
      return refuse(Refusal(.misplaced, "the job is not training: try again"), connection, &effects)
    }
    guard view.rules.switched(to: mode, fromStep: view.rules.steps - 1) != nil || view.rules.steps == 1 else {
      return refuse(Refusal(.misplaced, "\(mode) does not suit a job of these shards"), connection, &effects)
    }
    wantedMode = mode
    // Nobody works while the servers have a view and the workers do not: only then is a step known that nobody has begun.
    revise(.switched(mode), at: now, &effects)
    send(.status(status(at: now)), to: connection, &effects)
  }

  /// All servers work in the view and no worker does: switches at the end of the newest round that can be under way.
  mutating func switchMode(
    to mode: Consistency, at now: Moment, _ effects: inout [CoordinatorEffect]
  ) -> Bool {
    guard let view else { return false }
    wantedMode = nil
    let rules = view.rules
    let shards = rules.schedule.tree.shards
    let slack = rules.consistency(ofStep: min(closedSteps, rules.steps - 1)).slack
    let newest = min(closedSteps + slack, rules.steps - 1)
    var step = rules.round(ofStep: newest).upperBound
    // What is leased, and what a checkpoint holds of later steps, is applied as it was begun.
    let isLeased = rules.consistency(ofStep: newest).isLeased
    let reach = max(book?.appliedEnd ?? 0, isLeased ? book?.frontier ?? 0 : 0)
    step = max(step, (reach + shards - 1) / shards)
    guard step < rules.steps, rules.consistency(ofStep: step) != mode,
      let switched = rules.switched(to: mode, fromStep: step)
    else { return false }
    establish(
      View(
        number: nextNumber, era: view.era, origin: view.origin, isBeginning: view.isBeginning, rules: switched,
        servers: view.servers, workers: view.workers, since: view.since),
      .switched(mode), at: now, &effects)
    return true
  }
}

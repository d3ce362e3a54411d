/// Another consistency, from a step on that nobody has begun. Who asked for it is answered when a view with it is written
/// down, or when it cannot come any more.
extension Coordinator {
  /// Most who are answered of those who ask for one mode.
  private static let maximumAskers = 16

  mutating func setMode(
    _ mode: Consistency, _ connection: Connection, at now: Moment, _ effects: inout [CoordinatorEffect]
  ) {
    if case .ending = phase { return refuseMode("too late: the job is over", connection, &effects) }
    guard let view, recovery == nil, case .running = phase else {
      return refuseMode("the job is not training: try again", connection, &effects)
    }
    guard view.rules.switched(to: mode, fromStep: view.rules.steps - 1) != nil || view.rules.steps == 1 else {
      return refuseMode("\(mode) does not suit a job of these shards", connection, &effects)
    }
    if let wantedMode {
      // Asked once more while the servers are told.
      guard wantedMode == mode else {
        return refuseMode("the mode is being set to \(wantedMode): try again", connection, &effects)
      }
      if !modeAskers.contains(connection), modeAskers.count < Self.maximumAskers { modeAskers.append(connection) }
      return
    }
    // It is written down already: the answer did not come.
    if view.rules.segments.last?.consistency == mode {
      return send(.status(status(at: now)), to: connection, &effects)
    }
    wantedMode = mode
    modeAskers = [connection]
    // Nobody works while the servers have a view and the workers do not: only then is a step known that nobody has begun.
    revise(.switched(mode), at: now, &effects)
  }

  private mutating func refuseMode(_ text: String, _ connection: Connection, _ effects: inout [CoordinatorEffect]) {
    refuse(Refusal(.misplaced, text), connection, &effects)
  }

  /// The mode that was asked for does not come any more.
  mutating func giveUpMode(_ text: String, _ effects: inout [CoordinatorEffect]) {
    wantedMode = nil
    let askers = modeAskers
    modeAskers = []
    for connection in askers { refuseMode(text, connection, &effects) }
  }

  /// All servers work in the view and no worker does: switches at the end of the newest round that can be under way.
  mutating func switchMode(
    to mode: Consistency, at now: Moment, _ effects: inout [CoordinatorEffect]
  ) -> Bool {
    guard let view else { return false }
    let rules = view.rules
    let shards = rules.schedule.tree.shards
    let slack = rules.consistency(ofStep: min(closedSteps, rules.steps - 1)).slack
    let newest = min(closedSteps + slack, rules.steps - 1)
    var step = rules.round(ofStep: newest).upperBound
    // What is leased, and what a checkpoint holds of later steps, is applied as it was begun.
    let isLeased = rules.consistency(ofStep: newest).isLeased
    let reach = max(book?.appliedEnd ?? 0, isLeased ? book?.frontier ?? 0 : 0)
    step = max(step, (reach + shards - 1) / shards)
    guard step < rules.steps, let switched = rules.switched(to: mode, fromStep: step) else {
      giveUpMode(
        "too late: the last of the \(rules.steps) steps is begun or given out in the mode that holds", &effects)
      return false
    }
    wantedMode = nil
    let askers = modeAskers
    modeAskers = []
    // Where the step has the mode already, what was planned for later ones goes; nothing else changes.
    let isNew = switched != rules
    if isNew {
      establish(
        View(
          number: nextNumber, era: view.era, origin: view.origin, isBeginning: view.isBeginning, rules: switched,
          servers: view.servers, workers: view.workers, since: view.since),
        .switched(mode), at: now, &effects)
    }
    for connection in askers { send(.status(status(at: now)), to: connection, &effects) }
    return isNew
  }
}

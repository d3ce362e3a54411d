import ParameterServer

/// The coordinator's process in the test cluster.
struct CoordinatorProcess {
  let actor = Actor.coordinator
  var machine: Coordinator
  var payloads = Payloads()
  var timer: UInt64?
  var stopped: StopReason?
  private(set) var violations: [String] = []
  private(set) var reports: [CoordinatorReport] = []
  /// The final chunks, as they came.
  private(set) var collected: [Int: UInt64] = [:]
  private(set) var stored: JobRules?

  init(machine: Coordinator) {
    self.machine = machine
  }

  /// The view that training began in.
  var view: View? {
    for case .begun(let view) in reports { return view }
    return nil
  }

  /// How many members were reported to have joined.
  var joined: Int {
    reports.count { if case .joined = $0 { true } else { false } }
  }

  /// The totals at the end.
  var trained: JobProgress? {
    for case .trained(let progress) in reports { return progress }
    return nil
  }

  /// Takes an event and does what the machine decides.
  mutating func handle(_ event: CoordinatorEvent, _ cluster: inout ClusterPost) {
    let wasOver = stopped != nil
    for effect in machine.handle(event, at: Moment(milliseconds: cluster.now)) {
      if case .release = effect {} else if wasOver { violations.append("the coordinator does \(effect) after its end") }
      perform(effect, &cluster)
    }
  }

  private mutating func perform(_ effect: CoordinatorEffect, _ cluster: inout ClusterPost) {
    switch effect {
    case .send(let envelope, let connection): cluster.send(envelope, nil, from: actor, to: .connection(connection))
    case .collect(let chunk, let handle):
      guard let payload = payloads.release(handle, "collect it") else { return }
      if collected.updateValue(payload.value, forKey: chunk) != nil { violations.append("chunk \(chunk) came twice") }
    case .release(let handle): payloads.release(handle, "release it")
    case .store(let rules):
      if stored != nil { violations.append("the model is stored twice") }
      stored = rules
      cluster.follow(.coordinator(.stored), of: actor)
    case .report(let report): reports.append(report)
    case .timer(let moment):
      if moment.milliseconds <= cluster.now { violations.append("the coordinator's timer is in the past") }
      timer = moment.milliseconds
    case .stop(let reason): stopped = reason
    }
  }
}

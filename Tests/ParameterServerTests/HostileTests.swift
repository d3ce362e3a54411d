import ParameterServer
import Testing

/// Whatever comes, in whatever phase: no machine traps, and every payload is let go of once.
@Suite struct HostileTests {
  private let rules = Job.rules(.sync, then: [(2, .ssp(2)), (3, .local(2)), (5, .async), (7, .backup(1))], slots: 2)

  private func view(
    _ rules: JobRules, _ number: UInt64 = 1, era: UInt32 = 1, origin: View.Origin = .initial
  ) -> View {
    Job.view(
      rules, number, era: era, origin: origin, chunks: [[0], [1]], replicas: [[1], [0]],
      nodes: [[node(1, 0)], [node(1, 1)]])
  }

  // MARK: Server

  /// Servers in every phase.
  private var servers: [ServerBench] {
    var benches: [ServerBench] = []
    var joining = ServerBench(unstarted: view(rules))
    benches.append(joining)
    _ = joining.handle(.started)
    benches.append(joining)
    joining.join()
    benches.append(joining)
    _ = joining.adopt(joining.view)
    benches.append(joining)
    var working = ServerBench(view(rules))
    benches.append(working)
    _ = working.push(0, node(0, 1))
    benches.append(working)
    _ = working.push(0, node(2, 0))
    benches.append(working)
    var single = ServerBench(view(Job.rules(.async)))
    _ = single.push(0, node(0, 1), awaits: 0)
    _ = single.push(0, node(0, 2), awaits: 0)
    _ = single.send(.marker(1), from: worker(0))
    benches.append(single)
    _ = single.push(0, node(0, 3), awaits: 0)
    benches.append(single)
    var clipping = ServerBench(view(Job.rules(slots: 2, clips: true)))
    benches.append(clipping)
    _ = clipping.push(0, node(2, 0))
    benches.append(clipping)
    _ = clipping.send(.norm(chunk: 1, step: 0), from: server(1), bytes: 8)
    benches.append(clipping)
    var measuring = ServerBench(view(Job.rules(slots: 2, clips: true)), number: 1)
    _ = measuring.push(0, node(2, 0), chunk: 1)
    benches.append(measuring)
    let restoring = ServerBench(view(rules, origin: .checkpoint(step: 3)))
    benches.append(restoring)
    return benches
  }

  /// Lets a server go on, and then to another era: it may keep nothing of the one before.
  private func settle(_ bench: inout ServerBench) {
    for version in 1...3 as ClosedRange<UInt64> {
      for chunk in 0...1 { _ = bench.applied(chunk, version) }
    }
    _ = bench.tick()
    guard bench.handle(.timer).stops.isEmpty, bench.server.member == bench.me else { return }
    let adopted = bench.adopt(view(bench.view.rules, 1 << 40, era: 9))
    guard adopted.contains(.adopt(bench.view)) else { return }
    if !bench.ledger.held.isEmpty { Issue.record("payloads outlive their era") }
  }

  @Test func aServerTakesNothingWrong() {
    for bench in servers {
      for message in Hostile.messages(to: .server) {
        for (sender, source) in [
          (worker(0), ServerBench.connection(worker(0))),
          (server(1 - bench.me.number), ServerBench.connection(server(1 - bench.me.number))),
          (Member.coordinator, .coordinator),
        ] {
          for bytes in Hostile.lengths {
            var copy = bench
            let payload = bytes.map { copy.arrive($0) }
            let life = sender == .coordinator ? Incarnation(1) : Job.life(sender)
            let envelope = Envelope(
              token: Job.token, view: bench.view.number, sender: sender, incarnation: life, message: message)
            let effects = copy.handle(.message(envelope, from: source, payload: payload))
            if effects.stops.isEmpty { settle(&copy) }
          }
        }
      }
    }
  }

  // MARK: Worker

  private var workers: [WorkerBench] {
    var benches: [WorkerBench] = []
    for rules in [rules, Job.rules(.ssp(2)), Job.rules(.async), Job.rules(.backup(2)), Job.rules(.local(3), slots: 2)] {
      var bench = WorkerBench(view(rules))
      benches.append(bench)
      _ = bench.fromCoordinator(.leases(Leases(grant: 1, units: UnitSet(ranges: [20..<24])!)))
      let orders = bench.allValues(closed: 0).orders
      benches.append(bench)
      guard let order = orders.first else { continue }
      _ = bench.ready(order, chunks: [0])
      benches.append(bench)
      _ = bench.compute(order)
      benches.append(bench)
    }
    return benches
  }

  private func settle(_ bench: inout WorkerBench) {
    _ = bench.after(500)
    guard bench.handle(.timer).stops.isEmpty else { return }
    let adopted = bench.adopt(view(bench.view.rules, 1 << 40, era: 9))
    guard adopted.contains(.adopt(bench.view)) else { return }
    for order in 1...2 as ClosedRange<UInt64> {
      _ = bench.handle(.computeFinished(order: order, milliseconds: .max / 4))
    }
    if !bench.ledger.held.isEmpty { Issue.record("payloads outlive their era") }
  }

  @Test func aWorkerTakesNothingWrong() {
    for bench in workers {
      for message in Hostile.messages(to: .worker) {
        for sender in [server(0), server(1), .coordinator] {
          for bytes in Hostile.lengths {
            var copy = bench
            let payload = bytes.map { copy.arrive($0) }
            let envelope = Envelope(
              token: Job.token, view: bench.view.number, sender: sender,
              incarnation: sender == .coordinator ? Incarnation(1) : Job.life(sender), message: message)
            let source = sender == .coordinator ? Destination.coordinator : .server(sender)
            let effects = copy.handle(.message(envelope, from: source, payload: payload))
            if effects.stops.isEmpty { settle(&copy) }
          }
        }
      }
    }
  }

  // MARK: Coordinator

  private var coordinators: [CoordinatorBench] {
    var benches: [CoordinatorBench] = []
    for plan in [
      CoordinatorBench.plan(replicas: true, every: 1), CoordinatorBench.plan(.async, every: 1, interval: 100),
      CoordinatorBench.plan(.ssp(2), every: 2),
    ] {
      var bench = CoordinatorBench(plan)
      benches.append(bench)
      _ = bench.handle(.started)
      _ = bench.join(worker(0))
      benches.append(bench)
      _ = bench.join(server(0))
      _ = bench.join(server(1))
      _ = bench.join(worker(1))
      benches.append(bench)
      _ = bench.acceptAll()
      benches.append(bench)
      _ = bench.pass(500, steps: 3)
      _ = bench.snapshot(0, closed: 3)
      benches.append(bench)
      var losing = bench
      _ = losing.handle(.ended(name: "server.0"))
      _ = losing.handle(.ended(name: "server.1"))
      benches.append(losing)
      benches.append(bench.restarted().bench)
      _ = bench.handle(.interrupted)
      benches.append(bench)
    }
    return benches
  }

  @Test func aCoordinatorTakesNothingWrong() {
    for bench in coordinators {
      for message in Hostile.messages(to: .coordinator) {
        for sender in [worker(0), server(1)] {
          for bytes in [nil, 64] as [Int?] {
            var copy = bench
            _ = copy.send(message, from: sender, bytes: bytes)
            _ = copy.send(.progress(Progress(steps: 4, shards: 9, busy: 700)), from: worker(1))
            // What was said is reckoned with: who goes, where the shards move, when a cut is due.
            _ = copy.handle(.ended(name: "worker.1"))
            if let view = copy.coordinator.currentView { for line in view.servers { accept(&copy, line.member) } }
            copy.now += 250
            _ = copy.handle(.timer)
            _ = copy.handle(.ended(name: "worker.0"))
            if !copy.ledger.held.isEmpty { Issue.record("\(message) leaves its payload") }
          }
        }
      }
    }
  }

  private func accept(_ bench: inout CoordinatorBench, _ member: Member) {
    _ = bench.send(.viewAccepted(closed: 4), from: member)
  }

  // MARK: Nothing is dropped in silence

  /// Whether an event led to something: an effect beside the timer and letting go of what came along.
  private func acts(_ effects: [ServerEffect]) -> Bool {
    effects.contains {
      switch $0 {
      case .timer, .release: false
      default: true
      }
    }
  }

  private func acts(_ effects: [WorkerEffect]) -> Bool {
    effects.contains {
      switch $0 {
      case .timer, .release: false
      default: true
      }
    }
  }

  private func acts(_ effects: [CoordinatorEffect]) -> Bool {
    effects.contains {
      switch $0 {
      case .timer, .release: false
      default: true
      }
    }
  }

  @Test("What neither leads to anything nor changes anything is counted with its reason: by a server")
  func serversDropNothingInSilence() {
    for bench in servers {
      let before = "\(bench.server)"
      for message in Hostile.messages(to: .server) + Extreme.toServer(1) + Extreme.toServer(1 << 40)
      where message != .alive {
        for (sender, source) in [
          (worker(0), ServerBench.connection(worker(0))),
          (server(1 - bench.me.number), ServerBench.connection(server(1 - bench.me.number))),
          (Member.coordinator, .coordinator),
        ] {
          var copy = bench
          let envelope = Envelope(
            token: Job.token, view: bench.view.number, sender: sender,
            incarnation: sender == .coordinator ? Incarnation(1) : Job.life(sender), message: message)
          let payload = copy.arrive(64)
          let effects = copy.handle(.message(envelope, from: source, payload: payload))
          if !acts(effects), "\(copy.server)" == before {
            Issue.record("\(message) of \(sender) is dropped in silence")
          }
        }
      }
    }
  }

  @Test("The same by a worker")
  func workersDropNothingInSilence() {
    for bench in workers {
      let before = "\(bench.worker)"
      for message in Hostile.messages(to: .worker) + Extreme.toWorker(1) + Extreme.toWorker(1 << 40)
      where message != .alive {
        for sender in [server(0), server(1), .coordinator] {
          var copy = bench
          let envelope = Envelope(
            token: Job.token, view: bench.view.number, sender: sender,
            incarnation: sender == .coordinator ? Incarnation(1) : Job.life(sender), message: message)
          let source = sender == .coordinator ? Destination.coordinator : .server(sender)
          let payload = copy.arrive(64)
          let effects = copy.handle(.message(envelope, from: source, payload: payload))
          if !acts(effects), "\(copy.worker)" == before {
            Issue.record("\(message) of \(sender) is dropped in silence")
          }
        }
      }
    }
  }

  @Test("The same by a coordinator, which is told also what its disk and its launcher have done")
  func coordinatorsDropNothingInSilence() {
    for bench in coordinators {
      let before = "\(bench.coordinator)"
      for message in Hostile.messages(to: .coordinator) + Extreme.toCoordinator(1) + Extreme.toCoordinator(1 << 40) {
        for sender in [worker(0), server(1), server(7)] {
          var copy = bench
          let effects = copy.send(message, from: sender, bytes: 64)
          if !acts(effects), "\(copy.coordinator)" == before {
            Issue.record("\(message) of \(sender) is dropped in silence")
          }
        }
      }
      for event: CoordinatorEvent in [
        .stored(step: 1), .notStored(step: 1, ""), .loaded(nil), .ended(name: "nobody"), .ended(name: "worker.0"),
      ] {
        var copy = bench
        let effects = copy.handle(event)
        if !acts(effects), "\(copy.coordinator)" == before { Issue.record("\(event) is dropped in silence") }
      }
    }
  }

  @Test func theWrongTokenIsNeverTaken() {
    for (bench, source) in [(servers[4], Destination.coordinator), (servers[4], ServerBench.connection(worker(0)))] {
      for message in Hostile.messages(to: .server) {
        var copy = bench
        let payload = copy.arrive(64)
        let envelope = Envelope(
          token: Job.otherToken, view: bench.view.number, sender: source == .coordinator ? .coordinator : worker(0),
          incarnation: source == .coordinator ? Incarnation(1) : Job.life(worker(0)), message: message)
        let effects = copy.handle(.message(envelope, from: source, payload: payload))
        #expect(effects.released == [payload.handle] && effects.stops.isEmpty && effects.updates.isEmpty)
      }
    }
  }
}

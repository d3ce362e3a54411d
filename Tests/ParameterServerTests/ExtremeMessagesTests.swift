import ParameterServer
import Testing

/// One number of one message is none that the job makes possible: the job goes on, ends as it would have, and what is
/// written down can be read.
@Suite struct ExtremeMessagesTests {
  // MARK: Coordinator

  /// Trains what is left and ends the job; everyone who is still in the view takes part.
  private func end(_ bench: inout CoordinatorBench) -> [CoordinatorEffect] {
    var effects = bench.acceptAll()
    for number in 0...1 as ClosedRange<UInt32> where bench.view.worker(worker(number)) != nil {
      let totals = EpochTotals(epoch: 0, samples: 16, lossSum: 4, correct: 8)
      effects += bench.send(.progress(Progress(steps: 8, shards: 32, epochs: [totals])), from: worker(number))
    }
    effects += bench.handle(.timer)
    effects += bench.snapshots(closed: 8)
    effects += bench.handle(.stored(step: 8))
    for member in bench.view.servers.map(\.member) + bench.view.workers.map(\.member) {
      let last = Progress(steps: 8, shards: 32)
      effects += bench.send(.leaving(Leaving(text: "", isOrderly: true, progress: last)), from: member)
    }
    return effects
  }

  private func check(_ bench: CoordinatorBench, after what: String) {
    var copy = bench
    let client = Envelope(
      token: Job.token, view: .none, sender: Member(.client, 0), incarnation: Incarnation(9), message: .statusRequest)
    let status = copy.handle(.message(client, from: Connection(9), payload: nil))
    #expect(status.messages.contains { if case .status = $0 { true } else { false } }, "\(what)")
    let effects = end(&copy)
    #expect(effects.stops == [.completed], "\(what)")
    var check = JournalCheck()
    for record in copy.journal {
      if let problem = check.problem(of: record) { Issue.record("\(what): \(problem) is written down: \(record)") }
    }
    #expect(check.problem == nil, "\(what)")
    var successor = copy.restarted().bench
    successor.now += 5000
    #expect(successor.handle(.timer).stops == [.completed], "\(what)")
    #expect(successor.coordinator.answerAfterEnd(to: client, at: Moment(milliseconds: copy.now)) != nil)
    guard case .trained(let progress)? = copy.reports.last(where: { if case .trained = $0 { true } else { false } })
    else {
      Issue.record("\(what): nothing was trained")
      return
    }
    // 64 samples by two honest workers, and what a report can claim of the job's 32 at most.
    #expect(progress.samples <= 32 + 17 * 32 << 16, "\(what)")
    #expect(progress.epochs.allSatisfy { $0.lossSum.isFinite && $0.correct <= $0.samples }, "\(what)")
  }

  @Test(arguments: [Consistency.sync, .async, .ssp(2)])
  func aCoordinatorGoesOn(_ mode: Consistency) {
    let training = CoordinatorBench.training(CoordinatorBench.plan(mode, every: 2))
    for number in Extreme.numbers {
      for message in Extreme.toCoordinator(number) + Extreme.absurdLosses.map({ .progress($0) }) {
        for sender in [worker(0), server(0)] {
          var bench = training
          var bytes: Int?
          if case .snapshot = message { bytes = 64 }
          let effects = bench.send(message, from: sender, bytes: bytes)
          #expect(effects.records.allSatisfy { if case .view = $0 { false } else { true } })
          check(bench, after: "\(message) from \(sender)")
        }
      }
    }
  }

  @Test("Sixteen lives of a worker say the same and leave, one after the other")
  func manyLives() {
    let training = CoordinatorBench.training(CoordinatorBench.plan(.async, every: 2))
    for number in Extreme.numbers {
      for report in Extreme.reports(number) + Extreme.absurdLosses {
        var bench = training
        for life in 1...16 as ClosedRange<UInt64> {
          _ = bench.join(worker(9), life: 9000 + life)
          _ = bench.acceptAll()
          _ = bench.send(.progress(report), from: worker(9))
          _ = bench.send(.leaving(Leaving(text: "", isOrderly: true, progress: report)), from: worker(9))
          _ = bench.acceptAll()
        }
        check(bench, after: "\(report)")
      }
    }
  }

  @Test("What cannot be is refused as such, counted, and not reckoned with; who was given no work cannot tell of any")
  func refusals() {
    let training = CoordinatorBench.training(CoordinatorBench.plan(.async))
    for message: Message in [
      .progress(Progress(steps: 9, shards: 0)), .progress(Progress(steps: 0, shards: 32 << 16 + 1)),
      .progress(Progress(steps: 1, shards: 1, epochs: [EpochTotals(epoch: 2, samples: 1)])),
      .progress(Progress(steps: 1, shards: 1, epochs: [EpochTotals(epoch: 0, samples: 1 << 58)])),
      .progress(Progress(steps: 1, shards: 1, epochs: [EpochTotals(epoch: 0, samples: 4, lossSum: .nan)])),
      .progress(Progress(steps: 1, shards: 1, behind: 9)),
      .leaseRequest(LeaseRequest(grant: 1, held: UnitSet(), wantsMore: true)),
      .leaseRequest(LeaseRequest(grant: 0, held: UnitSet(ranges: [30..<33])!, wantsMore: true)),
    ] {
      var bench = training
      #expect(bench.send(message, from: worker(0)).refusals == [.outOfBounds], "\(message)")
      #expect(bench.coordinator.refusals[.outOfBounds] == 1)
    }
    for message: Message in [.viewAccepted(closed: 9), .stateLost(chunk: 9)] {
      var bench = training
      #expect(bench.send(message, from: server(0)).refusals == [.outOfBounds], "\(message)")
    }
    var bench = training
    _ = bench.hello(.worker, "worker.5", life: Job.life(worker(5)).rawValue)
    let told = bench.send(.progress(Progress(steps: 1, shards: 1)), from: worker(5))
    #expect(told.refusals == [.outOfBounds])
  }

  // MARK: Server and worker

  @Test func aServerGoesOn() {
    for (rules, replicas) in [(Job.rules(), [[], [0, 1]]), (Job.rules(.async), [])] as [(JobRules, [[UInt32]])] {
      let view = Job.view(
        rules, chunks: replicas.isEmpty ? [[0, 1]] : [[0, 1], []], replicas: replicas, nodes: [[node(2, 0)], []])
      var training = ServerBench(view)
      if !replicas.isEmpty { _ = training.send(.replicated(chunk: 0, version: 0), from: server(1)) }
      for number in Extreme.numbers {
        for message in Extreme.toServer(number) {
          for sender in [worker(0), server(1), .coordinator]
          where sender == .coordinator || view.incarnation(of: sender) != nil {
            for bytes in [nil, 64] as [Int?] {
              var bench = training
              let effects =
                sender == .coordinator
                ? bench.fromCoordinator(message, bytes: bytes) : bench.send(message, from: sender, bytes: bytes)
              #expect(effects.stops.isEmpty, "\(message)")
              #expect(effects.updates.allSatisfy { $0.samples <= 8 && $0.shards <= 4 && $0.version == 1 }, "\(message)")
              // A cut is over when all have marked it.
              if case .marker = message, sender.role == .worker { _ = bench.send(message, from: worker(1)) }
              let done = settle(&bench, effects)
              finish(&bench, rules, message, done)
            }
          }
        }
      }
    }
  }

  /// Makes what was ordered, and what follows from it; all effects.
  private func settle(_ bench: inout ServerBench, _ effects: [ServerEffect]) -> [ServerEffect] {
    var (all, next) = (effects, effects)
    while !next.updates.isEmpty {
      let updates = next.updates
      next = []
      for update in updates {
        next += bench.applied(Int(update.chunk), update.version)
        guard bench.view.servers.count > 1 else { continue }
        next += bench.send(.replicated(chunk: update.chunk, version: update.version), from: server(1))
      }
      all += next
    }
    return all
  }

  /// Trains every step: whatever was said, the last one is closed and snapshotted.
  private func finish(
    _ bench: inout ServerBench, _ rules: JobRules, _ message: Message, _ done: [ServerEffect]
  ) {
    var snapshots: Set<UInt32> = []
    func note(_ effects: [ServerEffect]) {
      snapshots.formUnion(effects.snapshots.filter { Int($0.closed) == rules.steps }.map(\.chunk))
    }
    note(done + settle(&bench, bench.tick()))
    for step in 0..<rules.steps {
      for chunk in 0...1 as ClosedRange<UInt32> {
        let nodes = rules.consistency(ofStep: step).isSummed ? [node(2, 0)] : (0..<4).map { node(0, $0) }
        for (index, node) in nodes.enumerated() {
          let basis = UInt64(step * nodes.count + index)
          note(settle(&bench, bench.push(step, node, chunk: chunk, basis: basis, awaits: 0)))
        }
      }
    }
    #expect(snapshots == [0, 1], "after \(message)")
  }

  @Test func aWorkerGoesOn() {
    for rules in [Job.rules(), Job.rules(.async), Job.rules(.ssp(2))] {
      let view = Job.view(rules, chunks: [[0], [1]], nodes: [[node(2, 0)]])
      var training = WorkerBench(view)
      _ = training.fromCoordinator(.leases(Leases(grant: 1, units: UnitSet(ranges: [0..<4])!)))
      let begun = training.allValues(closed: 0).orders
      #expect(begun.count == 1)
      for number in Extreme.numbers {
        for message in Extreme.toWorker(number) {
          for sender in [server(0), .coordinator] {
            var bench = training
            let effects =
              sender == .coordinator
              ? bench.fromCoordinator(message, bytes: 64) : bench.send(message, from: sender, bytes: 64)
            #expect(effects.stops.isEmpty, "\(message)")
            let after = bench.compute(begun[0])
            #expect(!after.pushes.isEmpty && after.pushes.allSatisfy { $0.basis <= Bounds.count || $0.basis == number })
            _ = bench.after(1000)
          }
        }
      }
    }
  }
}

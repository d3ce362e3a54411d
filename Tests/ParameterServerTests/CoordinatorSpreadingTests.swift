import ParameterServer
import Testing

/// Chunks that go back to a server that came back.
@Suite struct CoordinatorSpreadingTests {
  /// Two servers with replicas, of which the second was lost and is back as another life: it keeps replicas only.
  private func bench(_ consistency: Consistency = .sync, every: Int? = nil) -> CoordinatorBench {
    var plan = CoordinatorBench.plan(consistency, replicas: true, steps: 64, every: every)
    plan.elements = 128
    var bench = CoordinatorBench.training(plan)
    _ = bench.pass(2500, silent: [server(1)])
    _ = bench.acceptAll()
    _ = bench.join(server(1), life: 999)
    return bench
  }

  private func chunks(_ bench: CoordinatorBench) -> [[UInt32]] { bench.view.servers.map(\.chunks) }

  @Test func itServesAgainOnceItsReplicasAreInStep() {
    var bench = bench()
    #expect(chunks(bench) == [[0, 1, 2, 3, 4, 5, 6, 7], []] && bench.view.servers[1].replicas.count == 8)
    _ = bench.pass(5000)
    #expect(chunks(bench)[1].isEmpty, "not every server works in the view")
    _ = bench.acceptAll()
    let before = bench.view
    var effects: [CoordinatorEffect] = []
    for _ in 0..<20 {
      bench.now += 250
      effects += bench.send(.progress(Progress(steps: 3, shards: 1, behind: 2)), from: server(0))
      effects += bench.send(.progress(Progress(steps: 0, shards: 0)), from: server(1))
      for number in [0, 1] as [UInt32] {
        effects += bench.send(.progress(Progress(steps: 3, shards: 1)), from: worker(number))
      }
      effects += bench.handle(.timer)
    }
    #expect(bench.view == before, "two replicas have not all that they need")
    effects = bench.send(.progress(Progress(steps: 3, shards: 1)), from: server(0)) + bench.handle(.timer)
    #expect(effects.records.contains(.view(bench.view)) && bench.view.number.rawValue == before.number.rawValue + 1)
    #expect(chunks(bench).map(\.count) == [4, 4] && bench.view.problem == nil)
    #expect(zip(bench.view.servers, bench.view.servers.reversed()).allSatisfy { $0.chunks == $1.replicas })
    #expect(bench.view.workers == before.workers && bench.view.since == before.since && !bench.view.isBeginning)
    #expect(bench.reports.contains(.view(bench.view, .respread)))
    #expect(effects.views.count == 2, "workers are told when the servers work in it")
    #expect(bench.acceptAll().views.count == 2)
    let spread = bench.view
    _ = bench.pass(6000)
    #expect(bench.view == spread, "it is even")
  }

  @Test func notWhileACutIsGathered() {
    var bench = bench(every: 2)
    _ = bench.acceptAll()
    for chunk in 0..<7 as Range<UInt32> { _ = bench.snapshot(chunk, closed: 2) }
    _ = bench.pass(5000)
    #expect(chunks(bench)[1].isEmpty)
    _ = bench.snapshot(7, closed: 2)
    _ = bench.pass(500)
    #expect(chunks(bench).map(\.count) == [4, 4])
  }

  @Test func notWhileWorkersMarkACut() {
    var bench = bench(.async, every: 2)
    _ = bench.acceptAll()
    let marked = bench.send(.progress(Progress(steps: 2, shards: bench.now)), from: server(0))
    #expect(!marked.cuts.isEmpty)
    _ = bench.pass(5000)
    #expect(chunks(bench)[1].isEmpty)
    _ = bench.snapshots(closed: 2)
    _ = bench.pass(500)
    #expect(chunks(bench).map(\.count) == [4, 4])
  }

  @Test func twoMovesAreSomeTimeApart() {
    var plan = CoordinatorBench.plan(servers: 3, replicas: true, steps: 64)
    plan.elements = 192
    var bench = CoordinatorBench.training(plan)
    _ = bench.pass(2500, silent: [server(2)])
    _ = bench.acceptAll()
    _ = bench.join(server(2), life: 999)
    _ = bench.acceptAll()
    var moves: [(at: UInt64, view: View)] = []
    while bench.now < 20_000 {
      let before = bench.view.number
      _ = bench.pass(250)
      guard bench.view.number != before else { continue }
      moves.append((bench.now, bench.view))
      _ = bench.acceptAll()
    }
    #expect(moves.count >= 2 && moves.allSatisfy { $0.view.problem == nil })
    for (earlier, later) in zip(moves, moves.dropFirst()) { #expect(later.at - earlier.at >= Deadlines().respread) }
    #expect(chunks(bench).map(\.count) == [4, 4, 4])
  }

  @Test func withoutReplicasALateServerStandsBy() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(steps: 64))
    let before = bench.view
    _ = bench.join(server(2))
    _ = bench.pass(6000)
    #expect(bench.view == before)
  }
}

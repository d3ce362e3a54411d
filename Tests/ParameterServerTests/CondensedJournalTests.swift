import ParameterServer
import Testing

/// A successor that reads what was condensed goes on as one that reads everything.
@Suite struct CondensedJournalTests {
  private func restarted(_ bench: CoordinatorBench, _ journal: [JournalRecord]) -> CoordinatorBench {
    var successor = CoordinatorBench(bench.plan, journal: journal, at: bench.now)
    successor.lives = bench.lives
    _ = successor.handle(.started)
    _ = successor.acceptAll()
    return successor
  }

  private func request(
    _ grant: UInt64, held: [Range<Int>] = [], by number: UInt32, _ bench: inout CoordinatorBench
  ) -> Leases? {
    let request = LeaseRequest(grant: grant, held: UnitSet(ranges: held)!, wantsMore: true)
    return bench.send(.leaseRequest(request), from: worker(number)).leased.first
  }

  @Test func leasesTotalsAndTheViewGoOn() throws {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(.async, workers: 3, steps: 4096))
    for number in 0..<3 as Range<UInt32> {
      let first = try #require(request(0, by: number, &bench))
      #expect(try #require(request(1, held: first.units.ranges, by: number, &bench)).grant == 2)
    }
    // One is gone with what it held, and what it had computed counts.
    let totals = [EpochTotals(epoch: 0, samples: 16)]
    _ = bench.send(.progress(Progress(steps: 0, shards: 9, epochs: totals)), from: worker(2))
    _ = bench.pass(2000, silent: [worker(2)])
    _ = bench.acceptAll()
    let condensed = bench.coordinator.condensedJournal
    #expect(condensed.count < bench.journal.count && condensed.first == .term(1))
    #expect(condensed.contains(.totals(totals)) && condensed.contains(.view(bench.view)))
    var (whole, short) = (restarted(bench, bench.journal), restarted(bench, condensed))
    #expect(whole.view == short.view && whole.coordinator.condensedJournal == short.coordinator.condensedJournal)
    // The answer that was lost comes again; then come the units of the one who is gone.
    for number in 0..<2 as Range<UInt32> {
      let again = (request(1, by: number, &whole), request(1, by: number, &short))
      #expect(again.0 == again.1 && again.1?.grant == 2)
      let next = (request(2, by: number, &whole), request(2, by: number, &short))
      #expect(next.0 == next.1 && next.1?.grant == 3)
    }
    #expect(short.journal.contains { if case .leased(_, _, let leases) = $0 { leases.grant == 3 } else { false } })
  }

  @Test func beforeTheFirstViewThereIsTheTerm() {
    var bench = CoordinatorBench(CoordinatorBench.plan())
    _ = bench.handle(.started)
    #expect(bench.coordinator.condensedJournal == [.term(1), .totals([])])
  }

  @Test func howLatePushesCameStays() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(.async, servers: 2))
    let counts = StalenessCounts(bins: [3, 2], sum: 2, largest: 1)
    _ = bench.send(.progress(Progress(steps: 0, shards: 0, staleness: counts)), from: server(1))
    _ = bench.handle(.ended(name: "server.1"))
    let condensed = bench.coordinator.condensedJournal
    #expect(condensed.contains(.totals([], counts)))
    #expect(Coordinator.difference(bench.plan, bench.journal, condensed) == nil)
    let without = condensed.map { if case .totals(let totals, _) = $0 { JournalRecord.totals(totals) } else { $0 } }
    #expect(Coordinator.difference(bench.plan, bench.journal, without) == "other counts of staleness")
  }

  @Test func whatWhoeverStoodByHadComputedStays() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(workers: 1))
    let totals = [EpochTotals(epoch: 0, samples: 16)]
    _ = bench.join(worker(1))
    _ = bench.handle(.ended(name: "server.0"))
    _ = bench.send(.progress(Progress(steps: 0, shards: 9, epochs: totals)), from: worker(1))
    _ = bench.handle(.ended(name: "worker.1"))
    #expect(Coordinator.difference(bench.plan, bench.journal, bench.coordinator.condensedJournal) == nil)
    #expect(bench.journal.contains(.totals(totals)))
  }

  @Test func aJobThatIsCompletedStaysSo() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    _ = bench.snapshots(closed: 8)
    _ = bench.handle(.stored(step: 8))
    let condensed = bench.coordinator.condensedJournal
    #expect(condensed.last == .completed)
    var successor = CoordinatorBench(bench.plan, journal: condensed, at: bench.now)
    #expect(!successor.handle(.started).contains { if case .load = $0 { true } else { false } })
    #expect(successor.coordinator.condensedJournal.last == .completed)
  }
}

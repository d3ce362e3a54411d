import ParameterServer
import Testing

/// A job that goes back to its beginning again and again.
@Suite struct CoordinatorReturnsTests {
  private func failure(_ effects: [CoordinatorEffect]) -> String? {
    effects.stopped.lazy.compactMap { if case .failed(let text, _) = $0 { text } else { nil } }.first
  }

  /// Server 0 is silent, is removed, comes back as another life, and the job begins again: what was done.
  private func goBack(_ bench: inout CoordinatorBench, life: UInt64) -> [CoordinatorEffect] {
    let removed = bench.pass(1750, silent: [server(0)])
    guard failure(removed) == nil else { return removed }
    #expect(bench.join(server(0), life: life).contains(.load))
    return removed + bench.handle(.loaded(nil))
  }

  @Test func itEndsWithTheReasonWhereNoStepIsMadeInBetween() throws {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(servers: 1))
    for life in 0..<4 {
      let effects = goBack(&bench, life: UInt64(500 + life))
      #expect(failure(effects) == nil && effects.views.last?.era == UInt32(life + 2))
    }
    let text = try #require(failure(goBack(&bench, life: 999)))
    #expect(text.hasPrefix("the job had to go back 5 times, and made no step in between; at last server.0 was gone: "))
    #expect(text.contains("silent for 1500 ms") && text.contains("give it more processors"))
    #expect(bench.reports.last.map { "\($0)" }?.contains("waiting") != true)
  }

  @Test func itGoesOnAsLongAsStepsAreMade() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan(servers: 1))
    for life in 0..<20 {
      #expect(failure(goBack(&bench, life: UInt64(500 + life))) == nil)
      _ = bench.acceptAll()
      // Every third time.
      if life % 3 == 0 { _ = bench.pass(250, steps: 1) }
    }
  }

  @Test func whoHasNoStateIsNamed() throws {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    var text: String?
    for _ in 0..<5 {
      _ = bench.handle(.ended(name: "worker.1"))
      let lost = bench.send(.stateLost(chunk: bench.view.servers[1].chunks[0]), from: server(1))
      text = failure(lost)
      guard text == nil else { break }
      #expect(lost.contains(.load))
      _ = bench.handle(.loaded(nil))
      _ = bench.acceptAll()
      _ = bench.join(worker(1), life: bench.now + 700)
      _ = bench.acceptAll()
      bench.now += 1
    }
    #expect(try #require(text).contains("server.1 had no state of chunk"))
  }
}

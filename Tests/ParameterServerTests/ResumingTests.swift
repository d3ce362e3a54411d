import ParameterServer
import Testing

/// Jobs that go on from a checkpoint that was made under other rules.
@Suite struct ResumingTests {
  private func mark(
    _ rules: JobRules, step: Int, version: UInt64, covered ranges: [Range<Int>] = []
  ) -> CheckpointMark {
    CheckpointMark(step: step, version: version, rules: rules, covered: UnitSet(ranges: ranges)!)
  }

  /// A job that goes on from a checkpoint, and its first view.
  private func resumed(_ plan: JobPlan, _ mark: CheckpointMark) -> (bench: CoordinatorBench, [CoordinatorEffect]) {
    var plan = plan
    plan.resumes = true
    var bench = CoordinatorBench(plan)
    _ = bench.handle(.started)
    for number in 0..<UInt32(plan.servers) { _ = bench.join(server(number)) }
    for number in 0..<UInt32(plan.workers) { _ = bench.join(worker(number)) }
    let effects = bench.handle(.loaded(mark))
    return (bench, effects)
  }

  private func segments(_ bench: CoordinatorBench) -> [String] {
    bench.view.rules.segments.map { "\($0.firstStep): \($0.consistency)" }
  }

  @Test(arguments: [1, 2, 4, 8])
  func aServerInstallsWhatAJobOfOtherShardsHasMade(_ shards: Int) throws {
    // Forty steps of four shards that were applied one by one.
    let plan = CoordinatorBench.plan(servers: 1, workers: 1, steps: 60, shards: shards)
    let (bench, effects) = resumed(plan, mark(Job.rules(.async, steps: 40), step: 40, version: 160))
    let messages = effects.messages.filter { if case .restore = $0 { true } else { false } }
    #expect(messages.count == bench.view.rules.chunks.count)
    var server = ServerBench(bench.view)
    for message in messages { _ = server.fromCoordinator(message, bytes: 192) }
    for chunk in 0..<bench.view.rules.chunks.count {
      let position = try #require(server.server.position(of: chunk))
      #expect(position.closed == 40)
      #expect(position.version == (shards < 4 ? 40 * UInt64(shards) : 160), "its own where that can be counted")
    }
  }

  @Test func partsOfStepsAreEndedAsTheyWereBegun() {
    let async = Job.rules(.async, steps: 20)
    // A unit of step 5 and one of step 7 are applied.
    let origin = mark(async, step: 4, version: 18, covered: [21..<22, 30..<31])
    #expect(segments(resumed(CoordinatorBench.plan(steps: 20), origin).bench) == ["0: async", "8: sync"])
    #expect(segments(resumed(CoordinatorBench.plan(.local(3), steps: 20), origin).bench) == ["0: async", "8: local:3"])
    #expect(segments(resumed(CoordinatorBench.plan(.ssp(1), steps: 20), origin).bench) == ["0: ssp:1"])
    #expect(segments(resumed(CoordinatorBench.plan(steps: 8), origin).bench) == ["0: async"])
  }

  @Test func aRoundBeginsWhereTheJobGoesOn() {
    let origin = mark(Job.rules(.local(8), steps: 10), step: 10, version: 2)
    let (bench, _) = resumed(CoordinatorBench.plan(.local(8), steps: 30), origin)
    #expect(segments(bench) == ["0: local:8", "10: local:8"])
    #expect(bench.view.rules.round(ofStep: 10) == 10..<18)
    let aligned = resumed(CoordinatorBench.plan(.local(5), steps: 30), origin).bench
    #expect(segments(aligned) == ["0: local:5"])
  }

  @Test func modesThatWereSwitchedAreKeptWhereNobodyStatesAnother() {
    let switched = Job.rules(.async, then: [(6, .sync)], steps: 20)
    var plan = CoordinatorBench.plan(.async, steps: 30)
    #expect(segments(resumed(plan, mark(switched, step: 10, version: 28)).bench) == ["0: async"])
    plan.keepsModes = true
    #expect(segments(resumed(plan, mark(switched, step: 10, version: 28)).bench) == ["0: async", "6: sync"])
  }

  @Test func whatAJobCannotGoOnFromIsToldAndEndsIt() {
    let own = Job.rules(steps: 8)
    let cases: [(CheckpointMark, ResumeProblem)] = [
      (mark(Job.rules(batch: 4), step: 4, version: 4), .batch(4)),
      (mark(Job.rules(samples: 40), step: 4, version: 4), .samples(40)),
      (mark(Job.rules(.async, shards: 8), step: 4, version: 33, covered: [40..<41]), .shards(8)),
      (mark(Job.rules(steps: 9), step: 9, version: 9), .pastEnd(least: 9)),
      (mark(Job.rules(.async, steps: 20), step: 7, version: 30, covered: [40..<42]), .pastEnd(least: 11)),
      (mark(Job.rules(steps: 3), step: 4, version: 4), .unsound),
      (mark(Job.rules(.sync), step: 4, version: 4, covered: [17..<18]), .unsound),
      (mark(Job.rules(.async), step: 4, version: 4, covered: [17..<99]), .unsound),
    ]
    for (origin, problem) in cases {
      #expect(own.problem(resuming: origin) == problem)
      let (_, effects) = resumed(CoordinatorBench.plan(), origin)
      #expect(effects.stopped.contains(.failed("the checkpoint of step \(origin.step) does not fit the job's steps")))
    }
    #expect(own.problem(resuming: mark(own, step: 8, version: 8)) == nil, "its last step is one to go on from")
  }
}

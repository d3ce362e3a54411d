import ConvoySimulation
import Testing

/// Mistakes made on purpose: the checkers find them, and none of the checkers can be left out.
struct PlantedBugTests {
  private static let seeds: Range<UInt64> = 0..<200

  @Test(arguments: PlantedBug.allCases) func everyBugIsFound(bug: PlantedBug) {
    let campaign = BugTrial(bug).campaign
    let found = Self.seeds.first { !campaign.run(seed: $0).violations.isEmpty }
    #expect(found != nil, "\(bug) is not found in \(Self.seeds.count) seeds")
  }

  @Test(arguments: PlantedBug.allCases.filter { BugTrial($0).onlyBreaks != nil })
  func whatOneCheckerReportsNoOtherDoes(bug: PlantedBug) throws {
    let trial = BugTrial(bug)
    let invariant = try #require(trial.onlyBreaks)
    let campaign = trial.campaign
    var without = campaign
    without.cluster.invariants.remove(invariant)
    let found = Self.seeds.first { seed in
      campaign.run(seed: seed).violations.contains { $0.invariant == invariant }
        && without.run(seed: seed).violations.isEmpty
    }
    #expect(found != nil, "\(bug): in every run that breaks \(invariant) another checker reports too")
  }

  @Test func theSameRunsWithoutBugsBreakNothing() {
    for bug in PlantedBug.allCases {
      var campaign = BugTrial(bug).campaign
      campaign.cluster.bug = nil
      for seed in 0..<3 as Range<UInt64> { #expect(campaign.run(seed: seed).violations == [], "\(bug), seed \(seed)") }
    }
  }
}

import ConvoySimulation
import Foundation
import Testing

struct FaultTests {
  @Test func aScheduleIsData() throws {
    let faults = [
      Fault(.crash, of: .server(1), at: 12_345, lasting: 1000),
      Fault(.loss, of: .worker(3), towards: .coordinator, at: 5, lasting: 7, amount: 30),
    ]
    let data = try JSONEncoder().encode(faults)
    #expect(try JSONDecoder().decode([Fault].self, from: data) == faults)
    #expect(faults[0].description == "12.345 ms: crash of server.1 for 1.000 ms")
    #expect(faults[1].description == "0.005 ms: loss of worker.3 towards coordinator for 0.007 ms, 30")
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([ProcessName].self, from: Data(#"["server.01"]"#.utf8))
    }
  }

  @Test func plansAreNamed() {
    #expect(FaultPlan.parse("all") == .success(.all))
    #expect(FaultPlan.parse("none") == .success(.none))
    #expect(FaultPlan.parse("pause,crash") == .success(FaultPlan([.crash, .pause])))
    // What leaves nobody who can go on is asked for by its name.
    #expect(!FaultPlan.all.kinds.contains(.severed))
    #expect(FaultPlan.parse("all,severed") == .success(FaultPlan(FaultKind.allCases)))
    guard case .failure(let unknown) = FaultPlan.parse("crash,fire") else {
      Issue.record("fire is no fault")
      return
    }
    #expect(unknown.description.hasPrefix("there is no fault \"fire\"; there are all, none, crash, "))
  }

  @Test func aFailingScheduleIsShrunkToWhatMatters() {
    var faults = (0..<40).map { Fault(.cut, of: .worker($0 % 8), at: UInt64($0) * 1000, lasting: 5000) }
    faults[17] = Fault(.crash, of: .server(1), at: 90_000, lasting: 400_000)
    faults[31] = Fault(.crash, of: .server(2), at: 95_000, lasting: 100)
    var runs = 0
    // Two servers that are down at the same time.
    var shrinking = Shrinking { candidate in
      runs += 1
      let crashes = candidate.filter { $0.kind == .crash }
      return crashes.count == 2 && crashes.allSatisfy { $0.lasting > 20 }
    }
    let smallest = shrinking.shrink(faults)
    #expect(smallest.map(\.target) == [.server(1), .server(2)])
    #expect(smallest.allSatisfy { $0.lasting > 20 && $0.lasting <= 50 && $0.at <= 1 })
    #expect(runs <= 200)
  }

  @Test func aFailureWithoutFaultsNeedsNone() {
    var shrinking = Shrinking { _ in true }
    #expect(shrinking.shrink([Fault(.crash, of: .coordinator, at: 1)]) == [])
  }
}

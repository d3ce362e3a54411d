import Foundation
import ParameterServer
import Runtime
import Testing
import Transport

/// What a coordinator says of its job may be anything: it is completed, printed and encoded, and nothing traps.
@Suite struct ExtremeStatusTests {
  @Test("Counts of connections that nobody counted are added up and told")
  func status() throws {
    for number in [0, 1, Int(Int32.max), Int.max - 1, Int.max, Int.min] {
      var status = try JSONDecoder().decode(
        JobStatus.self,
        from: Data(
          """
          {"state":"training","mode":"sync","step":\(number),"steps":\(number),"view":\(number),"era":\(number),
          "refused":\(number),"refusals":{"wrong_key":\(number)},"refused_connections":\(number),
          "connection_refusals":{"unknown_key":\(number),"unproven":\(number)},"missing":[],
          "members":[{"name":"","place":"","state":"","steps":\(number),"shards":\(number),"refused":\(number),
          "silent_ms":\(number)}],
          "staleness":{"pushes":18446744073709551615,"mean":1e300,"max":18446744073709551615,"histogram":[1]}}
          """.utf8))
      var own = RefusedConnections()
      (own.unknownKey, own.unproven) = (3, 4)
      status.complete(with: own)
      #expect(try #require(status.refusedConnections) >= min(number, Int.max - 7))
      #expect(status.connectionsText != nil)
      _ = status.refusalsText
      #expect(throws: Never.self) { try JSONEncoder().encode(status) }
    }
  }

  @Test("Counts that members state add up to no more than can be told")
  func sums() {
    var counts = RefusalCounts(numbers: RefusalReason.allCases.map { _ in Bounds.count })
    for _ in 0..<100 { counts.add(counts) }
    #expect(counts.total == Bounds.count)
    var connections = ConnectionRefusals()
    connections.unknownKey = .max
    connections.unproven = .max
    for _ in 0..<100 { connections.add(connections) }
    #expect(connections.total == Bounds.count)
  }

  @Test("Rates and losses of absurd reports are numbers")
  func meter() {
    var meter = ThroughputMeter()
    meter.begin(at: 1)
    let totals = EpochTotals(epoch: 0, samples: Bounds.count, lossSum: 1e50, correct: 0)
    let progress = JobProgress(steps: 1, totalSteps: 2, samples: Bounds.count, epochs: [totals], shards: 1)
    let recent = meter.update(progress, at: 1.000_000_1, since: nil)
    #expect(recent.imagesPerSecond.isFinite && recent.loss.isFinite)
    #expect(meter.update(progress, at: 2, since: progress).loss == recent.loss)
  }
}

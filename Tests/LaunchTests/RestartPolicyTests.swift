import Glibc
import Runtime
import Testing

import Launch

/// Waits, budgets and verdicts, as values.
@Suite struct RestartPolicyTests {
  @Test("Waits double up to the longest, and the budget ends them")
  func doubling() {
    let policy = RestartPolicy(budget: 6, firstWait: 0.2, longestWait: 2)
    var record = RestartRecord()
    let waits = (0..<7).map { _ in record.grant(policy, lived: 1) }
    #expect(waits == [0.2, 0.4, 0.8, 1.6, 2, 2, nil])
    #expect(record.count == 6)
  }

  @Test("After a life that was long enough, the first wait is granted again; the budget is not")
  func healthy() {
    let policy = RestartPolicy(budget: 4, firstWait: 1, longestWait: 100)
    var record = RestartRecord()
    let lives = [0, 1, RestartPolicy.healthySeconds, 1, 1]
    #expect(lives.map { record.grant(policy, lived: $0) } == [1, 2, 1, 2, nil])
  }

  @Test("The first wait is never above the longest")
  func bounded() {
    var record = RestartRecord()
    #expect(record.grant(RestartPolicy(budget: 1, firstWait: 5, longestWait: 2), lived: 0) == 2)
  }

  @Test("Endings are read from what the system says, and judged")
  func verdicts() {
    #expect(ProcessEnding(status: 0) == .exit(0))
    #expect(ProcessEnding(status: 3 << 8) == .exit(3))
    #expect(ProcessEnding(status: 9) == .signal(9))
    #expect(ProcessEnding(status: 11 | 0x80) == .signal(11 | 0x80 & 0x7F))
    let verdicts: [(ProcessEnding, ProcessEnding.Verdict)] = [
      (.exit(0), .left), (.exit(143), .left), (.signal(SIGTERM), .left), (.exit(64), .final), (.exit(65), .final),
      (.exit(77), .final), (.exit(78), .final), (.exit(1), .restart), (.exit(75), .restart), (.exit(255), .restart),
      (.exit(130), .restart), (.signal(SIGKILL), .restart), (.signal(SIGSEGV), .restart),
    ]
    for (ending, verdict) in verdicts { #expect(ending.verdict == verdict, "\(ending)") }
  }
}

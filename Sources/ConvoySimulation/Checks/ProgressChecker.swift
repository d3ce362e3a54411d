import ParameterServer

/// After the last fault the job ends within a bounded time, and no queue passes its bound.
struct ProgressChecker {
  /// Payloads that a process may hold: for each chunk and worker a push, its repetition and its sums, and snapshots.
  let bound: Int

  init(chunks: Int, workers: Int) {
    bound = 8 * chunks * (workers + 4)
  }

  func held(_ count: Int, by slot: String, _ violations: inout Violations) {
    if count > bound { violations.add(.progress, "\(slot) holds \(count) payloads, more than \(bound)") }
  }

  func failed(_ reason: String, _ violations: inout Violations) { violations.add(.progress, reason) }
}

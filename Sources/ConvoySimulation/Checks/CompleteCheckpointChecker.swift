import ParameterServer

/// A coordinator that starts again finds its newest complete checkpoint.
struct CompleteCheckpointChecker {
  /// The newest that a coordinator was told to be complete.
  private var newest: Int?

  mutating func confirmed(step: Int) { newest = max(newest ?? 0, step) }

  func loaded(_ checkpoint: StoredCheckpoint?, _ violations: inout Violations) {
    if let newest, (checkpoint?.mark.step ?? -1) < newest {
      violations.add(
        .completeCheckpoint,
        "the checkpoint of step \(newest) was complete, and \(checkpoint.map { "that of step \($0.mark.step)" } ?? "none") is found"
      )
    }
    if let checkpoint, checkpoint.states.contains(where: { $0 == nil }) {
      violations.add(.completeCheckpoint, "the checkpoint of step \(checkpoint.mark.step) is not whole")
    }
  }
}

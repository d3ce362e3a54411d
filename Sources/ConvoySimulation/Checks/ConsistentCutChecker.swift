import ParameterServer

/// A checkpoint is one cut through all chunks.
struct ConsistentCutChecker {
  func stored(_ checkpoint: StoredCheckpoint, _ log: JobLog, _ violations: inout Violations) {
    let mark = checkpoint.mark
    for (chunk, entry) in checkpoint.states.enumerated() {
      guard let (position, state) = entry else {
        violations.add(.consistentCut, "the checkpoint of step \(mark.step) has no chunk \(chunk)")
        continue
      }
      if position.closed != UInt64(mark.step) || position.covered != mark.covered {
        violations.add(
          .consistentCut,
          "the checkpoint of step \(mark.step) has chunk \(chunk) after \(position.closed) steps with \(position.covered.count) units more, not \(mark.covered.count)"
        )
      }
      guard checkpoint.era == log.newestEra, let line = log.line(checkpoint.era, chunk) else { continue }
      checkContent(position, state, line, mark, log, &violations)
    }
  }

  private func checkContent(
    _ position: ChunkPosition, _ state: ToyChunk, _ line: JobLog.Line, _ mark: CheckpointMark, _ log: JobLog,
    _ violations: inout Violations
  ) {
    guard let known = line.value(position.version) else {
      violations.add(
        .consistentCut,
        "the checkpoint of step \(mark.step) has version \(position.version) of chunk \(position.chunk), which nobody made"
      )
      return
    }
    if known.bits != state.bits || known.optimizer != state.optimizer {
      violations.add(
        .consistentCut,
        "the checkpoint of step \(mark.step) has other bytes of chunk \(position.chunk) than version \(position.version)"
      )
    }
    let shards = mark.rules.schedule.tree.shards
    var units = line.baseUnits
    for entry in line.entries.prefix(Int(position.version - line.base.version)) {
      units[Int(entry.step)] |= entry.shards
    }
    let isCurrent = mark.rules == log.rules
    for step in mark.step..<mark.rules.steps {
      // Most checkpoints cover nothing beyond their step.
      if mark.covered.isEmpty, units[step] == 0 { continue }
      var covered: UInt64 = 0
      for shard in 0..<shards where mark.covered.contains(step * shards + shard) { covered |= 1 << UInt64(shard) }
      let occupied = isCurrent ? log.occupied(step) : JobLog.occupied(step, mark.rules)
      if units[step] != covered & occupied {
        violations.add(
          .consistentCut,
          "the checkpoint of step \(mark.step) counts shards \(shardList(covered)) of step \(step), chunk \(position.chunk) has \(shardList(units[step]))"
        )
        return
      }
    }
  }
}

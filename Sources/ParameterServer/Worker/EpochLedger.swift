/// A worker's totals of every epoch, of which a report carries the newest.
struct EpochLedger: Sendable {
  /// By epoch, in order.
  private var totals: [EpochTotals] = []

  /// What the next sign of life says.
  var newest: [EpochTotals] { totals.suffix(Progress.maximumEpochs) }

  /// Adds a shard's result; returns what has to be said now, because the next sign of life leaves it out.
  ///
  /// Epochs can be shorter than the time between two signs of life.
  mutating func add(_ result: ShardResult, epoch: UInt32) -> EpochTotals? {
    var index = totals.count
    while index > 0, totals[index - 1].epoch > epoch { index -= 1 }
    let isNew = index == 0 || totals[index - 1].epoch != epoch
    if isNew { totals.insert(EpochTotals(epoch: epoch), at: index) } else { index -= 1 }
    totals[index].samples += UInt64(result.samples)
    totals[index].lossSum += result.lossSum
    totals[index].correct += UInt64(result.correct)
    let leftOut = totals.count - Progress.maximumEpochs - 1
    if index <= leftOut { return totals[index] }
    return isNew && leftOut >= 0 ? totals[leftOut] : nil
  }
}

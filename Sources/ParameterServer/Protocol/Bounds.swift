/// What a number from a peer or a file can be at most, whatever the job: what is larger is refused where it enters, so that
/// nothing that is reckoned with it overflows.
public enum Bounds {
  /// Of a count: all shards of all steps that a job may have, and one. Sums of counts end there.
  public static let count: UInt64 = 1 << 57
  /// Of a number that goes up by one at a time, as a view's: nobody counts so far.
  public static let counter: UInt64 = 1 << 62
  /// Of the members of a role: their numbers are smaller.
  public static let members: UInt32 = 4096
  /// Of the bytes of a member's name or address.
  public static let nameBytes = 512
  /// Of how often a life of a member does the same piece of work: a job that goes back so often, or refuses a push for
  /// its age so often, goes nowhere.
  static let repeats: UInt64 = 1 << 16
}

extension UInt64 {
  /// The sum of two counts: at most a bound, for what many members say may add up to more than can be written down.
  public func adding(_ other: UInt64, atMost bound: UInt64 = Bounds.count) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? bound : Swift.min(sum, bound)
  }

  /// The product of two counts, at most `Bounds.count`.
  func times(_ other: UInt64) -> UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? Bounds.count : Swift.min(product, Bounds.count)
  }
}

extension JobRules {
  /// Number of epochs that the job's steps are of.
  var epochs: Int { schedule.epoch(ofStep: steps - 1) + 1 }

  /// Why a member cannot have come so far in this job, or nil.
  func problem(of progress: Progress, from role: Role) -> String? {
    guard progress.steps <= UInt64(steps) else { return "\(progress.steps) steps: the job has \(steps)" }
    guard progress.shards <= UInt64(units).times(Bounds.repeats) else {
      return "\(progress.shards) shards computed: the job has \(units)"
    }
    guard progress.behind <= UInt64(chunks.count) else {
      return "\(progress.behind) chunks behind: the job has \(chunks.count)"
    }
    for totals in progress.epochs {
      guard Int(totals.epoch) < epochs else { return "epoch \(totals.epoch): the job has \(epochs)" }
      guard totals.samples <= UInt64(schedule.samples).times(Bounds.repeats) else {
        return "\(totals.samples) samples of epoch \(totals.epoch): it has \(schedule.samples)"
      }
      if let problem = totals.problem { return problem }
    }
    return progress.staleness.problem
  }

  /// Whether these units are the job's.
  func contains(_ units: UnitSet) -> Bool { (units.ranges.last?.upperBound ?? 0) <= self.units }
}

extension Progress {
  /// What a member says that has computed nothing: all numbers are 0 but those of what it refused.
  var isNothing: Bool {
    steps == 0 && shards == 0 && busy == 0 && behind == 0 && epochs.isEmpty && staleness == StalenessCounts()
  }
}

extension EpochTotals {
  /// The samples of all epochs.
  public static func samples(of epochs: [EpochTotals]) -> UInt64 { epochs.reduce(0) { $0.adding($1.samples) } }

  /// Adds others' totals.
  mutating func add(_ others: EpochTotals) {
    samples = samples.adding(others.samples)
    correct = correct.adding(others.correct)
    lossSum = min(max(lossSum + others.lossSum, -largestLoss), largestLoss)
  }

  /// What the losses add up to at most: each is a number of 32 bits.
  private var largestLoss: Double { Double(samples) * Double(Float.greatestFiniteMagnitude) }

  /// Why they are no totals of any samples, or nil. A worker whose loss is no number leaves and says so.
  public var problem: String? {
    guard correct <= samples else { return "\(correct) of \(samples) samples of epoch \(epoch) are right" }
    guard lossSum.isFinite, lossSum.magnitude <= largestLoss else {
      return "a loss of \(lossSum) over \(samples) samples of epoch \(epoch)"
    }
    return samples <= Bounds.count ? nil : "\(samples) samples of epoch \(epoch)"
  }
}

extension StalenessCounts {
  /// Why these are no counts of pushes, or nil: every push is as late as its bin says, the last bin's later ones as the
  /// largest at most.
  public var problem: String? {
    if count == 0 { return sum == 0 && largest == 0 ? nil : "a staleness of \(sum) and no push" }
    guard bins.allSatisfy({ $0 <= Bounds.count }), sum <= Bounds.counter else { return "\(count) pushes" }
    let (most, overflow) = count.multipliedReportingOverflow(by: largest)
    guard overflow || sum <= most else {
      return "a staleness of \(sum) of \(count) pushes, none of them later than \(largest)"
    }
    return nil
  }
}

extension CheckpointMark {
  /// Why no job comes to it, or nil.
  public var problem: String? {
    guard (0...rules.steps).contains(step) else { return "step \(step) of \(rules.steps)" }
    return rules.contains(covered) ? nil : "shards beyond the job's \(rules.units)"
  }
}

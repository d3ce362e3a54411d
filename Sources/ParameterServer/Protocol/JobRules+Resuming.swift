/// Why a job cannot go on from a checkpoint: what the checkpoint counts in other units, or has beyond the job's end.
public enum ResumeProblem: Hashable, Sendable {
  /// Its steps are of so many samples.
  case batch(Int)
  /// Its epochs are of so many samples.
  case samples(Int)
  /// It holds parts of steps, in so many shards.
  case shards(Int)
  /// The job ends before it: so many steps are the fewest that the job may have.
  case pastEnd(least: Int)
  /// What it says of its own steps does not hold together.
  case unsound
}

/// Rules of a job that goes on from a checkpoint, which may have been made under others.
extension JobRules {
  /// Why a job by these rules cannot go on from a checkpoint, or nil where it can: a step must be the same samples, and
  /// what is applied must lie before the end.
  public func problem(resuming mark: CheckpointMark) -> ResumeProblem? {
    let (own, other) = (schedule, mark.rules.schedule)
    if other.batch != own.batch { return .batch(other.batch) }
    if other.samples != own.samples { return .samples(other.samples) }
    guard mark.step >= 0, mark.step <= mark.rules.steps else { return .unsound }
    if !mark.covered.isEmpty {
      guard (mark.covered.ranges.last?.upperBound ?? 0) <= mark.rules.units,
        !mark.rules.consistency(ofStep: mark.step).isSummed
      else { return .unsound }
      if other.tree.shards != own.tree.shards { return .shards(other.tree.shards) }
    }
    return mark.reach <= steps ? nil : .pastEnd(least: mark.reach)
  }

  /// The rules by which the job goes on from a checkpoint; nil where it cannot.
  ///
  /// Parts of steps that are applied one by one cannot become sums: such steps are ended as they were begun. A round of
  /// steps that are exchanged together begins where the job goes on.
  func resuming(_ mark: CheckpointMark) -> JobRules? {
    guard problem(resuming: mark) == nil else { return nil }
    let step = mark.step
    var segments = segments
    let isSummed = segments.indices.contains { index in
      let end = index + 1 < segments.count ? segments[index + 1].firstStep : steps
      return segments[index].consistency.isSummed && segments[index].firstStep < mark.reach && end > step
    }
    if mark.reach > step, isSummed {
      let begun = Segment(firstStep: 0, consistency: mark.rules.consistency(ofStep: step))
      let next =
        mark.reach < steps
        ? [Segment(firstStep: mark.reach, consistency: consistency(ofStep: mark.reach))] : []
      segments = [begun] + next + segments.filter { $0.firstStep > mark.reach }
    }
    guard let rules = with(segments), step < steps, rules.round(ofStep: step).lowerBound != step else {
      return with(segments)
    }
    let later = segments.filter { $0.firstStep > step }
    return rules.with(
      segments.filter { $0.firstStep < step } + [Segment(firstStep: step, consistency: consistency(ofStep: step))]
        + later)
  }
}

extension CheckpointMark {
  /// Steps of which something is applied: those that are closed, and those that parts are there of.
  var reach: Int {
    let shards = rules.schedule.tree.shards
    return max(step, ((covered.ranges.last?.upperBound ?? 0) + shards - 1) / shards)
  }

  /// The version that its chunks begin an era with: their own, or where that counts updates of more shards than the era
  /// has, the most that the era can have made of it.
  func version(in rules: JobRules) -> UInt64 {
    min(version, ChunkPosition.largestVersion(closed: UInt64(step), covered: covered, rules))
  }
}

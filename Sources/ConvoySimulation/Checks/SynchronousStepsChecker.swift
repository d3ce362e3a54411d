import ParameterServer

/// Each synchronous step applies exactly its shards; all workers read the same bytes; all equals the sequential run.
///
/// The sequential run is made here, step after step, without any message. It holds for modes in which nothing depends on
/// who is quick: `sync` and `local`.
struct SynchronousStepsChecker {
  private let model: ToyModel
  /// By round: the values of all chunks after it; the first entry is before any.
  private var values: [[ToyChunk]] = []
  /// The shards of each step that hold a sample, as far as they were asked for.
  private var occupied: [UInt64] = []
  private var segments = 0
  /// The rules that `values` were made by.
  private var made: JobRules?
  /// The first step that depends on who is quick.
  private var determined = 0
  /// The first step of the next round.
  private var nextStep = 0
  /// Which entry of `values` a number of closed steps has; -1 within a round.
  private var roundOfClosed: [Int] = []

  init(model: ToyModel) {
    self.model = model
  }

  /// Whether a step's result does not depend on who is quick.
  static func isDetermined(_ consistency: Consistency) -> Bool {
    switch consistency {
    case .sync, .local: true
    case .ssp, .async, .backup: false
    }
  }

  /// The values after so many closed steps; nil where they are not determined.
  mutating func values(closed: Int, _ rules: JobRules) -> [ToyChunk]? {
    if rules != made {
      determined = rules.segments.first { !Self.isDetermined($0.consistency) }?.firstStep ?? rules.steps
      // A job that went back can be switched at a step that it had made otherwise before.
      if rules.segments != made?.segments { values.removeAll() }
      made = rules
    }
    guard closed <= determined else { return nil }
    if values.isEmpty {
      nextStep = 0
      values = [(0..<rules.chunks.count).map { ToyChunk(bits: model.initial($0)) }]
      roundOfClosed = Array(repeating: -1, count: rules.steps + 1)
      roundOfClosed[0] = 0
    }
    while nextStep < closed, nextStep < rules.steps { advance(rules) }
    guard closed < roundOfClosed.count, roundOfClosed[closed] >= 0 else { return nil }
    return values[roundOfClosed[closed]]
  }

  private mutating func advance(_ rules: JobRules) {
    let round = rules.round(ofStep: nextStep)
    let consistency = rules.consistency(ofStep: nextStep)
    let before = values[values.count - 1]
    let digest = before.reduce(2) { model.digest($0, $1.bits) }
    let schedule = rules.schedule
    let samples = UInt64(rules.samples(ofRound: nextStep, under: schedule.tree.root))
    let occupied = UInt32(rules.occupiedShards(ofRound: nextStep))
    let read = RoundSamples(
      steps: round, shards: 0..<schedule.tree.shards, consistency: consistency, schedule: schedule)
    var shards = [UInt64?](repeating: nil, count: schedule.tree.shards)
    let sums = before.indices.map { chunk in
      for shard in shards.indices {
        shards[shard] = read.sum(model, shard: shard, chunk: chunk, digest: digest, parameters: before[chunk].bits)
      }
      return model.sum(&shards) ?? 0
    }
    let clipped = before.indices.filter { rules.awaitsScale(chunk: $0, step: nextStep) }
    let scale = clipped.isEmpty ? nil : model.scale(ofNorm: clipped.map { model.measured(sums[$0], samples: samples) })
    let after = before.indices.map { chunk in
      let update = Update(
        chunk: UInt32(chunk), version: before[chunk].version + 1, closed: UInt64(round.upperBound), unit: nil,
        kind: consistency.stepsPerRound > 1 ? .averaged : .summed, step: UInt64(round.lowerBound), staleness: 0,
        basis: before[chunk].version, worker: nil,
        samples: samples, shards: occupied, scale: chunk < clipped.count ? scale : nil)
      return model.updated(before[chunk], by: sums[chunk], update)
    }
    values.append(after)
    nextStep = round.upperBound
    roundOfClosed[nextStep] = values.count - 1
  }

  mutating func applied(_ fact: AppliedFact, _ rules: JobRules, _ violations: inout Violations) {
    let step = Int(fact.payload.step)
    guard step < rules.steps, Self.isDetermined(rules.consistency(ofStep: step)) else { return }
    if rules.segments.count != segments {
      // Rounds may be other ones.
      segments = rules.segments.count
      occupied.removeAll()
    }
    while occupied.count <= step { occupied.append(JobLog.occupied(occupied.count, rules)) }
    let occupied = occupied[step]
    if fact.payload.shards != occupied {
      violations.add(
        .synchronousSteps,
        "chunk \(fact.chunk): step \(step) applies shards \(shardList(fact.payload.shards)), not \(shardList(occupied))"
      )
    }
    let closed = Int(fact.update.closed)
    guard let expected = values(closed: closed, rules)?[fact.chunk] else { return }
    if expected.bits != fact.new.bits || expected.optimizer != fact.new.optimizer {
      violations.add(
        .synchronousSteps, "chunk \(fact.chunk): after \(closed) steps it is not what the sequential run has")
    }
  }

  mutating func computing(_ fact: ComputeFact, _ rules: JobRules, _ violations: inout Violations) {
    guard Self.isDetermined(fact.order.consistency),
      let expected = values(closed: fact.order.steps.lowerBound, rules)
    else { return }
    for (chunk, parameters) in fact.parameters.enumerated() where parameters.bits != expected[chunk].bits {
      violations.add(
        .synchronousSteps,
        "chunk \(chunk): a worker computes step \(fact.order.steps.lowerBound) with other bytes than the sequential run"
      )
      return
    }
  }
}

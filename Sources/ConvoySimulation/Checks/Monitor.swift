import ParameterServer

/// Watches a run: keeps the log, and asks the checkers that are switched on.
struct Monitor {
  private(set) var log = JobLog()
  var violations = Violations()
  private let enabled: UInt32
  private let model: ToyModel
  private var exactlyOnce = ExactlyOnceChecker()
  private var versionsRise: VersionsRiseChecker
  private var synchronousSteps: SynchronousStepsChecker
  private var boundedSpread = BoundedSpreadChecker()
  private var foldOfLog: FoldOfLogChecker
  private var consistentCut = ConsistentCutChecker()
  private var survivesCrash = SurvivesCrashChecker()
  private var completeCheckpoint = CompleteCheckpointChecker()
  private var samplesOnce = SamplesOnceChecker()
  private var singleWriter = SingleWriterChecker()
  private var progress: ProgressChecker

  init(invariants: Set<Invariant>, model: ToyModel, slots: Int, chunks: Int, workers: Int) {
    enabled = Invariant.allCases.enumerated().reduce(0) { invariants.contains($1.element) ? $0 | 1 << $1.offset : $0 }
    self.model = model
    versionsRise = VersionsRiseChecker(slots: slots)
    synchronousSteps = SynchronousStepsChecker(model: model)
    foldOfLog = FoldOfLogChecker(model: model)
    progress = ProgressChecker(chunks: chunks, workers: workers)
  }

  @inline(__always)
  private func isOn(_ invariant: Invariant) -> Bool {
    let index =
      switch invariant {
      case .exactlyOnce: 0
      case .versionsRise: 1
      case .synchronousSteps: 2
      case .boundedSpread: 3
      case .foldOfLog: 4
      case .consistentCut: 5
      case .survivesCrash: 6
      case .completeCheckpoint: 7
      case .samplesOnce: 8
      case .singleWriter: 9
      case .progress: 10
      case .determinism: 11
      case .contract: 12
      }
    return enabled >> index & 1 == 1
  }

  /// A coordinator has written a view down.
  mutating func view(_ view: View, checkpoint: StoredCheckpoint?) {
    log.begin(view, model: model, checkpoint: checkpoint)
  }

  mutating func applied(_ fact: AppliedFact) {
    guard let rules = log.rules else { return }
    let (standing, again) = log.record(fact)
    if isOn(.exactlyOnce) { exactlyOnce.applied(fact, again: again, &violations) }
    if isOn(.versionsRise) { versionsRise.applied(fact, &violations) }
    // Of an earlier era the rules are others, and nobody takes what is left of it.
    if isOn(.synchronousSteps), fact.era == log.newestEra { synchronousSteps.applied(fact, rules, &violations) }
    if isOn(.foldOfLog) { foldOfLog.applied(fact, log, &violations) }
    if isOn(.survivesCrash) { survivesCrash.applied(fact, standing, &violations) }
    if fact.isPrimary, isOn(.singleWriter) {
      singleWriter.wrote(
        chunk: fact.chunk, of: log.chunkCount, slot: fact.slot, life: fact.life, in: fact.view, &violations)
    }
  }

  mutating func served(_ fact: ServedFact) {
    guard log.chunkCount > 0 else { return }
    if isOn(.foldOfLog) { foldOfLog.served(fact, log, &violations) }
    if isOn(.survivesCrash) { survivesCrash.served(fact, log, &violations) }
    if isOn(.singleWriter) {
      singleWriter.wrote(
        chunk: fact.chunk, of: log.chunkCount, slot: fact.slot, life: fact.life, in: fact.view, &violations)
    }
    log.publish(fact)
  }

  mutating func installed(_ fact: InstalledFact) {
    guard log.chunkCount > 0, isOn(.versionsRise) else { return }
    versionsRise.installed(fact, log, &violations)
  }

  mutating func acknowledged(_ contribution: Contribution, chunk: Int, era: UInt32) {
    if isOn(.exactlyOnce) { exactlyOnce.acknowledged(contribution, chunk: chunk, era: era, log, &violations) }
  }

  mutating func computing(_ fact: ComputeFact) {
    guard let rules = log.rules else { return }
    if isOn(.synchronousSteps), fact.era == log.newestEra { synchronousSteps.computing(fact, rules, &violations) }
    if isOn(.boundedSpread) { boundedSpread.computing(fact, log, &violations) }
  }

  mutating func leased(_ units: UnitSet, to worker: Int, life: UInt16, in view: ViewNumber) {
    if isOn(.samplesOnce) { samplesOnce.leased(units, to: worker, life: life, in: view, &violations) }
  }

  mutating func stored(_ checkpoint: StoredCheckpoint) {
    if isOn(.consistentCut) { consistentCut.stored(checkpoint, log, &violations) }
  }

  mutating func confirmed(step: Int) { completeCheckpoint.confirmed(step: step) }

  mutating func loaded(_ checkpoint: StoredCheckpoint?) {
    if isOn(.completeCheckpoint) { completeCheckpoint.loaded(checkpoint, &violations) }
  }

  mutating func held(_ count: Int, by process: @autoclosure () -> String) {
    guard count > progress.bound, isOn(.progress) else { return }
    progress.held(count, by: process(), &violations)
  }

  mutating func misuse(_ text: @autoclosure () -> String) {
    if isOn(.contract) { violations.add(.contract, text()) }
  }

  /// The same version has other floats somewhere.
  mutating func differs(_ text: @autoclosure () -> String) {
    if isOn(.synchronousSteps) { violations.add(.synchronousSteps, text()) }
  }

  /// The job is completed, with this as its newest checkpoint.
  mutating func completed(with checkpoint: StoredCheckpoint?) {
    guard let rules = log.rules else { return }
    guard let checkpoint, checkpoint.mark.step == rules.steps else {
      if isOn(.completeCheckpoint) {
        violations.add(.completeCheckpoint, "the job is completed and has no checkpoint of its last step")
      }
      return
    }
    if isOn(.samplesOnce) { samplesOnce.ended(in: checkpoint.era, log, rules, &violations) }
  }

  /// The run ends as it should not.
  mutating func failed(_ reason: @autoclosure () -> String) {
    if isOn(.progress) { progress.failed(reason(), &violations) }
  }
}

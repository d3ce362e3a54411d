import ParameterServer
import Transport

/// What a coordinator's disk keeps from one life to the next.
struct CoordinatorDisk {
  var journal: [JournalRecord] = []
  var checkpoints: [StoredCheckpoint] = []

  /// Records from which on a journal is written anew: few, so that successors read what was condensed.
  static let longJournal = 24
  var longJournal = CoordinatorDisk.longJournal

  /// The newest complete checkpoint.
  var newest: StoredCheckpoint? { checkpoints.last }

  func checkpoint(step: Int) -> StoredCheckpoint? { checkpoints.last { $0.mark.step == step } }
}

/// The coordinator's process: its machine, its journal and the cuts that it collects.
struct CoordinatorProcess: ~Copyable {
  private struct Cut {
    let step: Int
    var states: [(position: ChunkPosition, state: ToyChunk)?]
    var frames: [Frame?]
  }

  private enum Done: UInt64 {
    case stored
    case loaded
    case written
  }

  let slot = SimulationContext.coordinatorSlot
  private(set) var machine: Coordinator
  private var payloads = PayloadTable()
  /// The floats that came with payloads, where the job is a real network's.
  private var frames: [GradientHandle: Frame] = [:]
  private var cuts: [Cut] = []
  /// What is being stored, one after the other.
  private var storing: [StoredCheckpoint] = []
  private var loaded: StoredCheckpoint?
  private var view: View?
  /// For planted bugs: checkpoints that are said to be stored and are not, and units that were leased.
  private var unwritten: [StoredCheckpoint] = []
  private var leased: [(worker: Connection, unit: Int)] = []

  init(machine: Coordinator) {
    self.machine = machine
  }

  /// Takes a letter.
  mutating func receive(
    _ envelope: Envelope, in letter: Letter, from connection: Connection, _ disk: inout CoordinatorDisk,
    _ context: inout SimulationContext
  ) {
    var envelope = envelope
    if context.bug == .lostWaits, case .progress(var progress) = envelope.message {
      progress.waits = []
      envelope = Envelope(
        token: envelope.token, view: envelope.view, sender: envelope.sender, incarnation: envelope.incarnation,
        message: .progress(progress))
    }
    let payload = letter.payload.map { payloads.keep($0) }
    if let payload, let frame = letter.frame { frames[payload.handle] = frame }
    handle(.message(envelope, from: connection, payload: payload), &disk, &context)
  }

  /// Something that it does itself is done.
  mutating func finish(_ argument: UInt64, _ disk: inout CoordinatorDisk, _ context: inout SimulationContext) {
    switch Done(rawValue: argument) {
    case .stored: finishStoring(&disk, &context)
    case .written: disk.checkpoints.append(unwritten.removeFirst())
    case .loaded:
      loaded = context.bug == .oldestCheckpoint ? disk.checkpoints.first : disk.newest
      context.monitor.violations.now = context.world.now
      context.monitor.loaded(loaded)
      handle(.loaded(loaded?.mark), &disk, &context)
    case nil: break
    }
  }

  private mutating func finishStoring(_ disk: inout CoordinatorDisk, _ context: inout SimulationContext) {
    guard !storing.isEmpty else { return }
    let checkpoint = storing.removeFirst()
    if !storing.isEmpty { planStored(&context) }
    let step = checkpoint.mark.step
    if context.isDiskFull[slot] || context.isSyncFailing[slot] {
      context.coverage.count(.checkpointFailed)
      if step == checkpoint.mark.rules.steps {
        cuts.append(Cut(step: step, states: checkpoint.states, frames: checkpoint.frames))
        context.coverage.count(.lastCheckpointRefused)
      }
      return handle(.notStored(step: step, "the disk is full"), &disk, &context)
    }
    if context.bug == .earlyStored {
      unwritten.append(checkpoint)
      context.world.finish(Done.written.rawValue, process: slot, after: 50_000)
    } else {
      disk.checkpoints.append(checkpoint)
    }
    context.coverage.count(.checkpointStored)
    context.monitor.violations.now = context.world.now
    context.monitor.stored(checkpoint)
    context.monitor.confirmed(step: step)
    handle(.stored(step: step), &disk, &context)
  }

  /// Takes an event and does what the machine decides.
  mutating func handle(
    _ event: CoordinatorEvent, _ disk: inout CoordinatorDisk, _ context: inout SimulationContext
  ) {
    let wasOver = context.hasStopped[slot]
    for effect in machine.handle(event, at: context.world.moment(of: slot)) {
      if wasOver {
        if case .release = effect {} else { context.misuse(slot, "does something after its end") }
      }
      perform(effect, &disk, &context)
    }
    if payloads.misuses > 0 { context.misuse(slot, "uses a payload that is not held") }
    if disk.journal.count > disk.longJournal { condense(&disk, &context) }
  }

  private mutating func perform(
    _ effect: CoordinatorEffect, _ disk: inout CoordinatorDisk, _ context: inout SimulationContext
  ) {
    switch effect {
    case .send(let envelope, let connection, let chunk): send(envelope, to: connection, restoring: chunk, &context)
    case .journal(let record): write(record, &disk, &context)
    case .collect(let position, let cut, let payload): collect(position, cut: cut, payload, &context)
    case .abandon(let cut): cuts.removeAll { $0.step == cut }
    case .release(let handle):
      payloads.drop(handle)
      frames[handle] = nil
    case .store(let mark): store(mark, &context)
    case .load: context.world.finish(Done.loaded.rawValue, process: slot, after: context.shape.storeTime)
    case .report(let report): count(report, &context)
    case .timer(let moment): context.world.setTimer(process: slot, at: moment)
    case .stop(let reason): context.stop(slot, reason)
    }
  }

  private mutating func send(
    _ envelope: Envelope, to connection: Connection, restoring chunk: Int?, _ context: inout SimulationContext
  ) {
    var envelope = envelope
    if case .leases(let leases) = envelope.message { envelope = lease(leases, envelope, to: connection, &context) }
    var content: ToyPayload?
    var frame: Frame?
    if let chunk {
      guard let loaded, loaded.states.indices.contains(chunk), let (_, state) = loaded.states[chunk], let view else {
        return context.misuse(slot, "sends chunk \(chunk) of a checkpoint that is not loaded")
      }
      context.coverage.count(.stateRestored)
      content = ToyPayload(
        bits: state.bits, previousBits: state.previousBits, optimizerBits: state.optimizer, version: state.version,
        bytes: Int32(view.rules.chunks.bytes(of: chunk) * 3), chunk: UInt16(chunk))
      frame = loaded.frames[chunk]
      if let frame { content?.bytes = Int32(frame.count) }
    }
    context.send(envelope, content, frame, from: slot, to: connection)
  }

  private mutating func lease(
    _ leases: Leases, _ envelope: Envelope, to connection: Connection, _ context: inout SimulationContext
  ) -> Envelope {
    var leases = leases
    if context.bug == .leasedTwice {
      var units = leases.units
      if let other = leased.last(where: { $0.worker != connection }), !units.isEmpty { units.insert(other.unit) }
      if let last = leases.units.ranges.last?.last { leased.append((connection, last)) }
      leases = Leases(grant: leases.grant, units: units)
    }
    let worker = Int(connection.rawValue & 0xffff)
    // What is said to a worker that is gone reaches nobody.
    if context.world.isAlive(worker) {
      context.monitor.violations.now = context.world.now
      context.monitor.leased(leases.units, to: worker, life: context.world.life(of: worker), in: envelope.view)
    }
    return Envelope(
      token: envelope.token, view: envelope.view, sender: envelope.sender, incarnation: envelope.incarnation,
      message: .leases(leases))
  }

  private mutating func write(
    _ record: JournalRecord, _ disk: inout CoordinatorDisk, _ context: inout SimulationContext
  ) {
    disk.journal.append(record)
    switch record {
    case .view(let view):
      self.view = view
      var origin: StoredCheckpoint?
      if case .checkpoint(let step) = view.origin { origin = loaded ?? disk.checkpoint(step: step) }
      context.monitor.view(view, checkpoint: origin)
    case .term, .agreed, .leased, .leaseBook, .checkpoint, .totals, .completed: break
    }
  }

  private func condense(_ disk: inout CoordinatorDisk, _ context: inout SimulationContext) {
    var condensed = machine.condensedJournal
    // Before the first view there is nothing that could be left out.
    guard view != nil else { return }
    if context.bug == .forgetfulJournal {
      condensed = condensed.map { if case .totals(let totals, _) = $0 { .totals(totals) } else { $0 } }
    }
    if let difference = Coordinator.difference(context.shape.plan, disk.journal, condensed) {
      context.misuse(slot, "condenses its journal, and a successor would have \(difference)")
    }
    disk.journal = condensed
    disk.longJournal = max(CoordinatorDisk.longJournal, 2 * condensed.count)
    context.coverage.count(.journalCondensed)
  }

  // MARK: Checkpoints

  private mutating func collect(
    _ position: ChunkPosition, cut: Int, _ handle: GradientHandle, _ context: inout SimulationContext
  ) {
    let frame = frames.removeValue(forKey: handle)
    guard let payload = payloads.release(handle), let view else { return }
    if payload.version != position.version || UInt32(payload.chunk) != position.chunk {
      context.misuse(
        slot,
        "collects version \(payload.version) of chunk \(payload.chunk) as \(position.version) of \(position.chunk)")
    }
    let index: Int
    if let known = cuts.firstIndex(where: { $0.step == cut }) {
      index = known
    } else {
      index = cuts.count
      let count = view.rules.chunks.count
      cuts.append(
        Cut(step: cut, states: Array(repeating: nil, count: count), frames: Array(repeating: nil, count: count)))
    }
    let state = ToyChunk(
      version: position.version, bits: payload.bits, previousBits: payload.previousBits,
      optimizer: payload.optimizerBits)
    cuts[index].states[Int(position.chunk)] = (position, state)
    cuts[index].frames[Int(position.chunk)] = frame
  }

  private mutating func store(_ mark: CheckpointMark, _ context: inout SimulationContext) {
    guard let index = cuts.firstIndex(where: { $0.step == mark.step }), let view else {
      return context.misuse(slot, "stores a cut of step \(mark.step) that it has not collected")
    }
    let cut = cuts.remove(at: index)
    storing.append(StoredCheckpoint(mark: mark, era: view.era, states: cut.states, frames: cut.frames))
    if storing.count == 1 { planStored(&context) }
  }

  private func planStored(_ context: inout SimulationContext) {
    let time = context.bug == .earlyStored ? 1 : context.shape.storeTime
    context.world.finish(Done.stored.rawValue, process: slot, after: time)
  }

  /// What a crash leaves of the checkpoint that is being stored, where half of it is taken for a whole one.
  var tornCheckpoint: StoredCheckpoint? {
    storing.first.map { checkpoint in
      let states = checkpoint.states.enumerated().map { $0.offset % 2 == 0 ? $0.element : nil }
      return StoredCheckpoint(mark: checkpoint.mark, era: checkpoint.era, states: states, frames: checkpoint.frames)
    }
  }

  private func count(_ report: CoordinatorReport, _ context: inout SimulationContext) {
    context.note("coordinator reports: \(report.summary)")
    switch report {
    case .view(_, .joined): context.coverage.count(.viewJoined)
    case .view(_, .removed): context.coverage.count(.viewRemoved)
    case .view(_, .rebalanced): context.coverage.count(.viewRebalanced)
    case .view(_, .switched): context.coverage.count(.viewSwitched)
    case .view(_, .restored): context.coverage.count(.viewRestored)
    case .stalled: context.coverage.count(.stalled)
    case .view(_, .respread): context.coverage.count(.viewRespread)
    default: break
    }
  }
}

extension CoordinatorReport {
  /// A few words for the trace.
  fileprivate var summary: String {
    switch self {
    case .view(let view, let reason): "view \(view.number.rawValue) of era \(view.era), \(reason)"
    case .begun(let view): "training begins in view \(view.number.rawValue)"
    case .resumed(let view, let milliseconds):
      "training goes on in view \(view.number.rawValue) after \(milliseconds) ms"
    default: "\(self)"
    }
  }
}

import ParameterServer

extension Simulation {
  /// The slot of a process that is named; nil where there is none.
  private func slot(of name: ProcessName) -> Int? {
    switch name {
    case .coordinator: 0
    case .server(let number): number < shape.servers ? 1 + number : nil
    case .worker(let number): number < shape.workers ? 1 + shape.servers + number : nil
    }
  }

  /// Those at the other end of a fault's links.
  private func others(of fault: Fault, _ slot: Int) -> [Int] {
    if let other = fault.other { return self.slot(of: other).map { [$0] } ?? [] }
    return (0..<1 + shape.servers + shape.workers).filter { $0 != slot }
  }

  mutating func begin(_ number: Int) {
    switch number {
    case Self.leaving: return askToLeave()
    case Self.switching: return switchMode()
    case Self.losing: return losePair()
    case Self.healing: return heal()
    default: break
    }
    let fault = faults[number]
    guard let slot = slot(of: fault.target) else { return }
    context.note("fault: \(fault)")
    if fault.kind.isOfNetwork {
      context.coverage.count(fault.kind)
      return disturb(fault, slot)
    }
    let process = context.world.processes[slot]
    switch fault.kind {
    case .crash where process.isAlive: crash(slot)
    case .pause where process.isAlive && !process.isPaused: context.world.pause(slot)
    case .zombie where process.isAlive && !process.isPaused && slot != 0: makeZombie(slot, number, fault)
    case .clockJump: context.world.advanceClock(of: slot, by: UInt64(fault.amount) * 1000)
    case .straggler: context.slowness[slot] = UInt64(max(1, fault.amount))
    case .stranger: sayStrangeThing(to: slot, fault.amount)
    case .fullDisk: context.isDiskFull[slot] = true
    case .failingSync: context.isSyncFailing[slot] = true
    default: return
    }
    context.coverage.count(fault.kind)
  }

  mutating func end(_ number: Int) {
    let fault = faults[number]
    guard let slot = slot(of: fault.target) else { return }
    switch fault.kind {
    case .crash: start(slot)
    case .pause: context.world.resume(slot)
    case .zombie: context.world.resume(slot)
    case .straggler: context.slowness[slot] = shape.slowness(ofSlot: slot)
    case .fullDisk: context.isDiskFull[slot] = false
    case .failingSync: context.isSyncFailing[slot] = false
    case .loss, .duplicates, .reordering, .slowLink:
      for other in others(of: fault, slot) { change(from: slot, to: other, fault.kind, by: 0) }
    case .partition, .cut, .severed, .clockJump, .stranger: break
    }
  }

  private mutating func disturb(_ fault: Fault, _ slot: Int) {
    let now = context.world.now
    let until = now + fault.lasting
    for other in others(of: fault, slot) {
      switch fault.kind {
      case .partition: context.world.withNetwork { $0.block(from: slot, to: other, until: until, now: now) }
      case .severed:
        context.world.withNetwork { network in
          network.change(from: slot, to: other) { $0.isSevered = true }
          if fault.amount == 0 { network.change(from: other, to: slot) { $0.isSevered = true } }
        }
      case .cut:
        context.world.withNetwork {
          $0.cut(dealer: slot, router: other, until: until)
          $0.cut(dealer: other, router: slot, until: until)
        }
      default: change(from: slot, to: other, fault.kind, by: fault.amount)
      }
    }
  }

  private mutating func change(from source: Int, to target: Int, _ kind: FaultKind, by amount: Int) {
    let share = UInt32(amount * 65_536 / 100)
    context.world.withNetwork { network in
      network.change(from: source, to: target) { link in
        switch kind {
        case .loss: link.loss = share
        case .duplicates: link.duplicates = share
        case .reordering: link.reordering = share
        case .slowLink: link.extraLatency = UInt64(amount)
        default: break
        }
      }
    }
  }

  // MARK: What does not heal

  /// Whether a job may end with a sentence: it names two who do not reach each other, alone or as what took a server away
  /// each time that the job went back, and no worker reaches all.
  func isCutOff(_ sentence: String) -> Bool {
    let severed = faults.filter { $0.kind == .severed && $0.at <= context.world.now }
    let isNamed = severed.contains { fault in
      guard let other = fault.other else { return false }
      return [(fault.target, other), (other, fault.target)].contains {
        sentence.contains("\($0.0) waits for \($0.1) at ")
      }
    }
    let leaves = shape.branches.contains(.leavingWorker) ? 1 : 0
    let isWhole = (0..<shape.workers - leaves).contains { worker in
      !severed.contains { $0.target == .worker(worker) || $0.other == .worker(worker) }
    }
    return isNamed && !isWhole
  }

  /// The first two servers crash at once, and are started again.
  private mutating func losePair() {
    context.note("two servers are lost at once")
    for slot in 1...2 where context.world.processes[slot].isAlive {
      crash(slot)
      context.world.planStart(of: slot, after: 200_000)
    }
  }

  private mutating func crash(_ slot: Int) {
    context.world.end(slot)
    context.forgetStop(slot)
    switch context.roles[slot] {
    case .coordinator:
      if context.bug == .unsyncedJournal { disk.journal.removeLast(min(4, disk.journal.count)) }
      if context.bug == .tornCheckpoint, let torn = coordinator?.tornCheckpoint { disk.checkpoints.append(torn) }
      coordinator = nil
    case .server: servers[slot] = nil
    case .worker: workers[slot] = nil
    case .client: break
    }
    if slot != SimulationContext.coordinatorSlot { tellEnd(of: slot) }
  }

  /// A process is stopped and a second one takes its name.
  private mutating func makeZombie(_ slot: Int, _ number: Int, _ fault: Fault) {
    context.world.pause(slot)
    guard let spare = spares.popLast() else { return }
    context.roles[spare] = context.roles[slot]
    context.names[spare] = context.names[slot]
    replacements[number] = spare
    // Whoever stops the first for good does not start it again: the second has its name.
    isKept[slot] = false
    context.world.planStart(of: spare, after: fault.lasting / 4)
  }

  /// Somebody without the job's secret, or a message of long ago.
  private mutating func sayStrangeThing(to slot: Int, _ amount: Int) {
    let connection = SimulationContext.strangersConnection
    let strange = Envelope(
      token: RunShape.strangersToken, view: ViewNumber(1), sender: Member(.worker, 0), incarnation: Incarnation(1),
      message: amount % 8 == 0 ? .stop(.completed) : .viewAccepted(closed: 1))
    guard context.world.processes[slot].isAlive, !context.world.processes[slot].isPaused else { return }
    switch (amount % 4, context.roles[slot]) {
    case (0, .coordinator):
      coordinator?.receive(strange, in: Letter(strange), from: connection, &disk, &context)
    case (0, .server):
      servers[slot]?.receive(strange, in: Letter(strange), from: .connection(connection), &context)
    case (1, .coordinator):
      coordinator?.handle(.unreadable(Refusal(.malformed, "noise"), from: connection), &disk, &context)
    case (1, .server):
      servers[slot]?.handle(.unreadable(Refusal(.malformed, "noise"), from: .connection(connection)), &context)
    default: sayAgain(amount)
    }
  }

  private mutating func sayAgain(_ amount: Int) {
    guard !context.captured.isEmpty else { return }
    let (letter, dealer, router, toRouter) = context.captured[amount % context.captured.count]
    let target = context.world.processes[toRouter ? router : dealer]
    guard target.isAlive, !target.isPaused, let envelope = letter.envelope else { return }
    context.coverage.count(.replayed)
    let generation = context.world.network.generation(dealer: dealer, router: router)
    deliver(envelope, in: letter, dealer: dealer, router: router, toRouter: toRouter, generation: generation)
  }

  // MARK: What is no fault

  private mutating func askToLeave() {
    let slot = shape.servers + shape.workers
    guard context.world.processes[slot].isAlive, !context.world.processes[slot].isPaused else { return }
    guard context.monitor.log.newestEra > 0 else {
      // A job that has not begun waits for all its workers: nobody leaves it.
      return context.world.plan(fault: Self.leaving, begins: true, at: context.world.now + 20_000)
    }
    isKept[slot] = false
    workers[slot]?.handle(.asked("a person"), &context)
  }

  private mutating func switchMode() {
    guard context.world.processes[0].isAlive, !context.world.processes[0].isPaused else { return }
    var stream = SeededStream(seed: shape.seed, purpose: "switch")
    var modes: [Consistency] = [.sync, .async, .ssp(2), .local(3)]
    if shape.shards > 1 { modes.append(.backup(1)) }
    let envelope = Envelope(
      token: RunShape.token, view: .none, sender: Member(.client, 0), incarnation: Incarnation(2),
      message: .setMode(stream.pick(modes)))
    coordinator?.receive(
      envelope, in: Letter(envelope), from: SimulationContext.strangersConnection, &disk, &context)
  }

  /// The last fault is over: nothing disturbs anybody any more.
  private mutating func heal() {
    let now = context.world.now
    context.world.withNetwork { $0.heal(now: now) }
    for slot in context.world.processes.indices {
      context.world.resume(slot)
      context.slowness[slot] = shape.slowness(ofSlot: slot)
      if slot < 1 + shape.servers + shape.workers, !context.world.processes[slot].isAlive { start(slot) }
    }
  }
}

extension RunShape {
  /// How much slower than the others a slot computes by its nature.
  func slowness(ofSlot slot: Int) -> UInt64 {
    if let slowdown = slowdowns[slot - 1 - servers] { return UInt64(max(1, slowdown)) }
    return branches.contains(.slowWorker) && slot == 1 + servers ? 6 : 1
  }
}

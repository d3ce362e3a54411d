import ParameterServer

/// One run: processes in a world, until the job is over or its time is up.
struct Simulation: ~Copyable {
  var context: SimulationContext
  var coordinator: CoordinatorProcess?
  /// By slot of the world.
  var servers: Table<ServerProcess?>
  var workers: Table<WorkerProcess?>
  var disk = CoordinatorDisk()
  let faults: [Fault]
  /// Slots that are free for a second process of a name.
  var spares: [Int]
  /// The slot in which a zombie's replacement lives, by fault.
  var replacements: [Int: Int] = [:]
  /// Whether a process is started again when it ends, by slot.
  var isKept: [Bool]
  private var isOver = false
  /// When the faults are over.
  private let healTime: UInt64
  private var deadline: UInt64

  /// Microseconds that a healthy cluster has to end its job: longer than every deadline of the members together.
  private static let livenessBound: UInt64 = 90_000_000
  /// Microseconds more for each two who do not reach each other: either is removed a few times, each time after a while.
  private static let severedBound: UInt64 = 240_000_000
  /// Microseconds that members have to end after their coordinator has.
  private static let shutdownBound: UInt64 = 70_000_000
  private static let spareSlots = 4

  var shape: RunShape { context.shape }

  init(shape: RunShape, cluster: Cluster, faults: [Fault], training: TrainingModel? = nil) {
    self.faults = faults
    let late = shape.branches.contains(.lateWorker) ? 1 : 0
    var roles: [Role] = [.coordinator]
    var names = ["coordinator"]
    for number in 0..<shape.servers {
      roles.append(.server)
      names.append("server.\(number)")
    }
    for number in 0..<shape.workers + late {
      roles.append(.worker)
      names.append(number < shape.workers ? "worker.\(number)" : "late")
    }
    spares = Array(roles.count..<roles.count + Self.spareSlots)
    roles += Array(repeating: .client, count: Self.spareSlots)
    names += Array(repeating: "", count: Self.spareSlots)
    let chunks = shape.plan.rules(samples: shape.samples)?.chunks.count ?? 0
    context = SimulationContext(shape: shape, cluster: cluster, roles: roles, names: names, chunks: chunks)
    context.training = training
    servers = Table(count: roles.count) { nil }
    workers = Table(count: roles.count) { nil }
    isKept = Array(repeating: true, count: roles.count)
    healTime = faults.reduce(0) { max($0, $1.at + $1.lasting) }
    let severed = faults.count { $0.kind == .severed }
    deadline = healTime + Self.livenessBound + UInt64(severed) * Self.severedBound + 10 * shape.expectedTime
    for branch in RareBranch.allCases where shape.branches.contains(branch) { context.coverage.count(branch) }
    planBeginning()
  }

  private mutating func planBeginning() {
    var stream = SeededStream(seed: shape.seed, purpose: "beginning")
    for slot in 0..<1 + shape.servers + shape.workers {
      context.world.planStart(of: slot, after: slot == 0 ? 0 : UInt64(stream.number(in: 0...30_000)))
      context.world.advanceClock(of: slot, by: UInt64(stream.number(in: 0...1_000_000_000)))
    }
    if shape.branches.contains(.lateWorker) {
      context.world.planStart(of: 1 + shape.servers + shape.workers, after: shape.expectedTime * 2 / 5)
    }
    for (index, fault) in faults.enumerated() {
      context.world.plan(fault: index, begins: true, at: fault.at)
      if fault.kind.lasts { context.world.plan(fault: index, begins: false, at: fault.at + fault.lasting) }
    }
    if shape.branches.contains(.leavingWorker), shape.workers > 1 {
      context.world.plan(fault: Self.leaving, begins: true, at: shape.expectedTime / 3)
    }
    if shape.branches.contains(.modeSwitch) {
      context.world.plan(fault: Self.switching, begins: true, at: shape.expectedTime / 2)
    }
    if shape.branches.contains(.lostPair), shape.servers > 1 {
      // When the disturbances of the schedule are over: there are checkpoints then.
      context.world.plan(fault: Self.losing, begins: true, at: max(healTime, shape.expectedTime * 2 / 3))
    }
    context.world.plan(fault: Self.healing, begins: true, at: healTime + 1)
  }

  // What is planned beside the schedule's faults.
  static let leaving = 1 << 20
  static let switching = leaving + 1
  static let healing = leaving + 2
  static let losing = leaving + 3

  /// Runs to the end and says what came of it.
  mutating func run() -> RunReport {
    while let occurrence = context.world.next(until: deadline) {
      switch consume occurrence {
      case .message(var letter, let dealer, let router, let toRouter, let generation):
        guard let (envelope, isLast) = Letter.open(&letter) else { continue }
        context.world.note(letter.word(envelope))
        deliver(envelope, in: letter, dealer: dealer, router: router, toRouter: toRouter, generation: generation)
        if isLast { context.blanks.add(consume letter) }
        look(after: toRouter ? router : dealer)
      case .local(let argument, let slot):
        finish(argument, slot)
        look(after: slot)
      case .timer(let slot):
        fireTimer(of: slot)
        look(after: slot)
      case .start(let slot): start(slot)
      case .fault(let number, let begins): begins ? begin(number) : end(number)
      }
      if isOver, !isAnyoneAlive { break }
    }
    return report()
  }

  private var isAnyoneAlive: Bool { context.world.isAnyoneAlive }

  // MARK: What happens to a process

  mutating func deliver(
    _ envelope: Envelope, in letter: Letter, dealer: Int, router: Int, toRouter: Bool, generation: UInt32
  ) {
    let (source, target) = toRouter ? (dealer, router) : (router, dealer)
    let connection = SimulationContext.connection(dealer: dealer, generation: generation)
    switch context.roles[target] {
    case .coordinator: coordinator?.receive(envelope, in: letter, from: connection, &disk, &context)
    case .server:
      // A router knows the connection, a dealer whom it connected to.
      let destination = toRouter ? .connection(connection) : servers[target]?.destination(ofSlot: source)
      if let destination { servers[target]?.receive(envelope, in: letter, from: destination, &context) }
    case .worker:
      workers[target]?.receive(envelope, in: letter, fromSlot: source, &context)
    case .client: break
    }
  }

  private mutating func finish(_ argument: UInt64, _ slot: Int) {
    switch context.roles[slot] {
    case .coordinator: coordinator?.finish(argument, &disk, &context)
    case .server: servers[slot]?.finish(argument, &context)
    case .worker: workers[slot]?.finish(argument, &context)
    case .client: break
    }
  }

  private mutating func fireTimer(of slot: Int) {
    if context.bug == .lostTimers, slot > 0, context.world.events % 16 == 0 { return }
    switch context.roles[slot] {
    case .coordinator: coordinator?.handle(.timer, &disk, &context)
    case .server: servers[slot]?.handle(.timer, &context)
    case .worker: workers[slot]?.handle(.timer, &context)
    case .client: break
    }
  }

  /// Starts a process, unless the job is over.
  mutating func start(_ slot: Int) {
    guard !isOver, !context.world.processes[slot].isAlive, isKept[slot] else { return }
    context.world.begin(slot)
    context.forgetStop(slot)
    let life = context.world.processes[slot].life
    if life > 1 { context.coverage.count(.restart) }
    let incarnation = Incarnation(
      ToyModel.mix(shape.seed, UInt64(slot), context.bug == .sameIncarnation ? 1 : UInt64(life)) | 1)
    let name = context.names[slot]
    context.note("\(name) starts")
    countDrops(of: slot)
    switch context.roles[slot] {
    case .coordinator: startCoordinator()
    case .server:
      let machine = Server(
        name: name, token: RunShape.token, incarnation: incarnation, deadlines: shape.deadlines)
      servers[slot] = ServerProcess(slot: slot, life: life, incarnation: incarnation, machine: machine)
      servers[slot]?.training = context.training.map { TrainingServer($0, slot: slot) }
      servers[slot]?.handle(.started, &context)
    case .worker:
      let machine = Worker(
        name: name, token: RunShape.token, incarnation: incarnation, deadlines: shape.deadlines)
      workers[slot] = WorkerProcess(slot: slot, life: life, machine: machine)
      workers[slot]?.training = context.training.map { TrainingWorker($0, slot: slot) }
      workers[slot]?.handle(.started, &context)
    case .client: break
    }
    look(after: slot)
  }

  private mutating func startCoordinator() {
    if !disk.journal.isEmpty { context.coverage.count(.journalRead) }
    let journal = context.bug == .forgottenJournal ? [] : disk.journal
    let machine = Coordinator(
      plan: shape.plan, token: RunShape.token, deadlines: shape.deadlines, journal: journal)
    coordinator = CoordinatorProcess(machine: machine)
    coordinator?.handle(.started, &disk, &context)
  }

  /// The launcher's part: a process that has stopped is started again unless the job is over.
  private mutating func look(after slot: Int) {
    guard context.hasStopped[slot], context.world.processes[slot].isAlive, let reason = context.stopReasons[slot] else {
      return
    }
    let name = context.names[slot]
    context.note("\(name) ends: \(reason)")
    context.world.leave(slot)
    if slot == SimulationContext.coordinatorSlot {
      switch reason {
      case .completed, .interrupted, .failed, .rejected: endJob(reason)
      case .unreachable, .fenced: context.world.planStart(of: slot, after: 200_000)
      }
      return
    }
    if case .fenced = reason { context.coverage.count(.fenced) }
    if reason != .completed, reason != .interrupted { tellEnd(of: slot) }
    if !isOver, reason != .completed, isKept[slot] { context.world.planStart(of: slot, after: 200_000) }
  }

  private mutating func endJob(_ reason: StopReason) {
    isOver = true
    deadline = min(deadline, context.world.now + Self.shutdownBound)
    context.monitor.violations.now = context.world.now
    let era = context.monitor.log.newestEra
    if case .failed(let sentence, _) = reason, isCutOff(sentence) { return context.coverage.count(.cutOff) }
    guard reason == .completed else { return context.monitor.failed("the job ends: \(reason), era \(era)") }
    context.monitor.completed(with: disk.newest)
  }

  /// The launcher tells the coordinator that a process has ended, where there is one that tells.
  mutating func tellEnd(of slot: Int) {
    guard !shape.branches.contains(.silentLauncher), context.world.processes[0].isAlive,
      !context.world.processes[0].isPaused
    else { return }
    coordinator?.handle(.ended(name: context.names[slot]), &disk, &context)
    look(after: SimulationContext.coordinatorSlot)
  }

  // MARK: The end

  private mutating func report() -> RunReport {
    if !isOver {
      context.monitor.violations.now = context.world.now
      let text =
        "\(closedSteps) of \(shape.job.steps) steps are closed \((deadline - healTime) / 1000) ms after the last fault"
      context.monitor.failed(text)
    } else if isAnyoneAlive {
      let alive = context.world.processes.indices.filter { context.world.processes[$0].isAlive }
      let names = alive.map { context.names[$0] }.joined(separator: ", ")
      context.monitor.violations.now = context.world.now
      context.monitor.failed("the job is over and \(names) do not end")
    }
    countNetwork()
    for slot in context.roles.indices { countDrops(of: slot) }
    return RunReport(
      seed: shape.seed, hash: context.world.hash.description, violations: context.monitor.violations.all,
      isCompleted: context.stopReasons[SimulationContext.coordinatorSlot] == .completed, steps: closedSteps,
      simulatedTime: context.world.now,
      eventCount: context.world.events, coverage: context.coverage, faults: faults, trace: context.trace ?? [])
  }

  /// What a life of a process passed over, once it is over.
  private mutating func countDrops(of slot: Int) {
    switch context.roles[slot] {
    case .coordinator: if let drops = coordinator?.machine.drops { context.coverage.add(drops) }
    case .server: if let drops = servers[slot]?.machine.drops { context.coverage.add(drops) }
    case .worker: if let drops = workers[slot]?.machine.drops { context.coverage.add(drops) }
    case .client: break
    }
  }

  private var closedSteps: Int {
    if context.stopReasons[SimulationContext.coordinatorSlot] == .completed { return disk.newest?.mark.step ?? 0 }
    let lines = context.monitor.log.lines(context.monitor.log.newestEra) ?? []
    return Int(lines.map(\.closed).min() ?? 0)
  }

  private mutating func countNetwork() {
    let outcomes = context.world.network.outcomes
    context.coverage.count(.messageLost, Int(outcomes[SendOutcome.lost.rawValue]))
    context.coverage.count(.messageDroppedFull, Int(outcomes[SendOutcome.full.rawValue]))
    context.coverage.count(.messageUnreachable, Int(outcomes[SendOutcome.unreachable.rawValue]))
    context.coverage.count(.messageDoubled, Int(context.world.network.doubled))
    context.coverage.count(.messageOvertaken, Int(context.world.network.overtaken))
    context.coverage.count(.lostWithConnection, Int(context.world.network.lostWithConnection))
  }
}

import ParameterServer
import Transport

/// A worker's process: its machine, and an engine of toy numbers whose gradients depend on all the parameters.
struct WorkerProcess: ~Copyable {
  /// What was computed of an order's node, by chunk.
  private struct Sum {
    let order: UInt64
    let node: ShardNode
    let parts: [ToyPayload]
  }

  private struct Computation {
    let order: ComputeOrder
    let digest: UInt64
    /// The parameters that the engine reads, by chunk.
    let parameters: [ToyPayload]
    let beganAt: UInt64
    var node = 0
  }

  let slot: Int
  let life: UInt16
  private(set) var machine: Worker
  /// The floats beside the toy numbers, where the job is a real network's.
  var training: TrainingWorker?
  private var payloads = PayloadTable()
  /// What the machine wants done: empty but while an event is handled, and used again.
  private var effects: [WorkerEffect] = []
  private var view: View?
  /// What is asked for with every letter, without the view.
  private var (viewNumber, era) = (ViewNumber.none, UInt32(0))
  private var rules: JobRules?
  private var routes: [(member: Member, slot: Int)] = []
  private var parameters = Table<ToyPayload?>(capacity: 0)
  private var sums: [Sum] = []
  private var computation: Computation?
  /// Whether an order is under way; its computation is taken out while a node of it ends.
  private var isComputing = false
  /// The engine still reads the chunks below: those above have their last gradient.
  private var readsUpTo = 0
  /// Occasions for a planted bug.
  private var occasions = 0

  private static let sumsBound = 4096

  init(slot: Int, life: UInt16, machine: Worker) {
    self.slot = slot
    self.life = life
    self.machine = machine
  }

  /// How it knows who speaks: the coordinator, or a server of its view.
  ///
  /// `mutating`, so that it is asked where it is: a process that is copied costs more.
  private mutating func destination(ofSlot slot: Int) -> Destination? {
    if slot == SimulationContext.coordinatorSlot { return .coordinator }
    return routes.first { $0.slot == slot }.map { .server($0.member) }
  }

  /// Takes a letter; one of somebody whom it does not know is lost.
  mutating func receive(
    _ envelope: Envelope, in letter: Letter, fromSlot sender: Int, _ context: inout SimulationContext
  ) {
    guard let source = destination(ofSlot: sender) else { return }
    let payload = letter.payload.map { payloads.keep($0) }
    training?.receive(letter.frame, as: payload)
    if case .parameters(let parameters) = envelope.message, let contribution = parameters.answers,
      viewNumber != .none, envelope.view == viewNumber, envelope.token == RunShape.token
    {
      if contribution.isStale { context.coverage.count(.stalePush) }
      context.monitor.violations.now = context.world.now
      context.monitor.acknowledged(contribution, chunk: Int(parameters.chunk), era: era)
    }
    if context.bug == .hastyInstall { installHastily(envelope, letter.payload, &context) }
    if context.bug == .looseSlack {
      handle(.message(Self.loosened(envelope), from: source, payload: payload), &context)
    } else {
      handle(.message(envelope, from: source, payload: payload), &context)
    }
    context.monitor.held(payloads.count, by: "\(context.names[slot])")
  }

  /// The planted bug `looseSlack`.
  private static func loosened(_ envelope: Envelope) -> Envelope {
    guard case .view(let view) = envelope.message, let rules = view.rules.switched(to: .ssp(8), fromStep: 0) else {
      return envelope
    }
    let loose = View(
      number: view.number, era: view.era, origin: view.origin, isBeginning: view.isBeginning, rules: rules,
      servers: view.servers, workers: view.workers, since: view.since)
    return Envelope(
      token: envelope.token, view: envelope.view, sender: envelope.sender, incarnation: envelope.incarnation,
      message: .view(loose))
  }

  /// The planted bug `hastyInstall`.
  private mutating func installHastily(
    _ envelope: Envelope, _ payload: ToyPayload?, _ context: inout SimulationContext
  ) {
    guard case .parameters(let parameters) = envelope.message, let payload, let view,
      envelope.view == view.number, self.parameters.indices.contains(Int(parameters.chunk))
    else { return }
    self.parameters[Int(parameters.chunk)] = payload
    context.monitor.installed(
      InstalledFact(
        slot: slot, life: life, view: view.number, era: view.era, chunk: Int(parameters.chunk),
        version: payload.version))
  }

  /// Something that it does itself is done: it is prepared, or a node is computed.
  mutating func finish(_ argument: UInt64, _ context: inout SimulationContext) {
    if argument == 0 {
      return handle(.prepared(context.shape.ready(.worker, slot: slot)), &context)
    }
    finishNode(of: argument - 1, &context)
  }

  /// Takes an event and does what the machine decides.
  mutating func handle(_ event: WorkerEvent, _ context: inout SimulationContext) {
    let wasOver = context.hasStopped[slot]
    machine.handle(event, at: context.world.moment(of: slot), into: &effects)
    if wasOver {
      for effect in effects {
        if case .release = effect {} else { context.misuse(slot, "does something after its end") }
      }
    }
    // Taken out from the end, they are moved and not copied.
    effects.reverseByMoving()
    while let effect = effects.popLast() { perform(effect, &context) }
    if payloads.misuses > 0 { context.misuse(slot, "uses a payload that is not held") }
  }

  private mutating func perform(_ effect: consuming WorkerEffect, _ context: inout SimulationContext) {
    training?.perform(effect)
    switch consume effect {
    case .send(let envelope, let destination, let part): send(envelope, to: destination, part, &context)
    case .prepare: context.world.finish(0, process: slot, after: 2000)
    case .adopt(let view): adopt(view)
    case .install(let chunk, let handle): install(chunk, handle, &context)
    case .release(let handle): payloads.drop(handle)
    case .readAhead: break
    case .compute(let order): compute(order, &context)
    case .discard(let order, let node): sums.removeAll { $0.order == order && $0.node == node }
    case .refused(let refusal): context.note(refusal)
    case .timer(let moment): context.world.setTimer(process: slot, at: moment)
    case .stop(let reason): context.stop(slot, reason)
    }
  }

  private mutating func adopt(_ view: View) {
    if self.view?.era != view.era { parameters = Table(repeating: nil, count: view.rules.chunks.count) }
    self.view = view
    (viewNumber, era, rules) = (view.number, view.era, view.rules)
    routes = view.servers.compactMap { line in RunShape.slot(line.address).map { (line.member, $0) } }
  }

  private mutating func install(_ chunk: Int, _ handle: GradientHandle, _ context: inout SimulationContext) {
    guard let payload = payloads.release(handle), parameters.indices.contains(chunk) else { return }
    if Int(payload.chunk) != chunk { context.misuse(slot, "installs chunk \(payload.chunk) as chunk \(chunk)") }
    if readsUpTo > chunk {
      context.misuse(slot, "replaces chunk \(chunk), which the engine still reads")
    }
    occasions += 1
    if context.bug != .staleParameters || occasions % 16 != 0 { parameters[chunk] = payload }
    context.monitor.violations.now = context.world.now
    training?.installed(chunk, version: payload.version, &context)
    context.monitor.installed(
      InstalledFact(
        slot: slot, life: life, view: viewNumber, era: era, chunk: chunk, version: payload.version))
  }

  // MARK: Computing

  private mutating func compute(_ order: ComputeOrder, _ context: inout SimulationContext) {
    var held: [ToyPayload] = []
    held.reserveCapacity(parameters.count)
    for chunk in parameters.indices { if let payload = parameters[chunk] { held.append(payload) } }
    guard let view, held.count == parameters.count, !isComputing, !order.nodes.isEmpty else {
      return context.misuse(slot, "computes step \(order.steps.lowerBound) without parameters, or while it computes")
    }
    let digest = held.reduce(2) { context.shape.model.digest($0, $1.bits) }
    isComputing = true
    computation = Computation(order: order, digest: digest, parameters: held, beganAt: context.world.now)
    readsUpTo = .max
    context.monitor.violations.now = context.world.now
    context.training?.record.begins(at: context.world.now)
    context.monitor.computing(ComputeFact(slot: slot, era: view.era, order: order, parameters: held))
    scheduleNode(of: order, 0, &context)
  }

  private mutating func scheduleNode(of order: ComputeOrder, _ node: Int, _ context: inout SimulationContext) {
    let shards = order.nodes[node].shards.count * order.steps.count
    var time = UInt64(shards) * context.shape.computeTime * context.slowness[slot]
    if context.bug == .unseeded { time += UInt64.random(in: 0...100) }
    context.world.finish(order.number + 1, process: slot, after: time)
  }

  private mutating func finishNode(of number: UInt64, _ context: inout SimulationContext) {
    // Taken out and put back: a computation that is copied costs more than what is done with it.
    guard computation?.order.number == number, let rules, var current = computation.take() else { return }
    if let failure = training?.failure {
      isComputing = false
      readsUpTo = 0
      return handle(.failed(failure), &context)
    }
    let order = current.order
    let node = order.nodes[current.node]
    sums.append(Self.sum(of: node, current, rules, slot: slot, context.shape.model))
    current.node += 1
    if sums.count > Self.sumsBound { context.misuse(slot, "keeps more than \(Self.sumsBound) sums") }
    let isLast = current.node == order.nodes.count
    for chunk in parameters.indices.reversed() {
      if isLast { readsUpTo = chunk }
      handle(.gradientReady(order: number, node: node, chunk: chunk), &context)
    }
    for shard in node.shards {
      for step in order.steps {
        let samples = order.schedule.positions(ofStep: step, shard: shard).count
        guard samples > 0 else { continue }
        let result =
          training?.result(step: step, shard: shard)
          ?? ShardResult(step: step, shard: shard, samples: samples, lossSum: Double(samples) / 2, correct: samples / 2)
        handle(.computed(result), &context)
      }
    }
    guard isLast else {
      scheduleNode(of: order, current.node, &context)
      computation = consume current
      return
    }
    isComputing = false
    readsUpTo = 0
    let milliseconds = (context.world.now - current.beganAt) / 1000
    handle(.computeFinished(order: number, milliseconds: milliseconds), &context)
  }

  private static func sum(
    of node: ShardNode, _ computation: Computation, _ rules: JobRules, slot: Int, _ model: ToyModel
  ) -> Sum {
    let order = computation.order
    let samples = RoundSamples(
      steps: order.steps, shards: node.shards, consistency: order.consistency, schedule: order.schedule)
    let (parameters, digest) = (computation.parameters, computation.digest)
    var parts: [ToyPayload] = []
    parts.reserveCapacity(parameters.count)
    for chunk in parameters.indices {
      let (bits, version) = (parameters[chunk].bits, parameters[chunk].version)
      let (sum, shards) = samples.total(model, of: node.shards, chunk: chunk, digest: digest, parameters: bits)
      parts.append(
        ToyPayload(
          bits: sum ?? 0, version: version, shards: shards, step: UInt32(order.steps.lowerBound),
          bytes: Int32(rules.payloadBytes(ofChunk: chunk, step: order.steps.lowerBound)),
          chunk: UInt16(chunk), worker: UInt16(slot)))
    }
    return Sum(order: order.number, node: node, parts: parts)
  }

  // MARK: Sending

  private mutating func send(
    _ envelope: consuming Envelope, to destination: Destination, _ part: GradientPart?,
    _ context: inout SimulationContext
  ) {
    var content: ToyPayload?
    var frame: Frame?
    if let part {
      guard let sum = sums.last(where: { $0.order == part.order && $0.node == part.node }) else {
        return context.misuse(slot, "sends a gradient of \(part.node), order \(part.order), which it does not hold")
      }
      content = sum.parts[part.chunk]
      if context.bug == .swappedChunks { content = sum.parts[part.chunk ^ 1] }
      if context.bug == .forgottenSums, part.chunk == 0 {
        sums.removeAll { $0.order == part.order && $0.node == part.node }
      }
      if training != nil {
        frame = training?.frame(part, &context)
        content?.bytes = Int32(frame?.count ?? 0)
      }
    }
    switch destination {
    case .coordinator:
      context.send(consume envelope, content, frame, from: slot, toAddressOf: SimulationContext.coordinatorSlot)
    case .server(let member):
      guard let route = routes.first(where: { $0.member == member }) else { return }
      context.send(consume envelope, content, frame, from: slot, toAddressOf: route.slot)
    case .connection(let connection): context.send(consume envelope, content, frame, from: slot, to: connection)
    }
  }
}

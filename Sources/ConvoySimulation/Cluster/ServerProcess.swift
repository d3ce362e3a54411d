import ParameterServer
import Transport

/// A server's process: its machine, and what Runtime holds for it, in toy numbers.
struct ServerProcess: ~Copyable {
  private struct Pending {
    let update: Update
    let gradient: ToyPayload
    /// What was held of the chunk when the update was ordered: an update of what was replaced meanwhile is void.
    let installation: UInt32
    let wasPrimary: Bool
  }

  /// A chunk as it is now. Small: it is looked at for every message.
  struct Held {
    var chunk: ToyChunk
    var installation: UInt32
    var isUpdating = false
  }

  /// What else there is of a chunk that is held.
  struct Past {
    /// The newest update: what a server that becomes the primary goes on from.
    var newest: AppliedFact?
    var snapshot: (position: ChunkPosition, state: ToyChunk)?
  }

  let slot: Int
  let life: UInt16
  private let incarnation: Incarnation
  private(set) var machine: Server
  /// The floats beside the toy numbers, where the job is a real network's.
  var training: TrainingServer?
  var payloads = PayloadTable()
  /// What the machine wants done: empty but while an event is handled, and used again.
  private var effects: [ServerEffect] = []
  var view: View?
  /// What is asked for with every letter, without the view.
  private(set) var (viewNumber, era) = (ViewNumber.none, UInt32(0))
  private(set) var rules: JobRules?
  var routes: [(member: Member, slot: Int)] = []
  private(set) var isPrimary: [Bool] = []
  private(set) var held = Table<Held?>(capacity: 0)
  private(set) var past = Table<Past>(capacity: 0)
  /// Updates that are being made, and the places of the list that are free.
  private var pending = Table<Pending?>(capacity: 8)
  private var freePlaces = Table<Int>(capacity: 8)
  /// Scales of norms that are being added, by the number of the order.
  private var scales: [UInt64: UInt64] = [:]
  private var installations: UInt32 = 0
  /// Chunks whose first values are being made, by the number of the order.
  private var fills: [UInt64: (chunks: [Int], era: UInt32)] = [:]
  private var fillsOrdered: UInt64 = 0
  /// For planted bugs: occasions, and a worker that was heard.
  private var occasions = 0
  private var worker: Connection?

  private enum Done: UInt64 {
    case prepared
    case initialised
    case applied
    case scaled
  }

  init(slot: Int, life: UInt16, incarnation: Incarnation, machine: Server) {
    self.slot = slot
    self.incarnation = incarnation
    self.life = life
    self.machine = machine
  }

  /// How it knows who speaks on a connection that it made itself; nil where its view has no such server.
  ///
  /// `mutating`, so that it is asked where it is: a process that is copied costs more.
  mutating func destination(ofSlot slot: Int) -> Destination? {
    if slot == SimulationContext.coordinatorSlot { return .coordinator }
    return routes.first { $0.slot == slot }.map { .server($0.member) }
  }

  /// Takes a letter.
  mutating func receive(
    _ envelope: Envelope, in letter: Letter, from source: Destination, _ context: inout SimulationContext
  ) {
    if context.bug == .earlyAcknowledgement, case .replicate(let update) = envelope.message, isOccasion(4) {
      let answer = Envelope(
        token: RunShape.token, view: envelope.view, sender: machine.member, incarnation: incarnation,
        message: .replicated(chunk: update.chunk, version: update.version))
      if case .connection(let connection) = source { context.send(answer, nil, from: slot, to: connection) }
      return
    }
    if case .connection(let connection) = source, case .push = envelope.message { worker = connection }
    let payload = letter.payload.map { payloads.keep($0) }
    training?.receive(envelope, letter.frame, from: source, as: payload)
    handle(.message(envelope, from: source, payload: payload), &context)
    context.monitor.held(payloads.count, by: "\(context.names[slot])")
  }

  /// Something that it does itself is done.
  mutating func finish(_ argument: UInt64, _ context: inout SimulationContext) {
    switch Done(rawValue: argument >> 32) {
    case .prepared: handle(.prepared(context.shape.ready(.server, slot: slot)), &context)
    case .initialised: finishFill(argument & 0xffff_ffff, &context)
    case .applied: finishApply(Int(argument & 0xffff_ffff), &context)
    case .scaled:
      guard let scale = scales.removeValue(forKey: argument & 0xffff_ffff) else { return }
      handle(.scaled(order: argument & 0xffff_ffff, scale: scale), &context)
    case nil: break
    }
  }

  /// Takes an event and does what the machine decides.
  mutating func handle(_ event: ServerEvent, _ context: inout SimulationContext) {
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

  private mutating func perform(_ effect: consuming ServerEffect, _ context: inout SimulationContext) {
    training?.perform(effect, as: machine.member, &context)
    switch consume effect {
    case .send(let envelope, let destination, let payload): send(envelope, to: destination, payload, &context)
    case .prepare: context.world.finish(Done.prepared.rawValue << 32, process: slot, after: 500)
    case .adopt(let view): adopt(view, &context)
    case .initialise(let chunks, let era): initialise(chunks, era, &context)
    case .install(let position, let payload): install(position, payload, &context)
    case .drop(let chunk): if held.indices.contains(chunk) { hold(nil, chunk) }
    case .combine(let left, let right, let sum):
      guard let first = payloads.release(left), let second = payloads.release(right) else { return }
      var total = context.shape.model.sum(first, context.bug == .doubledPart ? first : second)
      total.shards |= second.shards
      payloads.hold(total, as: sum)
    case .measure(let chunk, let samples, let gradient, let part): measure(chunk, samples, gradient, part, &context)
    case .addNorm(let order, let parts): addNorm(order, parts, &context)
    case .release(let handle): if context.bug != .leakedPayloads { payloads.drop(handle) }
    case .apply(let update, let gradient): apply(update, gradient, &context)
    case .snapshot(let position): snapshot(position, &context)
    case .forgetSnapshot(let chunk): if past.indices.contains(chunk) { past[chunk].snapshot = nil }
    case .refused(let refusal): context.note(refusal)
    case .timer(let moment): context.world.setTimer(process: slot, at: moment)
    case .stop(let reason): context.stop(slot, reason)
    }
  }

  private mutating func adopt(_ view: View, _ context: inout SimulationContext) {
    if self.view?.era != view.era {
      held = Table(repeating: nil, count: view.rules.chunks.count)
      past = Table(repeating: Past(), count: held.count)
    }
    self.view = view
    (viewNumber, era, rules) = (view.number, view.era, view.rules)
    routes = view.servers.compactMap { line in RunShape.slot(line.address).map { (line.member, $0) } }
    let before = isPrimary
    isPrimary = Array(repeating: false, count: view.rules.chunks.count)
    for chunk in view.server(machine.member)?.chunks ?? [] {
      isPrimary[Int(chunk)] = true
      if before.count == isPrimary.count, !before[Int(chunk)] { take(Int(chunk), in: view, &context) }
    }
  }

  private mutating func hold(_ new: Held?, _ chunk: Int) {
    held[chunk] = new
    past[chunk] = Past()
  }

  /// Becomes the primary of a chunk: what it holds is what counts from now on, perhaps instead of what another made.
  private mutating func take(_ chunk: Int, in view: View, _ context: inout SimulationContext) {
    guard let fact = past[chunk].newest else { return }
    context.monitor.violations.now = context.world.now
    context.monitor.applied(fact.taken(in: view.number))
  }

  /// Orders the first values of chunks.
  private mutating func initialise(_ chunks: [Int], _ era: UInt32, _ context: inout SimulationContext) {
    fillsOrdered += 1
    fills[fillsOrdered] = (chunks, era)
    context.world.finish(Done.initialised.rawValue << 32 | fillsOrdered, process: slot, after: 200)
  }

  /// What an order has made is held, but for what is held already or is of an era that is over.
  private mutating func finishFill(_ order: UInt64, _ context: inout SimulationContext) {
    guard let (chunks, era) = fills.removeValue(forKey: order) else { return }
    if era == view?.era {
      for chunk in chunks where held.indices.contains(chunk) && held[chunk] == nil {
        installations += 1
        hold(Held(chunk: ToyChunk(bits: context.shape.model.initial(chunk)), installation: installations), chunk)
      }
    }
    training?.initialise(chunks, era: era, &context)
    handle(.initialised(chunks: chunks, era: era), &context)
  }

  private mutating func install(
    _ position: ChunkPosition, _ handle: GradientHandle, _ context: inout SimulationContext
  ) {
    guard let payload = payloads.release(handle), held.indices.contains(Int(position.chunk)) else { return }
    if payload.version != position.version || UInt32(payload.chunk) != position.chunk {
      context.misuse(
        slot,
        "installs version \(payload.version) of chunk \(payload.chunk) as \(position.version) of \(position.chunk)")
    }
    installations += 1
    let state = ToyChunk(
      version: position.version, bits: payload.bits, previousBits: payload.previousBits,
      optimizer: payload.optimizerBits)
    hold(Held(chunk: state, installation: installations), Int(position.chunk))
  }

  private mutating func snapshot(_ position: ChunkPosition, _ context: inout SimulationContext) {
    let chunk = Int(position.chunk)
    guard held.indices.contains(chunk), let state = held[chunk]?.chunk else {
      return context.misuse(slot, "takes a snapshot of chunk \(chunk), which it does not hold")
    }
    if state.version != position.version {
      context.misuse(slot, "takes version \(state.version) of chunk \(chunk) for version \(position.version)")
    }
    past[chunk].snapshot = (position, state)
  }

  /// Whether a planted bug shows this time.
  private mutating func isOccasion(_ rarity: Int) -> Bool {
    occasions += 1
    return occasions % rarity == 0
  }

  // MARK: Updates

  private mutating func measure(
    _ chunk: Int, _ samples: UInt64, _ gradient: GradientHandle, _ part: GradientHandle,
    _ context: inout SimulationContext
  ) {
    guard var payload = payloads.read(gradient), let rules = view?.rules else { return }
    payload.bits = context.shape.model.measured(payload.bits, samples: samples)
    payload.bytes = Int32(rules.chunks.normBytes(of: chunk))
    payloads.hold(payload, as: part)
  }

  private mutating func addNorm(_ order: UInt64, _ parts: [GradientHandle], _ context: inout SimulationContext) {
    var bits = parts.compactMap { payloads.read($0)?.bits }
    if context.bug == .misorderedNorm { bits.reverse() }
    scales[order] = context.shape.model.scale(ofNorm: bits)
    context.coverage.count(.normAdded)
    context.world.finish(Done.scaled.rawValue << 32 | order, process: slot, after: 20)
  }

  private mutating func apply(_ update: Update, _ gradient: GradientHandle, _ context: inout SimulationContext) {
    let chunk = Int(update.chunk)
    guard let payload = payloads.read(gradient), held.indices.contains(chunk), let state = held[chunk] else {
      return context.misuse(slot, "updates chunk \(chunk), which it does not hold")
    }
    if state.isUpdating { context.misuse(slot, "updates chunk \(chunk) twice at once") }
    held[chunk]?.isUpdating = true
    let place = freePlaces.popLast() ?? pending.count
    let entry = Pending(
      update: update, gradient: payload, installation: state.installation, wasPrimary: isPrimary[chunk])
    if place == pending.count { pending.append(entry) } else { pending[place] = entry }
    context.world.finish(Done.applied.rawValue << 32 | UInt64(place), process: slot, after: 20 + UInt64(chunk) * 3)
  }

  private mutating func finishApply(_ place: Int, _ context: inout SimulationContext) {
    guard let order = pending[place] else { return }
    pending[place] = nil
    freePlaces.append(place)
    let chunk = Int(order.update.chunk)
    if let old = held[chunk], old.installation == order.installation, view != nil {
      var new = context.shape.model.updated(old.chunk, by: order.gradient.bits, order.update)
      if context.bug == (isPrimary[chunk] ? .lostUpdate : .forgetfulReplica), isOccasion(16) {
        new = old.chunk
        new.version = order.update.version
      }
      held[chunk]?.chunk = new
      held[chunk]?.isUpdating = false
      training?.finish(order.update, by: order.gradient, &context)
      if !isPrimary[chunk] { context.coverage.count(.replicaApplied) }
      let fact = AppliedFact(
        slot: slot, life: life, view: viewNumber, era: era, isPrimary: isPrimary[chunk], update: order.update,
        payload: order.gradient, old: old.chunk, new: new)
      past[chunk].newest = fact
      // A primary that has become a replica meanwhile has made it for itself: it counts where the other has it too.
      if isPrimary[chunk] || !order.wasPrimary {
        context.monitor.violations.now = context.world.now
        context.monitor.applied(fact)
      }
    }
    if context.bug == .talkativeReplica, !isPrimary[chunk] { publishAsReplica(order.update, &context) }
    handle(.applied(chunk: chunk, version: order.update.version), &context)
  }

  /// The planted bug `talkativeReplica`.
  private mutating func publishAsReplica(_ update: Update, _ context: inout SimulationContext) {
    guard let worker, let view else { return }
    let parameters = Parameters(chunk: update.chunk, version: update.version, closed: update.closed)
    let envelope = Envelope(
      token: RunShape.token, view: view.number, sender: machine.member, incarnation: incarnation,
      message: .parameters(parameters))
    send(
      envelope, to: .connection(worker), .values(chunk: Int(update.chunk), version: update.version), &context)
  }
}

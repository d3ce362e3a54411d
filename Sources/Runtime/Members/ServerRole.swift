import Logging
import Networks
import ParameterServer
import Tensors
import Transport

/// One life of a server process, or thread: holds the floats and the sockets, and does what its state machine decides.
package final class ServerRole {
  private let context: MemberContext
  private let post: Post
  private let loop: EventLoop<Server>
  private var logger: Logger
  private var activity: ServerActivity

  private var coordinator: Peer?
  private var links = ServerLinks()
  /// The workers of the view, by the connection that they speak by.
  private var workers: [Peer: UInt32] = [:]
  private var payloads = Payloads()
  private var store: ChunkStore?
  private var prepared: PreparedJob?
  private var view: View?
  private var primaries: Set<UInt32> = []
  private var applies = 0
  private var refusalLog = RefusalLog()
  /// Where chunks' first values are made.
  private let filler = WorkThread(name: "initial values")
  /// What gives up those that are being made.
  private var filling = Cancellation()
  /// What the filler has handed over.
  private let fills: Mailbox<Fill>
  /// Chunks of the era that are being filled, or were.
  private var ordered: Set<Int> = []

  /// The first values of chunks, as was ordered in an era.
  private struct Fill: Sendable {
    let chunks: [(chunk: Int, values: FlatVector)]
    let era: UInt32
  }

  /// Serves until the job is over: when the job removed this member while it was away, as another life. Errors say why
  /// it ended before.
  package static func serve(_ context: MemberContext) throws(ConvoyError) {
    var context = context
    while true {
      let role = try ServerRole(context)
      guard case .fenced(let text) = try role.run() else { return }
      context.logger.warning("comes back as another life: \(text)")
      context = context.renewed()
    }
  }

  private init(_ context: MemberContext) throws(ConvoyError) {
    self.context = context
    logger = context.logger
    activity = ServerActivity(StateByte(name: context.name))
    post = try Post(context.transport, takesStates: true)
    fills = Mailbox(waker: post.waker)
    loop = EventLoop(
      Server(
        name: context.name, token: context.token, incarnation: context.incarnation, deadlines: context.deadlines),
      post: post, timerEvent: .timer)
  }

  private func run() throws(ConvoyError) -> StopReason {
    defer {
      filling.cancel()
      filler.close()
      // What is still to be sent tells others why this member leaves.
      post.close(lingerMilliseconds: 1000)
    }
    let coordinator = try context.connect(post, to: context.coordinator, expecting: Member.coordinator.description)
    self.coordinator = coordinator
    context.stop.listen { [mailbox = loop.mailbox] signal in
      // Nothing failed where the launcher is gone either, or only the way to it: the job goes on without this member.
      mailbox.put(.asked(signal.explanation))
    }
    let reason = try loop.run(
      first: .started, incoming: { incoming throws(ConvoyError) in try event(for: incoming) },
      failure: { .failed($0.message, $0.kind) },
      perform: { effect throws(ConvoyError) in try perform(effect) })
    // Who was not let in has nothing to tell.
    if prepared != nil { logCounts() }
    if let failure = loop.failure { throw failure }
    try context.check(reason, post.state(of: coordinator))
    return reason
  }

  private func logCounts() {
    let counts = loop.machine.counts
    logger.info(
      "\(applies) updates applied, \(counts.duplicates) duplicates, \(counts.late) late and \(counts.stale) stale contributions dropped, \(loop.machine.refusals.total) messages refused"
    )
    let bins = counts.staleness.bins.enumerated().filter { $0.element > 0 }.map { "\($0.offset): \($0.element)" }
    let refused = context.transport.refusedConnections
    if refused.total > 0 { logger.warning("connections refused: \(refused)") }
    if let passedOver = loop.machine.drops.summary { logger.info("events passed over: \(passedOver)") }
    if post.undelivered > 0 { logger.info("\(post.undelivered) messages could not be sent: nobody took them") }
    if !bins.isEmpty { logger.info("contributions by staleness: \(bins.joined(separator: ", "))") }
  }

  private func event(for incoming: Post.Incoming) throws(ConvoyError) -> ServerEvent? {
    switch incoming {
    case .message(let envelope, let peer, let frame):
      activity.receives(envelope.message)
      note(envelope, peer)
      return .message(envelope, from: destination(peer), payload: frame.map { payloads.keep($0) })
    case .unreadable(let refusal, let peer):
      return .unreadable(refusal, from: destination(peer))
    case .woken:
      try context.requireTaken(coordinator.flatMap { post.state(of: $0) })
      for fill in fills.takeAll() { take(fill) }
      return nil
    case .timeout: return nil
    }
  }

  /// Remembers by which connection a worker speaks: what it is sent is what its gradients are computed from.
  private func note(_ envelope: Envelope, _ peer: Peer) {
    guard envelope.sender.role == .worker, envelope.token == context.token,
      view?.incarnation(of: envelope.sender) == envelope.incarnation
    else { return }
    workers[peer] = envelope.sender.number
  }

  private func destination(_ peer: Peer) -> Destination {
    if peer == coordinator { return .coordinator }
    return links.member(of: peer).map { .server($0) } ?? .connection(Connection(peer.rawValue))
  }

  private func perform(_ effect: ServerEffect) throws(ConvoyError) -> StopReason? {
    switch effect {
    case .send(let envelope, let destination, let payload): try send(envelope, to: destination, payload)
    case .prepare(let welcome): try prepare(welcome)
    case .adopt(let view): try adopt(view)
    case .initialise(let chunks, let era): try initialise(chunks, era)
    case .install(let position, let handle): try install(position, handle)
    case .drop(let chunk):
      store?.drop(chunk)
      ordered.remove(chunk)
    case .combine(let left, let right, let sum):
      hold(left)
      hold(right)
      store?.combine(left: left, right: right, into: sum)
      store?.release(left)
      store?.release(right)
    case .measure(let chunk, let samples, let gradient, let part):
      hold(gradient)
      store?.measure(chunk, samples: samples, gradient: gradient, into: part)
    case .addNorm(let order, let parts):
      for part in parts { hold(part) }
      loop.follow(.scaled(order: order, scale: store?.scale(ofNorm: parts) ?? 0))
    case .release(let handle):
      if payloads.take(handle) == nil { store?.release(handle) }
    case .apply(let update, let gradient): try apply(update, gradient)
    case .snapshot(let position):
      activity.snapshot(Int(position.chunk), isKept: true)
      store?.takeSnapshot(Int(position.chunk))
    case .forgetSnapshot(let chunk):
      store?.forgetSnapshot(chunk)
      activity.snapshot(chunk, isKept: false)
    case .refused(let refusal): refusalLog.log(refusal, to: logger)
    case .timer(let moment): loop.setTimer(moment)
    case .stop(let reason): return reason
    }
    return nil
  }

  // MARK: Messages

  private func send(
    _ envelope: Envelope, to destination: Destination, _ payload: ServerPayload?
  ) throws(ConvoyError) {
    if case .refused(let refusal) = envelope.message { refusalLog.log(refusal, to: logger) }
    let peer = try peer(destination)
    var frame: Frame?
    if let payload { frame = self.frame(payload, for: envelope.message, to: peer) }
    activity.sends(envelope.message)
    try post.send(completed(envelope), payload: frame, to: peer)
  }

  /// A message as it leaves: who was not let in is known to the transport.
  private func completed(_ envelope: Envelope) -> Envelope {
    guard case .progress(var progress) = envelope.message else { return envelope }
    progress.refused.connections = ConnectionRefusals(context.transport.refusedConnections)
    return Envelope(
      token: envelope.token, view: envelope.view, sender: envelope.sender, incarnation: envelope.incarnation,
      message: .progress(progress))
  }

  private func frame(_ payload: ServerPayload, for message: Message, to peer: Peer) -> Frame? {
    switch payload {
    case .values(let chunk, let version):
      guard let store, case .parameters(let parameters) = message else { return nil }
      let bytes = store.rules.payloadBytes(ofChunk: chunk, step: Int(parameters.closed))
      return store.values(of: chunk, version: version, bytes: bytes, to: workers[peer])
    case .gradient(let handle):
      hold(handle)
      return store?.payload(of: handle)
    case .state(let chunk): return store?.state(of: chunk)
    case .snapshot(let chunk): return store?.snapshot(of: chunk)
    }
  }

  private func peer(_ destination: Destination) throws(ConvoyError) -> Peer {
    switch destination {
    case .coordinator:
      if let coordinator { return coordinator }
    case .connection(let connection): return Peer(rawValue: connection.rawValue)
    case .server(let member):
      if let peer = links.peer(of: member) { return peer }
    }
    throw ConvoyError(.failed, "a server has no way to \(destination)")
  }

  // MARK: Chunks

  /// Hands a payload over to the store, where its floats are read.
  private func hold(_ handle: GradientHandle) {
    if let frame = payloads.take(handle) { store?.receive(frame, as: handle) }
  }

  private func apply(_ update: Update, _ gradient: GradientHandle) throws(ConvoyError) {
    hold(gradient)
    let isPrimary = primaries.contains(update.chunk)
    try activity.during(isPrimary ? .applying : .replicating) { () throws(ConvoyError) in
      // A replica is sent what its primary has compensated.
      if isPrimary { store?.compensate(update, gradient: gradient) }
      try store?.apply(update, gradient: gradient)
    }
    applies += 1
    loop.follow(.applied(chunk: Int(update.chunk), version: update.version))
  }

  private func install(_ position: ChunkPosition, _ handle: GradientHandle) throws(ConvoyError) {
    guard let frame = payloads.take(handle), let store else {
      throw ConvoyError(.failed, "the state of chunk \(position.chunk) is not here to be installed")
    }
    try store.install(position, frame)
  }

  private func prepare(_ welcome: Welcome) throws(ConvoyError) {
    logger[metadataKey: "member"] = "\(welcome.member)"
    let prepared = try PreparedJob(text: welcome.job)
    self.prepared = prepared
    let address = try context.listen(post)
    logger.info("\(welcome.member) listens on \(address)")
    loop.follow(
      .prepared(
        Ready(digests: prepared.digests, samples: 0, engineFingerprint: "", address: address.description)))
  }

  private func adopt(_ view: View) throws(ConvoyError) {
    guard let prepared else { throw ConvoyError(.failed, "a view came before the job") }
    try prepared.requireFit(view.rules)
    let own = loop.machine.member
    post.adopt(view)
    try links.adopt(
      view, besides: own,
      connect: { address, name throws(ConvoyError) in try context.connect(post, to: address, expecting: name) },
      letGo: { post.letGo(of: $0) })
    if store == nil || self.view?.era != view.era {
      filling.cancel()
      filling = Cancellation()
      ordered = []
      store = ChunkStore(rules: view.rules, settings: try prepared.updateSettings())
    } else {
      store?.adopt(view.rules)
    }
    self.view = view
    workers = workers.filter { view.worker(Member(.worker, $0.value)) != nil }
    store?.forgetWorkers(besides: Set(view.workers.map(\.member.number)))
    let server = view.server(own)
    let serves = Set(server?.chunks ?? [])
    for chunk in primaries.subtracting(serves) { store?.forgetReaders(of: Int(chunk)) }
    primaries = serves
    activity.adopted()
    logger.info(
      "\(own) in view \(view.number.rawValue), era \(view.era): \(primaries.count) chunks of \(view.rules.chunks.count), replicas of \(server?.replicas.count ?? 0)"
    )
  }

  /// Has chunks filled beside the loop: of a large network that takes longer than a member may be silent.
  private func initialise(_ chunks: [Int], _ era: UInt32) throws(ConvoyError) {
    guard let prepared, let view else { throw ConvoyError(.failed, "chunks are to be filled before the job came") }
    let chunks = chunks.filter { !ordered.contains($0) }
    guard !chunks.isEmpty else { return }
    ordered.formUnion(chunks)
    let initial = InitialValues(of: prepared, chunks: view.rules.chunks)
    filler.put { [fills, filling] in
      fills.put(Fill(chunks: initial.values(of: chunks, cancellation: filling), era: era))
    }
  }

  private func take(_ fill: Fill) {
    guard let store, fill.era == view?.era else { return }
    for (chunk, values) in fill.chunks { store.initialise(chunk, values) }
    loop.follow(.initialised(chunks: fill.chunks.map(\.chunk), era: fill.era))
  }
}

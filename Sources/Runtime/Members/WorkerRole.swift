import Datasets
import Engines
import Glibc
import Logging
import ParameterServer
import Tensors
import Transport

/// One life of a worker process, or thread: holds the parameters, the engine and the sockets, and does what its state
/// machine decides. Gradients are computed on a thread of their own.
package final class WorkerRole {
  /// The sum of an order's node, while its chunks leave.
  private struct OpenSum {
    let order: UInt64
    let node: ShardNode
    let vectors: ModelVectors
  }

  private let context: MemberContext
  private let post: Post
  private let loop: EventLoop<Worker>
  /// Where the job and its data are read.
  private let preparer = WorkThread(name: "preparation")
  /// What it has made.
  private let preparations: Mailbox<Result<PreparedWork, ConvoyError>>
  /// What the compute thread has handed over.
  private let reports: Mailbox<ComputeThread.Report>
  private var logger: Logger

  private var coordinator: Peer?
  private var links = ServerLinks()
  private var refusalLog = RefusalLog()
  private var payloads = Payloads()
  private var work: PreparedWork?
  private var model: ModelVectors?
  private var compute: ComputeThread?
  private var view: View?
  private var openSums: [OpenSum] = []
  private var hasBegun = false

  /// Works until the job is over: when the job removed this member while it was away, as another life. Errors say why it
  /// ended before.
  package static func work(_ context: MemberContext) throws(ConvoyError) {
    var context = context
    while true {
      let role = try WorkerRole(context)
      guard case .fenced(let text) = try role.run() else { return }
      context.logger.warning("comes back as another life: \(text)")
      context = context.renewed()
    }
  }

  private init(_ context: MemberContext) throws(ConvoyError) {
    self.context = context
    logger = context.logger
    post = try Post(context.transport)
    reports = Mailbox(waker: post.waker)
    preparations = Mailbox(waker: post.waker)
    loop = EventLoop(
      Worker(
        name: context.name, token: context.token, incarnation: context.incarnation, deadlines: context.deadlines),
      post: post, timerEvent: .timer)
  }

  private func run() throws(ConvoyError) -> StopReason {
    defer {
      preparer.close()
      work?.samples.close()
      compute?.close()
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
    if work != nil { logShards() }
    if let failure = loop.failure { throw failure }
    try context.check(reason, post.state(of: coordinator))
    return reason
  }

  private func logShards() {
    let machine = loop.machine
    let byShard = machine.shardsComputed.enumerated().filter { $0.element > 0 }
      .map { "\($0.offset): \($0.element)" }.joined(separator: ", ")
    logger.info(
      "\(machine.member) computed \(machine.shardCount) shards (\(byShard)); peak memory \(Self.peakMegabytes) MB")
    if let passedOver = machine.drops.summary { logger.info("events passed over: \(passedOver)") }
    if machine.refusals.total > 0 { logger.warning("\(machine.refusals.total) messages were refused") }
    if post.undelivered > 0 { logger.info("\(post.undelivered) messages could not be sent: nobody took them") }
  }

  /// Most memory that the process has held so far.
  private static var peakMegabytes: Int {
    var usage = rusage()
    getrusage(RUSAGE_SELF.rawValue, &usage)
    return usage.ru_maxrss / 1024
  }

  // MARK: Events

  private func event(for incoming: Post.Incoming) throws(ConvoyError) -> WorkerEvent? {
    switch incoming {
    case .message(let envelope, let peer, let frame):
      guard let source = destination(peer) else { return nil }
      return .message(envelope, from: source, payload: frame.map { payloads.keep($0) })
    case .unreadable(let refusal, let peer): return destination(peer).map { .unreadable(refusal, from: $0) }
    case .woken:
      try context.requireTaken(coordinator.flatMap { post.state(of: $0) })
      for result in preparations.takeAll() { take(result) }
      for report in reports.takeAll() { take(report) }
      return nil
    case .timeout: return nil
    }
  }

  private func take(_ report: ComputeThread.Report) {
    switch report {
    case .gradientReady(let order, let node, let chunk, let vectors):
      if !openSums.contains(where: { $0.order == order && $0.node == node }) {
        openSums.append(OpenSum(order: order, node: node, vectors: vectors))
      }
      loop.follow(.gradientReady(order: order, node: node, chunk: chunk))
    case .computed(let result): loop.follow(.computed(result))
    case .finished(let order, let milliseconds):
      loop.follow(.computeFinished(order: order, milliseconds: milliseconds))
    case .failed(let error): loop.follow(.failed(error.message, error.kind), after: error)
    }
  }

  private func destination(_ peer: Peer) -> Destination? {
    if peer == coordinator { return .coordinator }
    return links.member(of: peer).map { .server($0) }
  }

  // MARK: Effects

  private func perform(_ effect: WorkerEffect) throws(ConvoyError) -> StopReason? {
    switch effect {
    case .send(let envelope, let destination, let gradient):
      try post.send(envelope, payload: gradient.map(payload), to: peer(destination))
    case .prepare(let welcome): prepare(welcome)
    case .adopt(let view): try adopt(view)
    case .install(let chunk, let handle): try install(handle, chunk: chunk)
    case .release(let handle): _ = payloads.take(handle)
    case .readAhead(let order): work?.readAhead(order)
    case .compute(let order): try begin(order)
    case .discard(let order, let node): openSums.removeAll { $0.order == order && $0.node == node }
    case .refused(let refusal): refusalLog.log(refusal, to: logger)
    case .timer(let moment): loop.setTimer(moment)
    case .stop(let reason): return reason
    }
    return nil
  }

  private func peer(_ destination: Destination) throws(ConvoyError) -> Peer {
    switch destination {
    case .coordinator:
      if let coordinator { return coordinator }
    case .server(let member):
      if let peer = links.peer(of: member) { return peer }
    case .connection(let connection): return Peer(rawValue: connection.rawValue)
    }
    throw ConvoyError(.failed, "a worker has no way to \(destination)")
  }

  private func payload(_ part: GradientPart) -> Frame {
    guard let view, let sum = openSums.first(where: { $0.order == part.order && $0.node == part.node }) else {
      preconditionFailure("no sum of shards \(part.node) for order \(part.order)")
    }
    return sum.vectors.payload(of: part.chunk, view.rules.chunks)
  }

  private func begin(_ order: ComputeOrder) throws(ConvoyError) {
    guard let compute, let work, var model else { throw ConvoyError(.failed, "work came before the view") }
    if !hasBegun {
      hasBegun = true
      let seconds = MonotonicClock.seconds - context.startedAt
      logger.info("\(loop.machine.member) begins its first step \(seconds.rounded(toPlaces: 2)) s after it started")
    }
    if case .local = order.consistency { model = try withSlots(model, work) }
    // Elsewhere shards' statistics are all that a sum holds beside gradients.
    compute.compute(order, model: model)
  }

  /// The model with the optimiser's state, which is taken where a payload or an order first needs it.
  private func withSlots(_ model: ModelVectors, _ work: PreparedWork) throws(ConvoyError) -> ModelVectors {
    let optimizer = try work.updateSettings().optimizer
    guard model.slots.count < optimizer.stateVectors.count else { return model }
    let whole = ModelVectors(
      parameters: model.parameters, buffers: model.buffers, slots: optimizer.makeState(count: model.parameters.count))
    self.model = whole
    return whole
  }

  /// Copies a chunk's new version into the parameters, or the buffers, and where it came with it the optimiser's state.
  ///
  /// The engine may still be computing: it no longer reads this chunk, because its version follows from a push
  /// that the engine's report of the chunk as final came before.
  private func install(_ handle: GradientHandle, chunk: Int) throws(ConvoyError) {
    guard let frame = payloads.take(handle), let view, let work, var model else {
      throw ConvoyError(.failed, "what came of chunk \(chunk) is not here to be installed")
    }
    let chunks = view.rules.chunks
    if frame.count > chunks.bytes(of: chunk) { model = try withSlots(model, work) }
    frame.withBytes { model.copy($0, to: chunk, of: chunks) }
  }

  /// Reads the job and its data beside the loop, which goes on listening to whoever stops it.
  private func prepare(_ welcome: Welcome) {
    logger[metadataKey: "member"] = "\(welcome.member)"
    preparer.put { [preparations, threads = context.threads] in
      preparations.put(Result { () throws(ConvoyError) in try PreparedWork(welcome, threads: threads) })
    }
  }

  private func take(_ result: Result<PreparedWork, ConvoyError>) {
    let work: PreparedWork
    do throws(ConvoyError) { work = try result.get() } catch {
      return loop.follow(.failed(error.message, error.kind), after: error)
    }
    // It has nothing more to do, nor have the threads that it has tried.
    preparer.close()
    self.work = work
    logger.info("\(loop.machine.member) computes with \(work.fingerprint)")
    if let problem = work.precisionProblem { logger.warning("\(problem)") }
    loop.follow(
      .prepared(
        Ready(
          digests: work.digests, samples: UInt64(work.sampleCount), engineFingerprint: work.fingerprint, address: "")))
  }

  private func adopt(_ view: View) throws(ConvoyError) {
    guard let work else { throw ConvoyError(.failed, "a view came before the job") }
    try work.requireFit(view.rules)
    let own = loop.machine.member
    post.adopt(view)
    try links.adopt(
      view, besides: own,
      connect: { address, name throws(ConvoyError) in try context.connect(post, to: address, expecting: name) },
      letGo: { post.letGo(of: $0) })
    self.view = view
    let mine = view.worker(own)?.nodes ?? []
    logger.info("\(own) in view \(view.number.rawValue), era \(view.era): shards \(mine)")
    if compute == nil { try startComputing(work, view.rules) }
  }

  private func startComputing(_ work: PreparedWork, _ rules: JobRules) throws(ConvoyError) {
    model = ModelVectors(rules.chunks)
    let settings = try work.updateSettings()
    let wanted = getenv("CONVOY_TEST_SLOWDOWN").map { String(cString: $0) }
    let repetitions = Self.repetitions(wanted, of: loop.machine.member.description)
    if repetitions > 1 { logger.warning("computes every shard \(repetitions) times: CONVOY_TEST_SLOWDOWN says so") }
    compute = ComputeThread(
      makeSummer: { () throws(ConvoyError) in
        ShardSummer(
          plan: try work.compile(batch: rules.schedule.largestShard),
          samples: ShardSummer.SampleSource(work.samples), chunks: rules.chunks, totalSteps: rules.steps,
          settings: settings, repetitions: repetitions)
      },
      report: { [reports] in reports.put($0) })
  }

  /// How often a worker computes each shard, for measurements of slow ones: `5`, or `worker.3:5` for that one alone.
  package static func repetitions(_ text: String?, of name: String) -> Int {
    let parts = (text ?? "").split(separator: ":")
    guard let number = parts.last.flatMap({ Int($0) }), parts.count == 1 || parts.count == 2 && parts[0] == name
    else { return 1 }
    return min(max(number, 1), 1000)
  }
}

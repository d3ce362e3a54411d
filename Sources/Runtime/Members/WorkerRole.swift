import Datasets
import Engines
import Glibc
import Logging
import ParameterServer
import Tensors
import Transport

/// A worker process, or thread: holds the parameters, the engine and the sockets, and does what its state machine
/// decides. Gradients are computed on a thread of their own.
package final class WorkerRole {
  /// The sum of a node, while its chunks leave.
  private struct OpenSum {
    let step: Int
    let node: ShardNode
    let vectors: ModelVectors
  }

  private let context: MemberContext
  private let post: Post
  private let loop: EventLoop<Worker>
  /// What the compute thread has handed over, by node of the step under way.
  private let reports: Mailbox<ComputeThread.Report>
  private var logger: Logger

  private var coordinator: Peer?
  private var servers: [Peer] = []
  private var payloads = Payloads()
  private var work: PreparedWork?
  private var parameters: FlatVector?
  private var compute: ComputeThread?
  private var chunks: ChunkTable?
  private var openSums: [OpenSum] = []
  private var hasBegun = false

  /// A worker that has not begun.
  package init(_ context: MemberContext) throws(ConvoyError) {
    self.context = context
    logger = context.logger
    post = try Post(context.transport)
    reports = Mailbox(waker: post.waker)
    loop = EventLoop(
      Worker(
        name: context.name, token: context.token, incarnation: context.incarnation, deadlines: context.deadlines),
      post: post, timerEvent: .timer)
  }

  /// Works until the job is over. Errors say why it ended before.
  package func run() throws(ConvoyError) {
    defer {
      work?.samples.close()
      compute?.close()
      // What is still to be sent tells others why this member leaves.
      post.close(lingerMilliseconds: 1000)
    }
    try MemberContext.requireLoopback(context.coordinator)
    coordinator = try post.connect(to: context.coordinator)
    context.stop.listen { [mailbox = loop.mailbox] in mailbox.put(.failed($0.explanation)) }
    let reason = try loop.run(
      first: .started, incoming: { incoming throws(ConvoyError) in event(for: incoming) },
      failure: { .failed($0.message) },
      perform: { effect throws(ConvoyError) in try perform(effect) })
    logShards()
    if let failure = loop.failure { throw failure }
    try MemberContext.check(reason, stop: context.stop, coordinator: context.coordinator)
  }

  private func logShards() {
    let machine = loop.machine
    let byShard = machine.shardsComputed.enumerated().filter { $0.element > 0 }
      .map { "\($0.offset): \($0.element)" }.joined(separator: ", ")
    logger.info(
      "\(machine.member) computed \(machine.shardCount) shards (\(byShard)); peak memory \(Self.peakMegabytes) MB")
  }

  /// Most memory that the process has held so far.
  private static var peakMegabytes: Int {
    var usage = rusage()
    getrusage(RUSAGE_SELF.rawValue, &usage)
    return usage.ru_maxrss / 1024
  }

  private func event(for incoming: Post.Incoming) -> WorkerEvent? {
    switch incoming {
    case .message(let envelope, let peer, let frame):
      guard let source = destination(peer) else { return nil }
      return .message(envelope, from: source, payload: frame.map { payloads.keep($0) })
    case .unreadable(let refusal, let peer): return destination(peer).map { .unreadable(refusal, from: $0) }
    case .woken:
      for report in reports.takeAll() { loop.follow(event(for: report)) }
      return nil
    case .timeout: return nil
    }
  }

  private func event(for report: ComputeThread.Report) -> WorkerEvent {
    switch report {
    case .gradientReady(let step, let node, let chunk, let vectors):
      if !openSums.contains(where: { $0.node == node }) {
        openSums.append(OpenSum(step: step, node: node, vectors: vectors))
      }
      return .gradientReady(step: step, node: node, chunk: chunk)
    case .computed(let result): return .computed(result)
    case .finished(let step): return .computeFinished(step: step)
    case .failed(let text): return .failed(text)
    }
  }

  private func destination(_ peer: Peer) -> Destination? {
    if peer == coordinator { return .coordinator }
    return servers.firstIndex(of: peer).map { .server(Member(.server, UInt32($0))) }
  }

  private func perform(_ effect: WorkerEffect) throws(ConvoyError) -> StopReason? {
    switch effect {
    case .send(let envelope, let destination, let gradient):
      try post.send(envelope, payload: gradient.map(payload), to: peer(destination))
    case .prepare(let welcome): try prepare(welcome)
    case .connect(let view): try connect(view)
    case .install(let chunk, _, let handle): install(handle, chunk: chunk)
    case .release(let handle): _ = payloads.take(handle)
    case .readAhead(let order): work?.readAhead(order)
    case .compute(let order):
      if !hasBegun {
        hasBegun = true
        let seconds = MonotonicClock.seconds - context.startedAt
        logger.info("\(loop.machine.member) begins its first step \(seconds.rounded(toPlaces: 2)) s after it started")
      }
      openSums.removeAll(keepingCapacity: true)
      compute?.compute(order)
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
      if servers.indices.contains(Int(member.number)) { return servers[Int(member.number)] }
    case .connection(let connection): return Peer(rawValue: connection.rawValue)
    }
    throw ConvoyError(.failed, "a worker has no way to \(destination)")
  }

  private func payload(_ part: GradientPart) -> Frame {
    guard let chunks, let sum = openSums.first(where: { $0.node == part.node && $0.step == part.step }) else {
      preconditionFailure("no sum of shards \(part.node) in step \(part.step)")
    }
    return sum.vectors[chunks.kind(of: part.chunk)].frame(of: chunks.range(of: part.chunk))
  }

  /// Copies a chunk's new version into the parameters. Buffers are let go of: training reads none, and what evaluates is
  /// the coordinator.
  ///
  /// The engine may still be computing: it no longer reads this chunk, because its version follows from a push
  /// that the engine's report of the chunk as final came before.
  private func install(_ handle: GradientHandle, chunk: Int) {
    guard let frame = payloads.take(handle), let parameters, let chunks, chunks.kind(of: chunk) == .parameters else {
      return
    }
    frame.withBytes { parameters.copy($0, to: chunks.range(of: chunk)) }
  }

  private func prepare(_ welcome: Welcome) throws(ConvoyError) {
    logger[metadataKey: "member"] = "\(welcome.member)"
    let work = try PreparedWork(welcome)
    self.work = work
    logger.info("\(welcome.member) computes with \(work.fingerprint)")
    if let problem = work.precisionProblem { logger.warning("\(problem)") }
    loop.follow(
      .prepared(
        Ready(
          digests: work.digests, samples: UInt64(work.sampleCount), engineFingerprint: work.fingerprint, address: "")))
  }

  private func connect(_ view: View) throws(ConvoyError) {
    guard let work else { throw ConvoyError(.failed, "a view came before the job") }
    try work.requireFit(view.rules.chunks)
    for server in view.servers {
      let address: Address
      do throws(TransportError) {
        address = try Address(parsing: server.address)
      } catch {
        throw ConvoyError(.failed, "\(server.member) states an address that cannot be used: \(error.description)")
      }
      try MemberContext.requireLoopback(address)
      servers.append(try post.connect(to: address))
    }
    let mine = view.workers[Int(loop.machine.member.number)].nodes
    logger.info("\(loop.machine.member) works on shards \(mine.isEmpty ? "as they are leased" : "\(mine)")")
    let parameters = FlatVector(count: view.rules.chunks.elements)
    self.parameters = parameters
    chunks = view.rules.chunks
    compute = ComputeThread(
      makeSummer: { [rules = view.rules] () throws(ConvoyError) in
        ShardSummer(
          plan: try work.compile(batch: rules.schedule.largestShard), samples: work.samples, parameters: parameters,
          chunks: rules.chunks)
      },
      report: { [reports] in reports.put($0) })
  }
}

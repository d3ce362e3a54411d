import Logging
import Networks
import ParameterServer
import Tensors
import Transport

/// A server process, or thread: holds the floats and the sockets, and does what its state machine decides.
package final class ServerRole {
  private let context: MemberContext
  private let post: Post
  private let loop: EventLoop<Server>
  private var logger: Logger

  private var coordinator: Peer?
  private var payloads = Payloads()
  private var store: ChunkStore?
  private var prepared: PreparedJob?
  private var address: Address?
  private var applies = 0

  /// A server that has not begun.
  package init(_ context: MemberContext) throws(ConvoyError) {
    self.context = context
    logger = context.logger
    post = try Post(context.transport)
    loop = EventLoop(
      Server(
        name: context.name, token: context.token, incarnation: context.incarnation, deadlines: context.deadlines),
      post: post, timerEvent: .timer)
  }

  /// Serves until the job is over. Errors say why it ended before.
  package func run() throws(ConvoyError) {
    // What is still to be sent tells others why this member leaves.
    defer { post.close(lingerMilliseconds: 1000) }
    try MemberContext.requireLoopback(context.coordinator)
    coordinator = try post.connect(to: context.coordinator)
    context.stop.listen { [mailbox = loop.mailbox] in mailbox.put(.failed($0.explanation)) }
    let reason = try loop.run(
      first: .started, incoming: { incoming throws(ConvoyError) in event(for: incoming) },
      failure: { .failed($0.message) },
      perform: { effect throws(ConvoyError) in try perform(effect) })
    logger.info(
      "\(applies) updates applied, \(loop.machine.duplicates) duplicates dropped, \(loop.machine.refusals.total) messages refused"
    )
    if let failure = loop.failure { throw failure }
    try MemberContext.check(reason, stop: context.stop, coordinator: context.coordinator)
  }

  private func event(for incoming: Post.Incoming) -> ServerEvent? {
    switch incoming {
    case .message(let envelope, let peer, let frame):
      .message(envelope, from: destination(peer), payload: frame.map { payloads.keep($0) })
    case .unreadable(let refusal, let peer): .unreadable(refusal, from: destination(peer))
    case .woken, .timeout: nil
    }
  }

  private func destination(_ peer: Peer) -> Destination {
    peer == coordinator ? .coordinator : .connection(Connection(peer.rawValue))
  }

  private func perform(_ effect: ServerEffect) throws(ConvoyError) -> StopReason? {
    switch effect {
    case .send(let envelope, let destination, let parameters):
      if case .refused(let refusal) = envelope.message { logger.warning("refused: \(refusal.explanation)") }
      let payload = parameters.flatMap { store?.payload($0) }
      try post.send(envelope, payload: payload, to: peer(destination))
    case .prepare(let welcome): try prepare(welcome)
    case .initialise(let view): try initialise(view)
    case .combine(let left, let right, let sum):
      hold(left)
      hold(right)
      store?.combine(left: left, right: right, into: sum)
    case .release(let handle):
      if payloads.take(handle) == nil { store?.release(handle) }
    case .apply(let order):
      hold(order.gradient)
      store?.apply(order)
      applies += 1
      loop.follow(.applied(chunk: order.chunk))
    case .timer(let moment): loop.setTimer(moment)
    case .stop(let reason): return reason
    }
    return nil
  }

  private func peer(_ destination: Destination) throws(ConvoyError) -> Peer {
    switch destination {
    case .coordinator:
      if let coordinator { return coordinator }
    case .connection(let connection): return Peer(rawValue: connection.rawValue)
    case .server: break
    }
    throw ConvoyError(.failed, "a server has no way to \(destination)")
  }

  /// Hands a payload over to the store, where its floats are read.
  private func hold(_ handle: GradientHandle) {
    if let frame = payloads.take(handle) { store?.receive(frame, as: handle) }
  }

  private func prepare(_ welcome: Welcome) throws(ConvoyError) {
    logger[metadataKey: "member"] = "\(welcome.member)"
    let prepared = try PreparedJob(text: welcome.job)
    self.prepared = prepared
    let address = try post.listen(on: context.listeningAddress)
    self.address = address
    logger.info("\(welcome.member) listens on \(address)")
    loop.follow(
      .prepared(
        Ready(digests: prepared.digests, samples: 0, engineFingerprint: "", address: address.description)))
  }

  private func initialise(_ view: View) throws(ConvoyError) {
    guard let prepared else { throw ConvoyError(.failed, "a view came before the job") }
    let server = view.servers[Int(loop.machine.member.number)]
    try prepared.requireFit(view.rules.chunks)
    let initial = ModelVectors(initialOf: prepared.network, seed: prepared.job.seed)
    store = ChunkStore(view: view, server: server, initial: initial, settings: try prepared.updateSettings())
    let bytes = server.chunks.reduce(0) { $0 + view.rules.chunks.bytes(of: Int($1)) }
    logger.info("\(server.member) owns \(server.chunks.count) chunks of \(view.rules.chunks.count), \(bytes) bytes")
    loop.follow(.initialised)
  }
}

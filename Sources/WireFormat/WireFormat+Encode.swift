import CMessages
import CProtobufC
import ParameterServer

extension WireFormat {
  /// Sets the body of an envelope.
  static func encode(_ message: Message, into wire: inout Convoy__Wire__Envelope, _ arena: inout ProtobufC.Arena) {
    switch message {
    case .hello, .ready, .viewAccepted, .progress, .leaseRequest, .finished, .leaving:
      encodeToCoordinator(message, into: &wire, &arena)
    case .welcome, .view, .leases, .alive, .stop: encodeFromCoordinator(message, into: &wire, &arena)
    case .pull(let pull):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_PULL
      wire.pull = chunkVersion(pull.chunk, pull.version, &arena)
    case .push(let push):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_PUSH
      let body = arena.make(convoy__wire__push__init)
      body.pointee.chunk = push.chunk
      body.pointee.step = push.step
      body.pointee.level = UInt32(push.node.level)
      body.pointee.index = push.node.index
      body.pointee.basis = push.basis
      wire.push = body
    case .parameters(let parameters):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_PARAMETERS
      wire.parameters = chunkVersion(parameters.chunk, parameters.version, &arena)
    case .refused(let refusal):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_REFUSED
      let body = arena.make(convoy__wire__refusal__init)
      body.pointee.reason = UInt32(refusal.reason.rawValue)
      body.pointee.explanation = arena.string(refusal.explanation)
      wire.refused = body
    }
  }

  private static func chunkVersion(
    _ chunk: UInt32, _ version: UInt64, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__ChunkVersion> {
    let body = arena.make(convoy__wire__chunk_version__init)
    body.pointee.chunk = chunk
    body.pointee.version = version
    return body
  }

  private static func empty(_ arena: inout ProtobufC.Arena) -> UnsafeMutablePointer<Convoy__Wire__Empty> {
    arena.make(convoy__wire__empty__init)
  }

  private static func encodeToCoordinator(
    _ message: Message, into wire: inout Convoy__Wire__Envelope, _ arena: inout ProtobufC.Arena
  ) {
    switch message {
    case .hello(let hello):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_HELLO
      let body = arena.make(convoy__wire__hello__init)
      body.pointee.role = UInt32(hello.role.rawValue)
      body.pointee.name = arena.string(hello.name)
      wire.hello = body
    case .ready(let ready):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_READY
      wire.ready = encode(ready, &arena)
    case .viewAccepted:
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_VIEW_ACCEPTED
      wire.view_accepted = empty(&arena)
    case .progress(let progress):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_PROGRESS
      wire.progress = encode(progress, &arena)
    case .leaseRequest:
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_LEASE_REQUEST
      wire.lease_request = empty(&arena)
    case .finished(let finished):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_FINISHED
      wire.finished = encode(finished.progress, &arena)
    case .leaving(let text):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_LEAVING
      let body = arena.make(convoy__wire__text__init)
      body.pointee.text = arena.string(text)
      wire.leaving = body
    default: break
    }
  }

  private static func encodeFromCoordinator(
    _ message: Message, into wire: inout Convoy__Wire__Envelope, _ arena: inout ProtobufC.Arena
  ) {
    switch message {
    case .welcome(let welcome):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_WELCOME
      let body = arena.make(convoy__wire__welcome__init)
      body.pointee.role = UInt32(welcome.member.role.rawValue)
      body.pointee.number = welcome.member.number
      body.pointee.job = arena.string(welcome.job)
      wire.welcome = body
    case .view(let view):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_NEW_VIEW
      wire.new_view = encode(view, &arena)
    case .leases(let leases):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_LEASES
      let body = arena.make(convoy__wire__leases__init)
      body.pointee.first = leases.first
      body.pointee.count = leases.count
      wire.leases = body
    case .alive:
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_ALIVE
      wire.alive = empty(&arena)
    case .stop(let reason):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_STOP
      let body = arena.make(convoy__wire__stop__init)
      let (code, text) = code(of: reason)
      body.pointee.reason = code
      body.pointee.text = arena.string(text)
      wire.stop = body
    default: break
    }
  }

  private static func code(of reason: StopReason) -> (UInt32, String) {
    switch reason {
    case .completed: (1, "")
    // A member's own conclusions travel as failures.
    case .failed(let text), .unreachable(let text), .rejected(let text): (2, text)
    case .interrupted: (3, "")
    }
  }

  private static func encode(
    _ ready: Ready, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__Ready> {
    let body = arena.make(convoy__wire__ready__init)
    body.pointee.build_digest = arena.bytes(ready.digests.build)
    body.pointee.network_digest = arena.bytes(ready.digests.network)
    body.pointee.job_digest = arena.bytes(ready.digests.job)
    body.pointee.data_digest = arena.bytes(ready.digests.data)
    body.pointee.samples = ready.samples
    body.pointee.engine_fingerprint = arena.string(ready.engineFingerprint)
    body.pointee.address = arena.string(ready.address)
    return body
  }

  private static func encode(
    _ progress: Progress, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__Progress> {
    let body = arena.make(convoy__wire__progress__init)
    body.pointee.steps = progress.steps
    body.pointee.shards = progress.shards
    body.pointee.n_epochs = progress.epochs.count
    let epochs = arena.array(of: UnsafeMutablePointer<Convoy__Wire__EpochTotals>?.self, count: progress.epochs.count)
    for (index, totals) in progress.epochs.enumerated() {
      let epoch = arena.make(convoy__wire__epoch_totals__init)
      epoch.pointee.epoch = totals.epoch
      epoch.pointee.samples = totals.samples
      epoch.pointee.loss_sum = totals.lossSum
      epoch.pointee.correct = totals.correct
      epochs[index] = epoch
    }
    body.pointee.epochs = epochs
    return body
  }

  private static func encode(
    _ view: View, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__View> {
    let body = arena.make(convoy__wire__view__init)
    let rules = view.rules
    body.pointee.number = view.number.rawValue
    body.pointee.consistency = UInt32(rules.consistency.rawValue)
    body.pointee.samples = UInt64(rules.schedule.samples)
    body.pointee.batch = UInt64(rules.schedule.batch)
    body.pointee.shards = UInt32(rules.schedule.tree.shards)
    body.pointee.steps = UInt64(rules.steps)
    body.pointee.elements = UInt64(rules.chunks.elements)
    body.pointee.buffer_elements = UInt64(rules.chunks.bufferElements)
    body.pointee.chunk_elements = UInt64(rules.chunks.chunkElements)
    body.pointee.n_servers = view.servers.count
    body.pointee.servers = arena.array(
      of: UnsafeMutablePointer<Convoy__Wire__ViewServer>?.self, count: view.servers.count)
    for (index, server) in view.servers.enumerated() { body.pointee.servers[index] = encode(server, &arena) }
    body.pointee.n_workers = view.workers.count
    body.pointee.workers = arena.array(
      of: UnsafeMutablePointer<Convoy__Wire__ViewWorker>?.self, count: view.workers.count)
    for (index, worker) in view.workers.enumerated() { body.pointee.workers[index] = encode(worker, &arena) }
    return body
  }

  private static func encode(
    _ server: View.Server, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__ViewServer> {
    let body = arena.make(convoy__wire__view_server__init)
    body.pointee.number = server.member.number
    body.pointee.incarnation = server.incarnation.rawValue
    body.pointee.name = arena.string(server.name)
    body.pointee.address = arena.string(server.address)
    body.pointee.n_chunks = server.chunks.count
    body.pointee.chunks = numbers(server.chunks, &arena)
    return body
  }

  private static func encode(
    _ worker: View.Worker, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__ViewWorker> {
    let body = arena.make(convoy__wire__view_worker__init)
    body.pointee.number = worker.member.number
    body.pointee.incarnation = worker.incarnation.rawValue
    body.pointee.name = arena.string(worker.name)
    let nodes = worker.nodes.flatMap { [UInt32($0.level), $0.index] }
    body.pointee.n_nodes = nodes.count
    body.pointee.nodes = numbers(nodes, &arena)
    return body
  }

  private static func numbers(
    _ values: [UInt32], _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<UInt32> {
    let array = arena.array(of: UInt32.self, count: values.count)
    for (index, value) in values.enumerated() { array[index] = value }
    return array
  }
}

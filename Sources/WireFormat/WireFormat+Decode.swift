import CMessages
import CProtobufC
import ParameterServer

extension WireFormat {
  /// Most servers or workers of a view.
  static let maximumMembers = 1 << 16

  /// The body of an envelope that was read.
  static func decodeBody(_ wire: Convoy__Wire__Envelope) throws(WireError) -> Message {
    switch wire.body_case {
    case CONVOY__WIRE__ENVELOPE__BODY_HELLO:
      let body = try Fields.message(wire.hello, "hello")
      return .hello(
        Hello(role: try Fields.role(body.role, "hello.role"), name: try Fields.text(body.name, "hello.name")))
    case CONVOY__WIRE__ENVELOPE__BODY_READY: return .ready(try decode(Fields.message(wire.ready, "ready")))
    case CONVOY__WIRE__ENVELOPE__BODY_VIEW_ACCEPTED: return .viewAccepted
    case CONVOY__WIRE__ENVELOPE__BODY_PROGRESS:
      return .progress(try decode(Fields.message(wire.progress, "progress")))
    case CONVOY__WIRE__ENVELOPE__BODY_LEASE_REQUEST: return .leaseRequest
    case CONVOY__WIRE__ENVELOPE__BODY_FINISHED:
      return .finished(Finished(progress: try decode(Fields.message(wire.finished, "finished"))))
    case CONVOY__WIRE__ENVELOPE__BODY_LEAVING:
      return .leaving(try Fields.text(Fields.message(wire.leaving, "leaving").text, "leaving.text"))
    case CONVOY__WIRE__ENVELOPE__BODY_WELCOME: return .welcome(try decode(Fields.message(wire.welcome, "welcome")))
    case CONVOY__WIRE__ENVELOPE__BODY_NEW_VIEW: return .view(try decode(Fields.message(wire.new_view, "view")))
    case CONVOY__WIRE__ENVELOPE__BODY_LEASES:
      let body = try Fields.message(wire.leases, "leases")
      return .leases(Leases(first: UInt64(try Fields.int(body.first, "leases.first")), count: body.count))
    case CONVOY__WIRE__ENVELOPE__BODY_ALIVE: return .alive
    case CONVOY__WIRE__ENVELOPE__BODY_STOP: return .stop(try decode(Fields.message(wire.stop, "stop")))
    case CONVOY__WIRE__ENVELOPE__BODY_PULL:
      let body = try Fields.message(wire.pull, "pull")
      return .pull(Pull(chunk: body.chunk, version: UInt64(try Fields.int(body.version, "pull.version"))))
    case CONVOY__WIRE__ENVELOPE__BODY_PUSH: return .push(try decode(Fields.message(wire.push, "push")))
    case CONVOY__WIRE__ENVELOPE__BODY_PARAMETERS:
      let body = try Fields.message(wire.parameters, "parameters")
      return .parameters(
        Parameters(chunk: body.chunk, version: UInt64(try Fields.int(body.version, "parameters.version"))))
    case CONVOY__WIRE__ENVELOPE__BODY_REFUSED: return .refused(try decode(Fields.message(wire.refused, "refused")))
    default: throw .field("body", "there is none that this version knows")
    }
  }

  private static func decode(_ body: Convoy__Wire__Ready) throws(WireError) -> Ready {
    Ready(
      digests: Digests(
        build: try Fields.digest(body.build_digest, "ready.build_digest"),
        network: try Fields.digest(body.network_digest, "ready.network_digest"),
        job: try Fields.digest(body.job_digest, "ready.job_digest"),
        data: try Fields.digest(body.data_digest, "ready.data_digest")),
      samples: UInt64(try Fields.int(body.samples, "ready.samples", maximum: 1 << 40)),
      engineFingerprint: try Fields.text(body.engine_fingerprint, "ready.engine_fingerprint"),
      address: try Fields.text(body.address, "ready.address"))
  }

  private static func decode(_ body: Convoy__Wire__Progress) throws(WireError) -> Progress {
    let epochs = try Fields.messages(body.epochs, body.n_epochs, "progress.epochs", maximum: 2)
    var totals: [EpochTotals] = []
    for epoch in epochs {
      totals.append(
        EpochTotals(
          epoch: epoch.epoch, samples: UInt64(try Fields.int(epoch.samples, "progress.epochs.samples")),
          lossSum: epoch.loss_sum, correct: UInt64(try Fields.int(epoch.correct, "progress.epochs.correct"))))
    }
    return Progress(
      steps: UInt64(try Fields.int(body.steps, "progress.steps")),
      shards: UInt64(try Fields.int(body.shards, "progress.shards")), epochs: totals)
  }

  private static func decode(_ body: Convoy__Wire__Welcome) throws(WireError) -> Welcome {
    Welcome(
      member: Member(try Fields.role(body.role, "welcome.role"), body.number),
      job: try Fields.text(body.job, "welcome.job", maximum: Fields.maximumJob))
  }

  private static func decode(_ body: Convoy__Wire__Stop) throws(WireError) -> StopReason {
    switch body.reason {
    case 1: return .completed
    case 2: return .failed(try Fields.text(body.text, "stop.text"))
    case 3: return .interrupted
    default: throw .field("stop.reason", "there is no reason \(body.reason)")
    }
  }

  private static func decode(_ body: Convoy__Wire__Push) throws(WireError) -> Push {
    Push(
      chunk: body.chunk, step: UInt64(try Fields.int(body.step, "push.step")),
      node: try Fields.node(level: body.level, index: body.index, "push.level"),
      basis: UInt64(try Fields.int(body.basis, "push.basis")))
  }

  private static func decode(_ body: Convoy__Wire__Refusal) throws(WireError) -> Refusal {
    guard let reason = UInt8(exactly: body.reason).flatMap(RefusalReason.init(rawValue:)) else {
      throw .field("refused.reason", "there is no reason \(body.reason)")
    }
    return Refusal(reason, try Fields.text(body.explanation, "refused.explanation"))
  }

  // MARK: The view

  private static func decode(_ body: Convoy__Wire__View) throws(WireError) -> View {
    let rules = try rules(body)
    var servers: [View.Server] = []
    for server in try Fields.messages(body.servers, body.n_servers, "view.servers", maximum: maximumMembers) {
      servers.append(try decode(server))
    }
    var workers: [View.Worker] = []
    for worker in try Fields.messages(body.workers, body.n_workers, "view.workers", maximum: maximumMembers) {
      workers.append(try decode(worker))
    }
    return View(number: ViewNumber(body.number), rules: rules, servers: servers, workers: workers)
  }

  private static func rules(_ body: Convoy__Wire__View) throws(WireError) -> JobRules {
    guard let consistency = UInt8(exactly: body.consistency).flatMap(Consistency.init(rawValue:)) else {
      throw .field("view.consistency", "there is no mode \(body.consistency)")
    }
    guard let tree = ShardTree(shards: Int(body.shards)) else {
      throw .field("view.shards", "\(body.shards) is not a power of two up to \(ShardTree.maximumShards)")
    }
    guard
      let schedule = BatchSchedule(
        samples: try Fields.int(body.samples, "view.samples"), batch: try Fields.int(body.batch, "view.batch"),
        tree: tree)
    else { throw .field("view.samples", "\(body.samples) samples in batches of \(body.batch)") }
    guard
      let chunks = ChunkTable(
        elements: try Fields.int(body.elements, "view.elements"),
        buffers: try Fields.int(body.buffer_elements, "view.buffer_elements"),
        chunkElements: try Fields.int(body.chunk_elements, "view.chunk_elements"))
    else {
      throw .field(
        "view.elements",
        "\(body.elements) parameters and \(body.buffer_elements) buffers in chunks of \(body.chunk_elements)")
    }
    guard
      let rules = JobRules(
        consistency: consistency, schedule: schedule, steps: try Fields.int(body.steps, "view.steps"), chunks: chunks)
    else { throw .field("view.steps", "\(body.steps)") }
    return rules
  }

  private static func decode(_ body: Convoy__Wire__ViewServer) throws(WireError) -> View.Server {
    let chunks = Array(UnsafeBufferPointer(start: body.chunks, count: body.chunks == nil ? 0 : body.n_chunks))
    guard chunks.count <= ChunkTable.maximumChunks else {
      throw .field("view.servers.chunks", "\(chunks.count) of them")
    }
    return View.Server(
      member: Member(.server, body.number), incarnation: Incarnation(body.incarnation),
      name: try Fields.text(body.name, "view.servers.name"),
      address: try Fields.text(body.address, "view.servers.address"), chunks: chunks)
  }

  private static func decode(_ body: Convoy__Wire__ViewWorker) throws(WireError) -> View.Worker {
    let numbers = Array(UnsafeBufferPointer(start: body.nodes, count: body.nodes == nil ? 0 : body.n_nodes))
    guard numbers.count.isMultiple(of: 2) else { throw .field("view.workers.nodes", "an odd number of numbers") }
    var nodes: [ShardNode] = []
    for pair in stride(from: 0, to: numbers.count, by: 2) {
      nodes.append(try Fields.node(level: numbers[pair], index: numbers[pair + 1], "view.workers.nodes"))
    }
    return View.Worker(
      member: Member(.worker, body.number), incarnation: Incarnation(body.incarnation),
      name: try Fields.text(body.name, "view.workers.name"), nodes: nodes)
  }
}

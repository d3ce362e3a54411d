import CMessages
import CProtobufC
import ParameterServer

extension WireFormat {
  static func decode(_ body: Convoy__Wire__View) throws(WireError) -> View {
    let rules = try rules(body.rules, "view.rules")
    let originStep = try Fields.int(body.origin_step, "view.origin_step")
    var servers: [View.Server] = []
    for server in try Fields.messages(body.servers, body.n_servers, "view.servers", maximum: Int(Bounds.members)) {
      servers.append(try decode(server))
    }
    var workers: [View.Worker] = []
    for worker in try Fields.messages(body.workers, body.n_workers, "view.workers", maximum: Int(Bounds.members)) {
      workers.append(try decode(worker))
    }
    return View(
      number: ViewNumber(try Fields.counter(body.number, "view.number")), era: body.era,
      origin: body.is_restored == 0 ? .initial : .checkpoint(step: originStep), isBeginning: body.is_beginning != 0,
      rules: rules, servers: servers, workers: workers, since: try Fields.int(body.since, "view.since"))
  }

  static func rules(
    _ pointer: UnsafeMutablePointer<Convoy__Wire__Rules>?, _ name: String
  ) throws(WireError) -> JobRules {
    let body = try Fields.message(pointer, name)
    guard let tree = ShardTree(shards: Int(body.shards)) else {
      throw .field("\(name).shards", "\(body.shards) is not a power of two up to \(ShardTree.maximumShards)")
    }
    guard
      let schedule = BatchSchedule(
        samples: try Fields.int(body.samples, "\(name).samples"), batch: try Fields.int(body.batch, "\(name).batch"),
        tree: tree)
    else { throw .field("\(name).samples", "\(body.samples) samples in batches of \(body.batch)") }
    guard
      let chunks = ChunkTable(
        elements: try Fields.int(body.elements, "\(name).elements"),
        buffers: try Fields.int(body.buffer_elements, "\(name).buffer_elements"),
        chunkElements: try Fields.int(body.chunk_elements, "\(name).chunk_elements"))
    else {
      throw .field(
        "\(name).elements",
        "\(body.elements) parameters and \(body.buffer_elements) buffers in chunks of \(body.chunk_elements)")
    }
    let checkpointEvery = try Fields.int(body.checkpoint_every, "\(name).checkpoint_every")
    let staleness = try Fields.count(body.maximum_staleness, "\(name).maximum_staleness")
    guard
      let rules = JobRules(
        schedule: schedule, steps: try Fields.int(body.steps, "\(name).steps"), chunks: chunks,
        segments: try segments(body, "\(name).segments"), slots: Int(body.slots),
        checkpointEvery: checkpointEvery == 0 ? nil : checkpointEvery,
        maximumStaleness: body.bounds_staleness == 0 ? nil : staleness, clipsNorm: body.clips_norm != 0)
    else { throw .field("\(name).steps", "\(body.steps) steps do not fit the rest of the rules") }
    return rules
  }

  private static func segments(_ body: Convoy__Wire__Rules, _ name: String) throws(WireError) -> [JobRules.Segment] {
    guard body.n_segments > 0, body.n_segments.isMultiple(of: 3), body.n_segments <= 3 * JobRules.maximumSegments,
      let numbers = body.segments
    else { throw .field(name, "\(body.n_segments) numbers, not at most \(3 * JobRules.maximumSegments) in threes") }
    var segments: [JobRules.Segment] = []
    for index in stride(from: 0, to: body.n_segments, by: 3) {
      segments.append(
        JobRules.Segment(
          firstStep: try Fields.int(numbers[index], name),
          consistency: try consistency(numbers[index + 1], numbers[index + 2], name)))
    }
    return segments
  }

  private static func decode(_ body: Convoy__Wire__ViewServer) throws(WireError) -> View.Server {
    View.Server(
      member: Member(.server, try Fields.member(body.number, "view.servers.number")),
      incarnation: Incarnation(body.incarnation),
      name: try Fields.name(body.name, "view.servers.name"),
      address: try Fields.name(body.address, "view.servers.address"),
      chunks: try Fields.numbers(body.chunks, body.n_chunks, "view.servers.chunks", maximum: ChunkTable.maximumChunks),
      replicas: try Fields.numbers(
        body.replicas, body.n_replicas, "view.servers.replicas", maximum: ChunkTable.maximumChunks))
  }

  private static func decode(_ body: Convoy__Wire__ViewWorker) throws(WireError) -> View.Worker {
    View.Worker(
      member: Member(.worker, try Fields.member(body.number, "view.workers.number")),
      incarnation: Incarnation(body.incarnation),
      name: try Fields.name(body.name, "view.workers.name"),
      nodes: try nodes(body.nodes, body.n_nodes, "view.workers.nodes"),
      earlierNodes: try nodes(body.earlier_nodes, body.n_earlier_nodes, "view.workers.earlier_nodes"))
  }

  private static func nodes(
    _ pointer: UnsafeMutablePointer<UInt32>?, _ count: Int, _ name: String
  ) throws(WireError) -> [ShardNode] {
    let numbers = try Fields.numbers(pointer, count, name, maximum: 2 * ShardTree.maximumShards)
    guard numbers.count.isMultiple(of: 2) else { throw .field(name, "an odd number of numbers") }
    var nodes: [ShardNode] = []
    for pair in stride(from: 0, to: numbers.count, by: 2) {
      nodes.append(try Fields.node(level: numbers[pair], index: numbers[pair + 1], name))
    }
    return nodes
  }
}

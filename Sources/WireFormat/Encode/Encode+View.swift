import CMessages
import CProtobufC
import ParameterServer

extension WireFormat {
  static func encode(_ view: View, _ arena: inout ProtobufC.Arena) -> UnsafeMutablePointer<Convoy__Wire__View> {
    let body = arena.make(convoy__wire__view__init)
    body.pointee.number = view.number.rawValue
    body.pointee.era = view.era
    if case .checkpoint(let step) = view.origin {
      body.pointee.is_restored = 1
      body.pointee.origin_step = UInt64(step)
    }
    body.pointee.rules = encode(view.rules, &arena)
    body.pointee.since = UInt64(view.since)
    body.pointee.is_beginning = view.isBeginning ? 1 : 0
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

  static func encode(_ rules: JobRules, _ arena: inout ProtobufC.Arena) -> UnsafeMutablePointer<Convoy__Wire__Rules> {
    let body = arena.make(convoy__wire__rules__init)
    body.pointee.samples = UInt64(rules.schedule.samples)
    body.pointee.batch = UInt64(rules.schedule.batch)
    body.pointee.shards = UInt32(rules.schedule.tree.shards)
    body.pointee.steps = UInt64(rules.steps)
    body.pointee.elements = UInt64(rules.chunks.elements)
    body.pointee.buffer_elements = UInt64(rules.chunks.bufferElements)
    body.pointee.chunk_elements = UInt64(rules.chunks.chunkElements)
    let segments = rules.segments.flatMap { segment -> [UInt64] in
      let (kind, argument) = code(of: segment.consistency)
      return [UInt64(segment.firstStep), UInt64(kind), UInt64(argument)]
    }
    body.pointee.n_segments = segments.count
    body.pointee.segments = numbers(segments, &arena)
    body.pointee.slots = UInt32(rules.slots)
    body.pointee.checkpoint_every = UInt64(rules.checkpointEvery ?? 0)
    body.pointee.bounds_staleness = rules.maximumStaleness == nil ? 0 : 1
    body.pointee.maximum_staleness = rules.maximumStaleness ?? 0
    body.pointee.clips_norm = rules.clipsNorm ? 1 : 0
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
    body.pointee.n_replicas = server.replicas.count
    body.pointee.replicas = numbers(server.replicas, &arena)
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
    let earlier = worker.earlierNodes.flatMap { [UInt32($0.level), $0.index] }
    body.pointee.n_earlier_nodes = earlier.count
    body.pointee.earlier_nodes = numbers(earlier, &arena)
    return body
  }
}

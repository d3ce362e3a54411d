import ParameterServer
import Runtime
import Transport

/// The floats of a simulated worker: the chunks as they came, shared with the servers that sent them, and the sums of
/// what it computed.
final class TrainingWorker {
  private struct Sum {
    let order: UInt64
    let node: ShardNode
    let vectors: ModelVectors
  }

  private let model: TrainingModel
  private let slot: Int
  /// What came and was not put in place yet.
  private var frames: [GradientHandle: Frame] = [:]
  private var era: UInt32?
  private var parameters: [Frame?] = []
  private var sums: [Sum] = []
  /// What was learnt from the shards of the newest order.
  private var results: [ShardResult] = []
  /// Why the newest order could not be computed; nil where it could.
  private(set) var failure: String?

  /// The worker of a slot, which holds nothing yet.
  init(_ model: TrainingModel, slot: Int) {
    self.model = model
    self.slot = slot
  }

  /// A letter has come; its payload is known by a handle.
  func receive(_ frame: Frame?, as payload: ReceivedPayload?) {
    if let payload, let frame { frames[payload.handle] = frame }
  }

  /// Does with the floats what the machine decided.
  func perform(_ effect: WorkerEffect) {
    switch effect {
    case .adopt(let view):
      if era != view.era { parameters = Array(repeating: nil, count: view.rules.chunks.count) }
      era = view.era
    case .install(let chunk, let handle):
      if let frame = frames.removeValue(forKey: handle), parameters.indices.contains(chunk) {
        parameters[chunk] = frame
      }
    case .release(let handle): frames[handle] = nil
    case .compute(let order): compute(order)
    case .discard(let order, let node): sums.removeAll { $0.order == order && $0.node == node }
    case .send, .prepare, .readAhead, .refused, .timer, .stop: break
    }
  }

  /// A chunk's floats are in place: they must be those of their version, whoever made it.
  func installed(_ chunk: Int, version: UInt64, _ context: inout SimulationContext) {
    guard parameters.indices.contains(chunk), let floats = parameters[chunk] else {
      return context.misuse(slot, "has toy numbers of chunk \(chunk) and no floats")
    }
    if !model.record.note(floats, chunk: chunk, version: version) {
      context.monitor.differs("chunk \(chunk): a worker reads other floats than version \(version) has")
    }
  }

  /// Computes at once: installing what comes meanwhile then changes nothing that the engine still reads.
  private func compute(_ order: ComputeOrder) {
    let held = parameters.compactMap(\.self)
    guard held.count == parameters.count else { return }
    do throws(ConvoyError) {
      let computed = try model.compute(order, at: held)
      sums += computed.sums.map { Sum(order: order.number, node: $0.node, vectors: $0.vectors) }
      results = computed.results
      for result in computed.results { model.record.computed(result) }
      failure = nil
    } catch {
      failure = error.message
    }
  }

  /// What was learnt from a shard of the newest order.
  func result(step: Int, shard: Int) -> ShardResult? { results.first { $0.step == step && $0.shard == shard } }

  /// What goes along with a push; nil where the sum is not held.
  func frame(_ part: GradientPart, _ context: inout SimulationContext) -> Frame? {
    guard let sum = sums.first(where: { $0.order == part.order && $0.node == part.node }) else {
      context.misuse(slot, "sends floats of \(part.node), order \(part.order), which it does not hold")
      return nil
    }
    return sum.vectors.payload(of: part.chunk, model.rules.chunks)
  }
}

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
  /// What came and was not put in place yet.
  private var frames: [GradientHandle: Frame] = [:]
  private var era: UInt32?
  private var parameters: [Frame?] = []
  private var sums: [Sum] = []
  /// What was learnt from the shards of the newest order.
  private var results: [ShardResult] = []
  /// Why the newest order could not be computed; nil where it could.
  private(set) var failure: String?

  /// A worker that holds nothing yet.
  init(_ model: TrainingModel) {
    self.model = model
  }

  /// A letter has come; its payload is known by a handle.
  func receive(_ letter: Letter, as payload: ReceivedPayload?) {
    if let payload, let frame = letter.frame { frames[payload.handle] = frame }
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
    case .send, .prepare, .readAhead, .timer, .stop: break
    }
  }

  /// The floats that a worker has put in place of a chunk.
  func installed(_ chunk: Int) -> Frame? { parameters.indices.contains(chunk) ? parameters[chunk] : nil }

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
  func frame(_ part: GradientPart) -> Frame? {
    sums.first { $0.order == part.order && $0.node == part.node }?.vectors.payload(of: part.chunk, model.rules.chunks)
  }
}

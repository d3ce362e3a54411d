import Networks
import ParameterServer
import Runtime
import Tensors
import Transport

/// A small network's chunks, and updates of them.
enum Stores {
  /// 3·4 + 3 weights of a convolution, 6 parameters and 6 buffers of a normalisation, 3·2 + 2 weights of the end.
  static let network = try! Network("small", input: [4, 2, 2]) {
    Convolution("conv", channels: 3, kernel: 1)
    BatchNormalization("norm")
    FullyConnected("fc", 2)
    SoftmaxCrossEntropy("loss")
  }

  static let tree = ShardTree(shards: 4)!

  static func rules(_ mode: Consistency, slots: Int, steps: Int = 20) -> JobRules {
    JobRules(
      schedule: BatchSchedule(samples: 64, batch: 8, tree: tree)!, steps: steps,
      chunks: ChunkTable(
        elements: network.parameterLayout.count, buffers: network.bufferLayout.count, chunkElements: 16)!,
      segments: [JobRules.Segment(firstStep: 0, consistency: mode)], slots: slots)!
  }

  static func settings(
    _ optimizer: Optimizer, scaling: UpdateSettings.StalenessScaling = .none, compensation: Float = 0,
    bound: Double? = nil
  ) -> UpdateSettings {
    UpdateSettings(
      optimizer: optimizer, statistics: RunningStatistics(network), schedule: .cosine, learningRate: 0.1,
      warmupSteps: 3, scaling: scaling, delayCompensation: compensation,
      clipping: bound.map(NormClipping.init(bound:)))
  }

  static let optimizers: [Optimizer] = [
    .sgd(SGD(momentum: 0.9, nesterov: false, weightDecay: 0.01)),
    .sgd(SGD(momentum: 0, nesterov: false, weightDecay: 0)),
    .adam(Adam()), .rmsProp(RMSProp()),
  ]

  static var initial: ModelVectors { ModelVectors(initialOf: network, seed: 3) }

  static func store(_ rules: JobRules, _ settings: UpdateSettings) -> ChunkStore {
    let store = ChunkStore(rules: rules, settings: settings)
    store.initialise(from: initial)
    return store
  }

  static func update(
    _ chunk: Int, version: UInt64, _ kind: UpdateKind, step: UInt64, worker: UInt32? = nil, staleness: UInt64 = 0,
    basis: UInt64 = 0
  ) -> Update {
    Update(
      chunk: UInt32(chunk), version: version, closed: step + 1, unit: nil, kind: kind, step: step,
      staleness: staleness, basis: basis, worker: worker, samples: 8, shards: 4)
  }

  /// Applies some updates of a kind to every chunk; the gradients follow from the version.
  static func apply(
    _ count: Int, from version: UInt64, _ kind: UpdateKind, to stores: [ChunkStore], slots: Int
  ) throws(ConvoyError) {
    let chunks = stores[0].rules.chunks
    for chunk in 0..<chunks.count {
      for version in version + 1...version + UInt64(count) {
        var numbers = Numbers(UInt64(chunk) * 1000 + version)
        let vectors = kind == .averaged && chunks.kind(of: chunk) == .parameters ? 1 + slots : 1
        // Squares of gradients, as Adam keeps them, are positive.
        let floats = numbers.floats(chunks.range(of: chunk).count * vectors).map { kind == .averaged ? abs($0) : $0 }
        let update = update(
          chunk, version: version, kind, step: version - 1, worker: kind == .single ? UInt32(version % 3) : nil)
        for store in stores {
          store.receive(Frame(floats: floats), as: GradientHandle(7))
          try store.apply(update, gradient: GradientHandle(7))
          store.release(GradientHandle(7))
        }
      }
    }
  }
}

extension ModelVectors {
  /// A network's vectors before the first step.
  init(initialOf network: Network, seed: UInt64) {
    self.init(parameters: network.initialParameters(seed: seed), buffers: network.initialBuffers())
  }
}

extension ChunkStore {
  /// Holds every chunk of some vectors.
  func initialise(from initial: ModelVectors) {
    for chunk in 0..<rules.chunks.count {
      let range = rules.chunks.range(of: chunk)
      let values = FlatVector(count: range.count)
      initial[rules.chunks.kind(of: chunk)].withBytes(of: range) { values.copy($0, to: 0..<range.count) }
      initialise(chunk, values)
    }
  }
}

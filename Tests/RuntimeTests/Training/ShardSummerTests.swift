import Datasets
import Engines
import Networks
import ParameterServer
import Runtime
import Tensors
import Testing

/// What a worker computes for an order, against loops that do the same one after the other.
@Suite struct ShardSummerTests {
  private static let schedule = Stores.rules(.sync, slots: 0).schedule
  private static let chunks = Stores.rules(.sync, slots: 0).chunks

  /// The samples of a block: a function of their numbers.
  private static func batch(_ block: SampleBlock) -> Batch {
    let batch = Batch(capacity: 8, sampleShape: Stores.network.inputShape)
    batch.removeAll(epoch: block.epoch)
    for position in block.positions {
      var numbers = Numbers(UInt64(block.epoch * 1000 + position))
      let label = Int32(numbers.next(2))
      batch.append(sample: position, label: label) { span in
        for element in span.indices { span[element] = numbers.float() }
      }
    }
    return batch
  }

  private static func plan() throws -> any Plan {
    try OpenBLASEngine().compile(
      Stores.network, batch: 8, options: CompileOptions(threads: 1, purpose: .training(seed: 1)))
  }

  private static func summer(
    _ optimizer: Optimizer, repetitions: Int = 1, bound: Double? = nil
  ) throws -> ShardSummer {
    ShardSummer(
      plan: try plan(), samples: ShardSummer.SampleSource(batch: { batch($0) }, recycle: { _ in }), chunks: chunks,
      totalSteps: 20, settings: Stores.settings(optimizer, bound: bound), repetitions: repetitions)
  }

  /// The payloads of a node's chunks, and the results that were told.
  private static func compute(
    _ summer: ShardSummer, _ model: ModelVectors, _ nodes: [ShardNode], steps: Range<Int>, _ mode: Consistency
  ) throws -> (payloads: [ShardNode: [[Float]]], results: [ShardResult]) {
    var payloads: [ShardNode: [[Float]]] = [:]
    var results: [ShardResult] = []
    let order = ComputeOrder(number: 1, steps: steps, nodes: nodes, consistency: mode, schedule: schedule)
    try summer.compute(
      order, model: model,
      ready: { node, chunk, vectors in
        if payloads[node] == nil { payloads[node] = [[Float]](repeating: [], count: chunks.count) }
        payloads[node]![chunk] = vectors.payload(of: chunk, chunks).floats
      }, computed: { results.append($0) })
    return (payloads, results)
  }

  /// A shard that trains by itself, spelled out.
  private static func trained(
    _ shard: Int, _ steps: Range<Int>, _ optimizer: Optimizer, _ start: ModelVectors, bound: Double? = nil
  ) throws -> [FlatVector] {
    let plan = try plan()
    let settings = Stores.settings(optimizer)
    let parameters = FlatVector(start.parameters.array)
    let slots = start.slots.map { FlatVector($0.array) }
    var running = start.buffers.array
    let (gradient, statistics) = (FlatVector(count: parameters.count), FlatVector(count: running.count))
    for step in steps {
      let positions = schedule.positions(ofStep: step, shard: shard)
      let batch = batch(SampleBlock(epoch: schedule.epoch(ofStep: step), positions: positions))
      _ = try plan.step(batch, parameters: parameters, gradient: gradient, statistics: statistics, onFinal: { _ in })
      var scale = 1 / Float(positions.count)
      if let bound {
        let norm = gradient.array.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot() * Double(scale)
        scale = Float(Double(scale) * min(1, bound / (norm + 1e-6)))
      }
      optimizer.apply(
        gradient: gradient, scale: scale,
        learningRate: settings.rate(step: step, totalSteps: 20), update: step + 1, parameters: parameters,
        state: slots, range: 0..<parameters.count)
      running = zip(running, statistics.array).map { 0.9 * $0 + 0.1 * $1 }
    }
    return [parameters, FlatVector(running)] + slots
  }

  @Test("In local mode each shard trains by itself, and a node is the sum in the tree", arguments: Stores.optimizers)
  func local(_ optimizer: Optimizer) throws {
    let count = Self.chunks.elements
    let model = ModelVectors(
      parameters: Stores.initial.parameters, buffers: Stores.initial.buffers, slots: optimizer.makeState(count: count))
    let before = model.parameters.array
    let (payloads, results) = try Self.compute(
      Self.summer(optimizer), model, [Stores.tree.root], steps: 7..<11, .local(4))
    #expect(model.parameters.array == before)
    #expect(results.count == 16 && results.allSatisfy { $0.samples == 2 })

    let shards = try (0..<4).map { try Self.trained($0, 7..<11, optimizer, model) }
    let sums = shards[0].indices.map { vector -> [Float] in
      let parts = shards.map { $0[vector].array }
      return parts[0].indices.map { (parts[0][$0] + parts[1][$0]) + (parts[2][$0] + parts[3][$0]) }
    }
    for chunk in 0..<Self.chunks.count {
      let range = Self.chunks.range(of: chunk)
      let isParameters = Self.chunks.kind(of: chunk) == .parameters
      let expected = isParameters ? ([sums[0]] + sums[2...]).flatMap { $0[range] } : Array(sums[1][range])
      #expect(payloads[Stores.tree.root]?[chunk] == expected, "chunk \(chunk)")
    }
  }

  @Test("In local mode each shard clips each of its steps by the norm of its own mean gradient")
  func clippedLocal() throws {
    let optimizer = Stores.optimizers[1]
    let (payloads, _) = try Self.compute(
      Self.summer(optimizer, bound: 0.5), Stores.initial, [ShardNode(level: 0, index: 2)], steps: 7..<11, .local(4))
    let expected = try Self.trained(2, 7..<11, optimizer, Stores.initial, bound: 0.5)[0].array
    let plain = try Self.trained(2, 7..<11, optimizer, Stores.initial)[0].array
    let result = Self.chunks.chunks(of: .parameters).flatMap { payloads[ShardNode(level: 0, index: 2)]![$0] }
    // The order of the norm's sum is another one.
    #expect(zip(result, expected).allSatisfy { abs($0 - $1) < 1e-6 })
    #expect(zip(result, plain).contains { abs($0 - $1) > 1e-3 })
  }

  @Test("A push that is applied alone is clipped alone, its statistics are not, and a large bound changes nothing")
  func clippedSingle() throws {
    let node = ShardNode(level: 0, index: 2)
    func payloads(_ bound: Double?, _ mode: Consistency) throws -> [[Float]] {
      let model = Stores.initial
      return try Self.compute(
        Self.summer(Stores.optimizers[0], bound: bound), model, [node], steps: 7..<8, mode
      ).payloads[node]!
    }
    let parameters = Self.chunks.chunks(of: .parameters)
    func norm(_ payloads: [[Float]]) -> Double {
      var squares = 0.0
      // A shard has two samples.
      for value in parameters.flatMap({ payloads[$0] }) { squares += Double(value / 2) * Double(value / 2) }
      return squares.squareRoot()
    }
    let plain = try payloads(nil, .async)
    let bound = norm(plain) / 4
    for mode in [Consistency.async, .ssp(2)] {
      let clipped = try payloads(bound, mode)
      #expect(abs(norm(clipped) - bound) < 1e-5 * bound)
      #expect(clipped[parameters.upperBound...] == plain[parameters.upperBound...])
      #expect(try payloads(1e9, mode) == plain)
    }
    #expect(try payloads(bound, .sync) == payloads(nil, .sync), "servers clip what is summed")
  }

  @Test("A worker is slowed by its own name, or with all others")
  func slowed() {
    #expect(WorkerRole.repetitions(nil, of: "worker.1") == 1)
    #expect(WorkerRole.repetitions("5", of: "worker.1") == 5)
    #expect(WorkerRole.repetitions("worker.1:5", of: "worker.1") == 5)
    #expect(WorkerRole.repetitions("worker.1:5", of: "worker.2") == 1)
    #expect(WorkerRole.repetitions("fast", of: "worker.2") == 1)
  }

  @Test(
    "A node's sum has the same bits in one piece, in two, and computed five times over",
    arguments: [Consistency.sync, .local(3)])
  func pieces(_ mode: Consistency) throws {
    let optimizer = Stores.optimizers[0]
    let steps = mode == .sync ? 5..<6 : 5..<8
    let slots = mode == .sync ? [] : optimizer.makeState(count: Self.chunks.elements)
    let model = ModelVectors(
      parameters: Stores.initial.parameters, buffers: Stores.initial.buffers, slots: slots)
    let root = Stores.tree.root
    let halves = [ShardNode(level: 1, index: 0), ShardNode(level: 1, index: 1)]
    let whole = try Self.compute(Self.summer(optimizer), model, [root], steps: steps, mode).payloads
    let parts = try Self.compute(Self.summer(optimizer), model, halves, steps: steps, mode).payloads
    let slow = try Self.compute(Self.summer(optimizer, repetitions: 5), model, [root], steps: steps, mode).payloads
    for chunk in 0..<Self.chunks.count {
      let sum = zip(parts[halves[0]]![chunk], parts[halves[1]]![chunk]).map { $0 + $1 }
      #expect(whole[root]?[chunk] == sum)
    }
    #expect(whole == slow)
  }
}

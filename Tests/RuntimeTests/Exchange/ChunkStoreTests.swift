import ParameterServer
import Runtime
import Tensors
import Testing
import Transport

/// A server's floats: replicas to the bit, states as blobs, means, late gradients.
@Suite struct ChunkStoreTests {
  private static let kinds: [(UpdateKind, Consistency)] = [(.summed, .sync), (.single, .async), (.averaged, .local(4))]

  @Test(
    "A replica that is given a state and then the same updates holds the same bits",
    arguments: Stores.optimizers, 0..<kinds.count)
  func replica(_ optimizer: Optimizer, _ kind: Int) throws {
    let (kind, mode) = Self.kinds[kind]
    let slots = optimizer.stateVectors.count
    let rules = Stores.rules(mode, slots: slots)
    let primary = Stores.store(rules, Stores.settings(optimizer))
    try Stores.apply(3, from: 0, kind, to: [primary], slots: slots)
    let replica = ChunkStore(rules: rules, settings: Stores.settings(optimizer))
    for chunk in 0..<rules.chunks.count {
      let position = ChunkPosition(chunk: UInt32(chunk), version: 3, closed: 3)
      try replica.install(position, primary.state(of: chunk))
      #expect(replica.state(of: chunk).bytes == primary.state(of: chunk).bytes)
    }
    try Stores.apply(4, from: 3, kind, to: [primary, replica], slots: slots)
    for chunk in 0..<rules.chunks.count {
      #expect(replica.state(of: chunk).bytes == primary.state(of: chunk).bytes)
      for version: UInt64 in [6, 7] {
        let bytes = rules.payloadBytes(ofChunk: chunk, step: 8)
        let values = primary.values(of: chunk, version: version, bytes: bytes).floats
        #expect(values == replica.values(of: chunk, version: version, bytes: bytes).floats)
        #expect(values.allSatisfy { $0.isFinite })
      }
    }
    #expect(primary.gradientCount == 0)
  }

  @Test("Two versions are held: what a frame holds is not written again")
  func versions() throws {
    let rules = Stores.rules(.sync, slots: 1)
    let store = Stores.store(rules, Stores.settings(Stores.optimizers[0]))
    let bytes = rules.chunks.bytes(of: 0)
    var frames: [Frame] = []
    var floats: [[Float]] = []
    for version in UInt64(0)..<6 {
      frames.append(store.values(of: 0, version: version, bytes: bytes))
      floats.append(frames.last!.floats)
      try Stores.apply(1, from: version, .summed, to: [store], slots: 1)
      #expect(store.values(of: 0, version: version, bytes: bytes).floats == floats.last)
    }
    #expect(frames.map(\.floats) == floats)
    #expect(Set(floats).count == 6)
  }

  @Test("A snapshot stays as it was when updates go on, without the version before; forgotten, it is gone")
  func snapshots() throws {
    let rules = Stores.rules(.sync, slots: 2)
    let store = Stores.store(rules, Stores.settings(.adam(Adam())))
    try Stores.apply(2, from: 0, .summed, to: [store], slots: 2)
    store.takeSnapshot(0)
    let before = store.snapshot(of: 0).bytes
    try Stores.apply(2, from: 2, .summed, to: [store], slots: 2)
    #expect(store.snapshot(of: 0).bytes == before)
    let floats = try store.snapshot(of: 0).withBytes { try ChunkFloats(blob: $0, elements: 16, slots: 2) }
    #expect(floats.version == 2 && floats.updates == 2 && floats.previous == nil && floats.shared?.count == 2)
    let restored = ChunkStore(rules: rules, settings: Stores.settings(.adam(Adam())))
    try restored.install(ChunkPosition(chunk: 0, version: 2, closed: 2), store.snapshot(of: 0))
    var numbers = Numbers(3)
    restored.receive(Frame(floats: numbers.floats(16)), as: GradientHandle(1))
    numbers = Numbers(3)
    try restored.apply(Stores.update(0, version: 3, .summed, step: 2), gradient: GradientHandle(1))
    #expect(
      restored.values(of: 0, version: 3, bytes: 64).floats != restored.values(of: 0, version: 2, bytes: 64).floats)
  }

  @Test("A state that is cut short, damaged, of another chunk or of another version is refused")
  func damage() throws {
    let rules = Stores.rules(.async, slots: 1)
    let store = Stores.store(rules, Stores.settings(Stores.optimizers[0]))
    try Stores.apply(5, from: 0, .single, to: [store], slots: 1)
    let bytes = store.state(of: 0).bytes
    func read(_ bytes: [UInt8], elements: Int = 16, slots: Int = 1) throws {
      _ = try Frame(copying: bytes).withBytes { try ChunkFloats(blob: $0, elements: elements, slots: slots) }
    }
    #expect(throws: Never.self) { try read(bytes) }
    for length in stride(from: 0, to: bytes.count, by: 3) {
      #expect(throws: ConvoyError.self) { try read(Array(bytes[..<length])) }
    }
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 1 << UInt8(index % 8)
      #expect(throws: ConvoyError.self) { try read(damaged) }
    }
    // Heads that lie, under a checksum that does not.
    for word in 0..<8 {
      for value: UInt64 in [0, 5, 1 << 15, 1 << 40, .max] {
        var damaged = Array(bytes.dropLast(4))
        for byte in 0..<8 { damaged[8 * word + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
        let sum = CRC32C.checksum(of: damaged)
        damaged += (0..<4).map { UInt8(truncatingIfNeeded: sum >> UInt32(8 * $0)) }
        // Versions and counts of updates may be anything.
        _ = try? read(damaged)
        if ![3, 4, 6].contains(word) { #expect(throws: ConvoyError.self, "\(word) \(value)") { try read(damaged) } }
      }
    }
    #expect(throws: ConvoyError.self) { try read(bytes, elements: 15) }
    #expect(throws: ConvoyError.self) { try read(bytes, slots: 2) }
    #expect(throws: ConvoyError.self) {
      try store.install(ChunkPosition(chunk: 0, version: 4, closed: 0), Frame(copying: bytes))
    }
    #expect(throws: ConvoyError.self) {
      try store.install(ChunkPosition(chunk: 1 << 20, version: 5, closed: 0), Frame(copying: bytes))
    }
  }

  @Test(
    "A mean of what shards trained by themselves is their sum divided, state by state; the version before stays whole")
  func averaged() throws {
    let rules = Stores.rules(.local(4), slots: 1)
    let store = Stores.store(rules, Stores.settings(Stores.optimizers[0]))
    let first = store.values(of: 0, version: 0, bytes: 128).floats
    #expect(Array(first[16...]) == [Float](repeating: 0, count: 16))
    let sum = (0..<32).map { Float($0) * 1.5 + 0.25 }
    store.receive(Frame(floats: sum), as: GradientHandle(0))
    try store.apply(Stores.update(0, version: 1, .averaged, step: 0), gradient: GradientHandle(0))
    #expect(store.values(of: 0, version: 1, bytes: 128).floats == sum.map { $0 / 4 })
    #expect(store.values(of: 0, version: 0, bytes: 128).floats == first)
    let floats = try store.state(of: 0).withBytes { try ChunkFloats(blob: $0, elements: 16, slots: 1) }
    #expect(floats.updates == 4)
  }

  @Test("An update whose gradient has another length is refused, as it may come from another server")
  func length() throws {
    let store = Stores.store(Stores.rules(.async, slots: 1), Stores.settings(Stores.optimizers[0]))
    store.receive(Frame(floats: [1, 2, 3]), as: GradientHandle(0))
    #expect(throws: ConvoyError.self) {
      try store.apply(Stores.update(0, version: 1, .single, step: 0), gradient: GradientHandle(0))
    }
  }

  @Test("Staleness divides the learning rate where it is asked for")
  func staleness() throws {
    func step(_ staleness: UInt64, _ scaling: UpdateSettings.StalenessScaling) throws -> [Float] {
      let settings = Stores.settings(.sgd(SGD(momentum: 0, nesterov: false, weightDecay: 0)), scaling: scaling)
      let store = Stores.store(Stores.rules(.async, slots: 0), settings)
      store.receive(Frame(floats: [Float](repeating: 8, count: 16)), as: GradientHandle(0))
      let before = store.values(of: 0, version: 0, bytes: 64).floats
      let update = Stores.update(0, version: 1, .single, step: 5, worker: 0, staleness: staleness)
      try store.apply(update, gradient: GradientHandle(0))
      return zip(before, store.values(of: 0, version: 1, bytes: 64).floats).map { $0 - $1 }
    }
    let rate = Stores.settings(.adam(Adam())).rate(step: 5, totalSteps: 20)
    for (taken, expected) in [
      (try step(0, .inverse), rate), (try step(3, .inverse), rate / 4), (try step(3, .none), rate),
    ] {
      #expect(taken.allSatisfy { abs($0 - expected) < 1e-6 })
    }
  }

  @Test(
    "A late gradient is compensated for what has changed since its worker was sent the parameters, then the same everywhere"
  )
  func compensation() throws {
    let settings = Stores.settings(.sgd(SGD(momentum: 0, nesterov: false, weightDecay: 0)), compensation: 0.5)
    let rules = Stores.rules(.async, slots: 0)
    let store = Stores.store(rules, settings)
    let basis = store.values(of: 0, version: 0, bytes: 64, to: 2).floats
    try Stores.apply(3, from: 0, .single, to: [store], slots: 0)
    let now = store.values(of: 0, version: 3, bytes: 64).floats
    var numbers = Numbers(99)
    let gradient = numbers.floats(16)
    let late = Stores.update(0, version: 4, .single, step: 3, worker: 2, staleness: 3, basis: 0)
    store.receive(Frame(floats: gradient), as: GradientHandle(1))
    store.compensate(late, gradient: GradientHandle(1))
    let compensated = store.payload(of: GradientHandle(1)).floats
    let factor: Float = 0.5 * 4 / 8
    #expect(
      compensated
        == gradient.indices.map { gradient[$0] + factor * gradient[$0] * gradient[$0] * (now[$0] - basis[$0]) })
    #expect(compensated != gradient)
    // A worker that is gone is forgotten; the others are not.
    store.forgetWorkers(besides: [2])
    store.receive(Frame(floats: gradient), as: GradientHandle(3))
    store.compensate(late, gradient: GradientHandle(3))
    #expect(store.payload(of: GradientHandle(3)).floats == compensated)
    // Of a worker that nothing was sent to, or a version that is no longer known, nothing is compensated.
    for (worker, basis) in [(UInt32(1), UInt64(0)), (2, 1)] {
      store.receive(Frame(floats: gradient), as: GradientHandle(2))
      let update = Stores.update(0, version: 4, .single, step: 3, worker: worker, staleness: 3, basis: basis)
      store.compensate(update, gradient: GradientHandle(2))
      #expect(store.payload(of: GradientHandle(2)).floats == gradient)
    }
    store.forgetWorkers(besides: [1])
    store.receive(Frame(floats: gradient), as: GradientHandle(4))
    store.compensate(late, gradient: GradientHandle(4))
    #expect(store.payload(of: GradientHandle(4)).floats == gradient)
    // Nor where another server has served the chunk meanwhile.
    let known = Stores.update(0, version: 4, .single, step: 3, worker: 2, staleness: 1, basis: 3)
    for isForgotten in [false, true] {
      _ = store.values(of: 0, version: 3, bytes: 64, to: 2)
      try Stores.apply(1, from: isForgotten ? 4 : 3, .single, to: [store], slots: 0)
      if isForgotten { store.forgetReaders(of: 0) }
      store.receive(Frame(floats: gradient), as: GradientHandle(5))
      store.compensate(known, gradient: GradientHandle(5))
      #expect((store.payload(of: GradientHandle(5)).floats == gradient) == isForgotten)
    }
  }
}

package import ModelFiles
package import Networks
package import ParameterServer
package import Tensors
package import Transport
import WireFormat

/// What decides how a cut's chunks become vectors, and vectors chunks.
package struct CutForm: Sendable {
  /// The network.
  package let network: Network
  /// What servers update with: the names of its state's vectors.
  package let optimizer: Optimizer

  /// The form of a job's cuts.
  package init(network: Network, optimizer: Optimizer) {
    self.network = network
    self.optimizer = optimizer
  }

  /// Vectors of state of a chunk.
  func slots(of kind: ChunkKind) -> Int { kind == .parameters ? optimizer.stateVectors.count : 0 }

  /// A state vector's name in a checkpoint: PyTorch's, and whose it is where each worker has its own.
  static func slotName(_ name: String, worker: UInt32?) -> String {
    worker.map { "\(name)/worker.\($0)" } ?? name
  }

  /// The worker of a state vector's name in a checkpoint; nil for what is everyone's.
  static func worker(ofSlot name: String) -> UInt32? {
    guard let slash = name.lastIndex(of: "/"), name[slash...].hasPrefix("/worker.") else { return nil }
    return UInt32(name[name.index(slash, offsetBy: 8)...])
  }
}

/// The flat vectors of a cut, whatever chunks it came in.
package struct CutVectors {
  /// Parameters and buffers.
  package let model: ModelVectors
  /// The optimiser's state by name in the checkpoint, in order.
  package private(set) var slots: [(name: String, vector: FlatVector)] = []
  /// Steps of the optimiser.
  package private(set) var updates: UInt64 = 0

  private let form: CutForm
  private let chunks: ChunkTable

  /// Puts the states of all chunks together; refuses one that cannot be read or is of another version.
  package init(_ mark: CheckpointMark, states: [Frame], form: CutForm) throws(ConvoyError) {
    AnsweringThread.requireOther("a cut's vectors")
    self.form = form
    chunks = mark.rules.chunks
    model = ModelVectors(chunks)
    for (chunk, state) in states.enumerated() {
      let kind = chunks.kind(of: chunk)
      let range = chunks.range(of: chunk)
      let floats = try state.withBytes { bytes throws(ConvoyError) in
        try ChunkFloats(blob: bytes, elements: range.count, slots: form.slots(of: kind))
      }
      guard floats.version == mark.version else {
        throw ConvoyError(
          .failed, "chunk \(chunk) is at version \(floats.version) in the cut of step \(mark.step), not \(mark.version)"
        )
      }
      floats.values.withBytes(of: 0..<range.count) { model[kind].copy($0, to: range) }
      guard kind == .parameters else { continue }
      updates = max(updates, floats.updates)
      if let shared = floats.shared { add(shared, of: nil, at: range) }
      for worker in floats.workers { add(worker.slots, of: worker.worker, at: range) }
    }
  }

  private mutating func add(_ vectors: [FlatVector], of worker: UInt32?, at range: Range<Int>) {
    for (state, vector) in zip(form.optimizer.stateVectors, vectors) {
      let name = CutForm.slotName(state.name, worker: worker)
      var index = slots.firstIndex { $0.name == name }
      if index == nil {
        let new = FlatVector(count: chunks.elements)
        if state.initialValue != 0 { new.withMutableSpan { for i in $0.indices { $0[i] = state.initialValue } } }
        slots.append((name, new))
        index = slots.count - 1
      }
      guard let index else { continue }
      vector.withBytes(of: 0..<vector.count) { slots[index].vector.copy($0, to: range) }
    }
  }
}

/// A checkpoint in memory, from which servers are given their chunks, however many there are.
package struct LoadedCut: Sendable {
  /// What the coordinator knows of it.
  package let mark: CheckpointMark
  /// What it says of the job that it is of.
  package let origin: ResumeOrigin
  /// Whether the optimizer's state is another optimizer's, and the job's begins anew.
  let lacksState: Bool
  private let model: ModelVectors
  private let slots: [(name: String, vector: FlatVector)]
  private let updates: UInt64
  private let form: CutForm

  /// Takes a checkpoint that was read and checked; refuses one that does not say where it is.
  package init(_ checkpoint: Checkpoint, form: CutForm) throws(ConvoyError) {
    guard let bytes = checkpoint.counters[Self.markName]?.map({ UInt8(truncatingIfNeeded: $0) }) else {
      throw ConvoyError(.badData, "the checkpoint of step \(checkpoint.step) does not say which samples are used")
    }
    do throws(WireError) {
      let record = try bytes.withUnsafeBufferPointer { bytes throws(WireError) in
        try WireFormat.decode(record: UnsafeRawBufferPointer(bytes))
      }
      guard case .checkpoint(let mark) = record, mark.step == checkpoint.step else {
        throw WireError.field("checkpoint", "it is of another step")
      }
      self.mark = mark
    } catch {
      throw ConvoyError(.badData, "the checkpoint of step \(checkpoint.step) cannot be gone on from: \(error)")
    }
    model = ModelVectors(parameters: checkpoint.parameters, buffers: checkpoint.buffers)
    slots = checkpoint.slots.map { ($0.name, $0.vector) }
    origin = ResumeOrigin(
      step: checkpoint.step, network: checkpoint.network.name, data: checkpoint.data.name,
      metadata: checkpoint.metadata, mark: mark)
    // A state of each worker's counts: whoever of them is there has one.
    let names = Set(slots.map { $0.name.split(separator: "/").first.map(String.init) ?? $0.name })
    lacksState = !slots.isEmpty && !form.optimizer.stateVectors.allSatisfy { names.contains($0.name) }
    // What a state counts begins with it.
    updates = lacksState ? 0 : checkpoint.counters[Self.updatesName]?.first ?? mark.version
    guard updates <= Bounds.count else {
      throw ConvoyError(.badData, "the checkpoint of step \(checkpoint.step) counts \(updates) steps of its optimizer")
    }
    self.form = form
  }

  /// The counter that holds the mark as a journal's record, a byte a number.
  static let markName = "mark"
  /// The counter that holds the optimiser's number of steps.
  static let updatesName = "updates"

  /// The counters of a checkpoint of these.
  package static func counters(_ mark: CheckpointMark, updates: UInt64) -> [String: [UInt64]] {
    [
      markName: WireFormat.encode(record: .checkpoint(mark)).map(UInt64.init), updatesName: [updates],
    ]
  }

  /// The parameters and the buffers.
  package var vectors: ModelVectors { model }

  /// The state of a chunk of a table, which may be another than the checkpoint's. Cost: two copies of the chunk.
  package func state(of position: ChunkPosition, _ chunks: ChunkTable) -> Frame {
    let chunk = Int(position.chunk)
    let (kind, range) = (chunks.kind(of: chunk), chunks.range(of: chunk))
    var floats = ChunkFloats(values: Self.part(model[kind], range), version: position.version, updates: updates)
    let states = form.optimizer.stateVectors
    if kind == .parameters, !states.isEmpty {
      floats.shared = vectors(of: nil, range)
      let workers = Set(slots.compactMap { CutForm.worker(ofSlot: $0.name) }).sorted()
      floats.workers = workers.compactMap { worker in vectors(of: worker, range).map { (worker, $0) } }
    }
    return floats.blob(slots: form.slots(of: kind), isWhole: false)
  }

  /// A worker's state, or everyone's; nil where the checkpoint has not all its vectors, as of another optimiser.
  private func vectors(of worker: UInt32?, _ range: Range<Int>) -> [FlatVector]? {
    var vectors: [FlatVector] = []
    for state in form.optimizer.stateVectors {
      let name = CutForm.slotName(state.name, worker: worker)
      guard let slot = slots.first(where: { $0.name == name }) else { return nil }
      vectors.append(Self.part(slot.vector, range))
    }
    return vectors
  }

  private static func part(_ vector: FlatVector, _ range: Range<Int>) -> FlatVector {
    let part = FlatVector(count: range.count)
    vector.withBytes(of: range) { part.copy($0, to: 0..<range.count) }
    return part
  }
}

import Foundation
import ModelFiles
import Networks
import ParameterServer
import Runtime
import Tensors
import Testing
import Transport

/// Cuts: from the states of chunks to the vectors of a checkpoint, and back to chunks of another size.
@Suite struct CutTests {
  @Test(
    "What servers hold comes back from a checkpoint, in the same chunks and in others",
    arguments: Stores.optimizers, [UpdateKind.summed, .single])
  func roundTrip(_ optimizer: Optimizer, _ kind: UpdateKind) throws {
    let slots = optimizer.stateVectors.count
    let rules = Stores.rules(kind == .summed ? .sync : .async, slots: slots)
    let store = Stores.store(rules, Stores.settings(optimizer))
    try Stores.apply(5, from: 0, kind, to: [store], slots: slots)
    let form = CutForm(network: Stores.network, optimizer: optimizer)
    let mark = CheckpointMark(step: 5, version: 5, rules: rules, covered: UnitSet(ranges: [3..<7])!)
    let states = (0..<rules.chunks.count).map { chunk in
      store.takeSnapshot(chunk)
      return store.snapshot(of: chunk)
    }
    let cut = try CutVectors(mark, states: states, form: form)
    #expect(cut.updates == 5)

    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("convoy-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = CheckpointStore(folder: folder.path)
    let written = try files.write(
      Checkpoint(
        step: 5, version: 5, network: Checkpoint.Identity(name: "small", digest: ""),
        data: Checkpoint.Identity(name: "none", digest: ""), layout: Stores.network.parameterLayout,
        bufferLayout: Stores.network.bufferLayout, parameters: cut.model.parameters, buffers: cut.model.buffers,
        slots: cut.slots.map { Checkpoint.Slot(name: $0.name, vector: $0.vector) },
        counters: LoadedCut.counters(mark, updates: cut.updates)))
    let loaded = try LoadedCut(try files.read(written.name), form: form)
    #expect(loaded.mark == mark)
    for chunk in 0..<rules.chunks.count {
      let position = ChunkPosition(chunk: UInt32(chunk), version: 5, closed: 5)
      #expect(kind == .single || loaded.state(of: position, rules.chunks).bytes == states[chunk].bytes)
    }

    // One chunk for all: what two stores make of the same updates later is the same.
    let other = ChunkTable(
      elements: rules.chunks.elements, buffers: rules.chunks.bufferElements, chunkElements: 48)!
    let whole = try loaded.state(of: ChunkPosition(chunk: 0, version: 5, closed: 5), other).withBytes {
      try ChunkFloats(blob: $0, elements: other.range(of: 0).count, slots: slots)
    }
    #expect(whole.values.array == cut.model.parameters.array && whole.version == 5 && whole.updates == 5)
    #expect(whole.workers.count == (kind == .single && optimizer.keepsStatePerWorker && slots > 0 ? 3 : 0))
    let parts = try states[rules.chunks.chunks(of: .parameters)].enumerated().map { chunk, state in
      try state.withBytes { try ChunkFloats(blob: $0, elements: rules.chunks.range(of: chunk).count, slots: slots) }
    }
    for slot in 0..<slots {
      if let shared = whole.shared {
        #expect(shared[slot].array == parts.flatMap { $0.shared![slot].array })
      }
      for (index, worker) in whole.workers.enumerated() {
        #expect(worker.slots[slot].array == parts.flatMap { $0.workers[index].slots[slot].array })
      }
    }
  }

  @Test("A cut with a chunk of another version, and a checkpoint that does not say where it is, are refused")
  func refused() throws {
    let rules = Stores.rules(.sync, slots: 1)
    let store = Stores.store(rules, Stores.settings(Stores.optimizers[0]))
    let form = CutForm(network: Stores.network, optimizer: Stores.optimizers[0])
    let states = (0..<rules.chunks.count).map { store.state(of: $0) }
    let mark = CheckpointMark(step: 1, version: 1, rules: rules, covered: UnitSet())
    #expect(throws: ConvoyError.self) { try CutVectors(mark, states: states, form: form) }
    let checkpoint = Checkpoint(
      step: 1, version: 1, network: Checkpoint.Identity(name: "small", digest: ""),
      data: Checkpoint.Identity(name: "none", digest: ""), layout: Stores.network.parameterLayout,
      bufferLayout: Stores.network.bufferLayout, parameters: Stores.initial.parameters,
      buffers: Stores.initial.buffers)
    #expect(throws: ConvoyError.self) { try LoadedCut(checkpoint, form: form) }
  }
}

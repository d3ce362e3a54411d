package import ParameterServer
import Tensors
import Transport

extension ChunkStore {
  /// Makes a late gradient what it would be by now, in its place, before it is applied and sent to a replica; the gradient
  /// stays as it is where nothing is to be compensated, or what it was computed from is no longer known.
  ///
  /// The factor is λ over the samples of the push: the gradient is a sum over them.
  package func compensate(_ update: Update, gradient handle: GradientHandle) {
    let chunk = Int(update.chunk)
    guard settings.delayCompensation > 0, update.kind == .single, rules.chunks.kind(of: chunk) == .parameters,
      let worker = update.worker, update.staleness > 0, chunks.indices.contains(chunk), let held = chunks[chunk],
      let basis = held.sent[worker]?.last(where: { $0.version == update.basis })
    else { return }
    let compensated = takeVector(count: held.floats.values.count)
    let factor = settings.delayCompensation * Float(update.shards) / Float(update.samples)
    withBytes(of: handle) {
      compensated.setCompensated($0, factor: factor, now: held.floats.values, basis: basis.values)
    }
    gradients[handle] = .made(compensated)
  }

  /// Makes an update. The gradient stays held.
  ///
  /// - Throws: where the gradient has another length than the update needs: another server stated it.
  package func apply(_ update: Update, gradient: GradientHandle) throws(ConvoyError) {
    let number = Int(update.chunk)
    let vectors = update.kind == .averaged ? 1 + slotCount(of: number) : 1
    let bytes = vectors * rules.chunks.bytes(of: number)
    guard payload(of: gradient).count == bytes else {
      throw ConvoyError(
        .failed, "an update of chunk \(number) came with \(payload(of: gradient).count) bytes, not \(bytes)")
    }
    var chunk = held(number)
    // The only other holder of the vectors is the copy above.
    chunks[number] = nil
    chunk.floats.previous = nil
    let next = chunk.pool.take()
    let old = chunk.floats.values
    var oldSlots: [FlatVector]?
    withBytes(of: gradient) { bytes in
      switch (update.kind, rules.chunks.kind(of: number)) {
      case (.averaged, let kind):
        if kind == .parameters { oldSlots = chunk.floats.shared }
        average(&chunk.floats, to: next, bytes, update)
      case (_, .parameters): optimize(&chunk.floats, to: next, by: bytes, update)
      case (_, .buffers):
        settings.statistics.update(
          with: bytes, shards: Int(update.shards), isWholeStep: update.kind == .summed,
          range: rules.chunks.range(of: number), from: old, to: next)
        chunk.floats.updates += 1
      }
    }
    chunk.floats.previous = ChunkFloats.Previous(version: chunk.floats.version, values: old, slots: oldSlots)
    chunk.floats.values = next
    chunk.floats.version = update.version
    chunks[number] = chunk
  }

  private func optimize(
    _ floats: inout ChunkFloats, to next: FlatVector, by gradient: UnsafeRawBufferPointer, _ update: Update
  ) {
    precondition(gradient.count == next.count * MemoryLayout<Float>.stride, "a gradient of another chunk's size")
    let isSingle = update.kind == .single
    let optimizer = isSingle ? settings.optimizer.forStaleGradients : settings.optimizer
    let owner = isSingle && optimizer.keepsStatePerWorker ? update.worker : nil
    floats.updates += 1
    let rate = settings.rate(step: Int(update.step), totalSteps: rules.steps, staleness: update.staleness)
    var scale = 1 / Float(update.samples)
    if let bits = update.scale { scale = NormClipping.factor(scale, scaledBy: Double(bitPattern: bits)) }
    optimizer.apply(
      gradient: gradient.baseAddress!, scale: scale, learningRate: rate,
      update: Int(floats.updates), from: UnsafePointer(floats.values.pointer), to: next.pointer,
      state: floats.slots(of: owner, for: optimizer), stateRange: 0..<next.count)
  }

  /// The mean of what shards became by themselves: parameters, then each vector of the optimiser's state.
  private func average(
    _ floats: inout ChunkFloats, to next: FlatVector, _ sum: UnsafeRawBufferPointer, _ update: Update
  ) {
    let bytes = next.count * MemoryLayout<Float>.stride
    let slots = slotCount(of: Int(update.chunk))
    precondition(sum.count == bytes * (1 + slots), "\(sum.count) bytes of parameters and \(slots) state vectors")
    func part(_ index: Int) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(rebasing: sum[index * bytes..<(index + 1) * bytes])
    }
    next.setQuotient(part(0), by: Float(update.shards))
    // New vectors: the old ones go with the previous version.
    if slots > 0 {
      floats.shared = (1...slots).map { slot in
        let vector = FlatVector(count: next.count)
        vector.setQuotient(part(slot), by: Float(update.shards))
        return vector
      }
    }
    floats.updates += UInt64(rules.round(ofStep: Int(update.step)).count)
  }
}

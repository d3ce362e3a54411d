package import ParameterServer
package import Tensors
package import Transport

/// The floats of a server: its chunks at the current and the previous version, the optimiser's state, and the gradients
/// and statistics that came for them.
///
/// Two stores that are given the same states and the same updates hold the same bits.
package final class ChunkStore {
  /// A chunk's floats. A new version is written beside those that readers hold.
  struct Chunk {
    var floats: ChunkFloats
    var pool: VectorPool
    var snapshot: Frame?
    /// What was last sent to each worker, newest last: what its late gradients are compared with.
    var sent: [UInt32: [(version: UInt64, values: FlatVector)]] = [:]
  }

  /// A gradient: as it came, or a vector that was made of some.
  enum Gradient {
    case received(Frame)
    case made(FlatVector)
  }

  /// The job's rules in the view.
  package private(set) var rules: JobRules
  let settings: UpdateSettings

  var chunks: [Chunk?]
  var gradients: [GradientHandle: Gradient] = [:]
  private var sums: [Int: VectorPool] = [:]

  /// A store without a chunk.
  package init(rules: JobRules, settings: UpdateSettings) {
    self.rules = rules
    self.settings = settings
    chunks = [Chunk?](repeating: nil, count: rules.chunks.count)
  }

  /// Goes on by a later view's rules: the same cut, but perhaps another consistency from some step on.
  package func adopt(_ rules: JobRules) {
    precondition(rules.chunks == self.rules.chunks, "another cut of the vectors within an era")
    self.rules = rules
  }

  /// Lets go of what was sent to workers that are gone.
  package func forgetWorkers(besides workers: Set<UInt32>) {
    for index in chunks.indices where chunks[index]?.sent.isEmpty == false {
      for worker in (chunks[index]?.sent.keys).map(Array.init) ?? [] where !workers.contains(worker) {
        chunks[index]?.sent[worker] = nil
      }
    }
  }

  /// Lets go of what workers were sent of a chunk that another server serves now: their gradients go there.
  package func forgetReaders(of chunk: Int) {
    if chunks.indices.contains(chunk) { chunks[chunk]?.sent = [:] }
  }

  /// Vectors of the optimiser's state of a chunk.
  func slotCount(of chunk: Int) -> Int {
    rules.chunks.kind(of: chunk) == .parameters ? settings.optimizer.stateVectors.count : 0
  }

  // MARK: Chunks

  /// Takes over what a chunk holds before the first step. A chunk that is held stays as it is.
  package func initialise(_ chunk: Int, _ values: FlatVector) {
    precondition(values.count == rules.chunks.range(of: chunk).count, "\(values.count) elements for chunk \(chunk)")
    guard chunks[chunk] == nil else { return }
    chunks[chunk] = Chunk(floats: ChunkFloats(values: values), pool: VectorPool(count: values.count))
  }

  /// Replaces what is held of a chunk by a state that came. Its snapshot stays.
  ///
  /// - Throws: where the state cannot be read, or is of another version than the message beside it says.
  package func install(_ position: ChunkPosition, _ state: Frame) throws(ConvoyError) {
    let chunk = Int(position.chunk)
    guard chunk < chunks.count else { throw ConvoyError(.badData, "a state came of chunk \(chunk) of \(chunks.count)") }
    let count = rules.chunks.range(of: chunk).count
    let floats = try state.withBytes { bytes throws(ConvoyError) in
      try ChunkFloats(blob: bytes, elements: count, slots: slotCount(of: chunk))
    }
    guard floats.version == position.version else {
      throw ConvoyError(
        .badData, "a state of chunk \(chunk) at version \(floats.version) came as version \(position.version)")
    }
    if let previous = position.previous, floats.previous?.version != previous.version {
      throw ConvoyError(.badData, "a state of chunk \(chunk) came without version \(previous.version)")
    }
    let snapshot = chunks[chunk]?.snapshot
    chunks[chunk] = Chunk(floats: floats, pool: VectorPool(count: count), snapshot: snapshot)
  }

  /// Lets go of all that is held of a chunk.
  package func drop(_ chunk: Int) {
    if chunks.indices.contains(chunk) { chunks[chunk] = nil }
  }

  /// A chunk's whole state as it is now: what its replica goes on from. Cost: a copy.
  package func state(of chunk: Int) -> Frame {
    held(chunk).floats.blob(slots: slotCount(of: chunk), isWhole: true)
  }

  /// Keeps a copy of a chunk's state, without its previous version, in the place of an earlier copy. Cost: a copy.
  package func takeSnapshot(_ chunk: Int) {
    let snapshot = held(chunk).floats.blob(slots: slotCount(of: chunk), isWhole: false)
    chunks[chunk]?.snapshot = snapshot
  }

  /// The copy that is kept of a chunk.
  package func snapshot(of chunk: Int) -> Frame {
    guard let snapshot = held(chunk).snapshot else { preconditionFailure("no snapshot of chunk \(chunk) is kept") }
    return snapshot
  }

  /// Lets go of the copy of a chunk.
  package func forgetSnapshot(_ chunk: Int) {
    if chunks.indices.contains(chunk) { chunks[chunk]?.snapshot = nil }
  }

  func held(_ chunk: Int) -> Chunk {
    guard chunks.indices.contains(chunk), let held = chunks[chunk] else {
      preconditionFailure("chunk \(chunk) is not held")
    }
    return held
  }

  /// A chunk's parameters or buffers at its version or the one before, as a payload.
  ///
  /// - Parameters:
  ///   - bytes: of the payload: the values alone, which are not copied; or in local mode with the optimiser's state
  ///     after them, which are.
  ///   - worker: who is sent them, where its gradients may come late and be compensated.
  package func values(of chunk: Int, version: UInt64, bytes: Int, to worker: UInt32? = nil) -> Frame {
    var held = held(chunk)
    let values: FlatVector
    var slots: [FlatVector]?
    if held.floats.version == version {
      values = held.floats.values
      slots = held.floats.shared
    } else if let previous = held.floats.previous, previous.version == version {
      values = previous.values
      slots = previous.slots
    } else {
      preconditionFailure("version \(version) of chunk \(chunk) is not held: that is \(held.floats.version)")
    }
    if let worker, settings.delayCompensation > 0 {
      held.sent[worker, default: []].append((version, values))
      // The newest, and the one that a gradient under way may still be of.
      if held.sent[worker, default: []].count > 2 { held.sent[worker]?.removeFirst() }
      chunks[chunk] = held
    }
    guard bytes > values.count * MemoryLayout<Float>.stride else { return values.frame(of: 0..<values.count) }
    let all = [values] + (slots ?? settings.optimizer.makeState(count: values.count))
    let joined = FlatVector(count: all.count * values.count)
    for (index, vector) in all.enumerated() {
      vector.withBytes(of: 0..<vector.count) { joined.copy($0, to: index * vector.count..<(index + 1) * vector.count) }
    }
    precondition(joined.count * MemoryLayout<Float>.stride == bytes, "chunk \(chunk) has no payload of \(bytes) bytes")
    return joined.frame(of: 0..<joined.count)
  }

  // MARK: Gradients

  /// Gradients that are held now.
  package var gradientCount: Int { gradients.count }

  /// Keeps a gradient as it came.
  package func receive(_ frame: Frame, as handle: GradientHandle) {
    gradients[handle] = .received(frame)
  }

  /// Whether a gradient is held.
  package func holds(_ handle: GradientHandle) -> Bool { gradients[handle] != nil }

  /// Lets go of a gradient.
  package func release(_ handle: GradientHandle) {
    gradients[handle] = nil
  }

  /// A gradient as a payload: not copied.
  package func payload(of handle: GradientHandle) -> Frame {
    switch gradients[handle] {
    case .received(let frame): return frame
    case .made(let vector): return vector.frame(of: 0..<vector.count)
    case nil: preconditionFailure("gradient \(handle.rawValue) is not held")
    }
  }

  /// Adds two gradients of one length: left + right, element by element.
  package func combine(left: GradientHandle, right: GradientHandle, into sum: GradientHandle) {
    withBytes(of: left) { left in
      withBytes(of: right) { right in
        precondition(left.count == right.count, "gradients of \(left.count) and \(right.count) bytes")
        let vector = takeVector(count: left.count / MemoryLayout<Float>.stride)
        vector.setSum(left, right)
        gradients[sum] = .made(vector)
      }
    }
  }

  func takeVector(count: Int) -> FlatVector { sums[count, default: VectorPool(count: count)].take() }

  func withBytes(of handle: GradientHandle, _ body: (UnsafeRawBufferPointer) -> Void) {
    switch gradients[handle] {
    case .received(let frame): frame.withBytes(body)
    case .made(let vector): vector.withBytes(of: 0..<vector.count, body)
    case nil: preconditionFailure("gradient \(handle.rawValue) is not held")
    }
  }
}

extension FlatVector {
  /// The bytes of a range as a payload: not copied, the vector lives until the last reader let go.
  func frame(of range: Range<Int>) -> Frame {
    withBytes(of: range) { Frame(keeping: self, bytes: $0) }
  }
}

package import ParameterServer
package import Tensors
package import Transport

/// A network's numbers, or a sum for each of them: the parameters, the buffers, and where they travel together the
/// optimiser's state, each a flat vector.
package struct ModelVectors: Sendable {
  /// In the network's `parameterLayout`: parameters, or a gradient.
  package let parameters: FlatVector
  /// In the network's `bufferLayout`: running statistics, or shards' statistics. Without elements where it has none.
  package let buffers: FlatVector
  /// The optimiser's state, as long as the parameters each; none but in local mode.
  package let slots: [FlatVector]

  /// Vectors as stated.
  package init(parameters: FlatVector, buffers: FlatVector, slots: [FlatVector] = []) {
    self.parameters = parameters
    self.buffers = buffers
    self.slots = slots
  }

  /// Vectors of zeros for what a table cuts.
  package init(_ chunks: ChunkTable) {
    self.init(parameters: FlatVector(count: chunks.elements), buffers: FlatVector(count: chunks.bufferElements))
  }

  /// The vector that chunks of a kind are parts of.
  package subscript(_ kind: ChunkKind) -> FlatVector {
    switch kind {
    case .parameters: parameters
    case .buffers: buffers
    }
  }

  /// All vectors, parameters first.
  private var all: [FlatVector] { [parameters, buffers] + slots }

  /// The vectors that a chunk has a part of.
  private func vectors(of kind: ChunkKind) -> [FlatVector] { kind == .parameters ? [parameters] + slots : [buffers] }

  /// The same numbers in vectors of its own.
  func copy() -> ModelVectors {
    func copy(_ vector: FlatVector) -> FlatVector {
      let new = FlatVector(count: vector.count)
      vector.withBytes(of: 0..<vector.count) { new.copy($0, to: 0..<new.count) }
      return new
    }
    return ModelVectors(parameters: copy(parameters), buffers: copy(buffers), slots: slots.map(copy))
  }

  /// Adds others' numbers, element by element.
  func add(_ other: ModelVectors) {
    for (vector, other) in zip(all, other.all) { vector.add(other, in: 0..<vector.count) }
  }

  /// Adds others' chunk into this one's, element by element.
  func add(_ other: ModelVectors, chunk: Int, of chunks: ChunkTable) {
    let (kind, range) = (chunks.kind(of: chunk), chunks.range(of: chunk))
    for (vector, other) in zip(vectors(of: kind), other.vectors(of: kind)) { vector.add(other, in: range) }
  }

  /// Copies a payload into a chunk: the values, and after them the optimiser's state where it came too.
  ///
  /// - Precondition: the payload holds the chunk's values alone, or with as many vectors of state as are here.
  package func copy(_ payload: UnsafeRawBufferPointer, to chunk: Int, of chunks: ChunkTable) {
    let range = chunks.range(of: chunk)
    let bytes = chunks.bytes(of: chunk)
    let vectors = vectors(of: chunks.kind(of: chunk))
    let count = payload.count / bytes
    precondition(
      payload.count % bytes == 0 && (1...vectors.count).contains(count), "\(payload.count) bytes for \(chunk)")
    for (index, vector) in vectors[..<count].enumerated() {
      vector.copy(UnsafeRawBufferPointer(rebasing: payload[index * bytes..<(index + 1) * bytes]), to: range)
    }
  }

  /// A chunk as a payload: not copied where it is one vector's part.
  package func payload(of chunk: Int, _ chunks: ChunkTable) -> Frame {
    let (kind, range) = (chunks.kind(of: chunk), chunks.range(of: chunk))
    let vectors = vectors(of: kind)
    if vectors.count == 1 { return vectors[0].frame(of: range) }
    let joined = FlatVector(count: vectors.count * range.count)
    for (index, vector) in vectors.enumerated() {
      vector.withBytes(of: range) { joined.copy($0, to: index * range.count..<(index + 1) * range.count) }
    }
    return joined.frame(of: 0..<joined.count)
  }
}

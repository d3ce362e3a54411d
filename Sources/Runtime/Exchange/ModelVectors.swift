package import Networks
package import ParameterServer
package import Tensors

/// A network's numbers, or a sum for each of them: the parameters and the buffers, each a flat vector.
package struct ModelVectors: Sendable {
  /// In the network's `parameterLayout`: parameters, or a gradient.
  package let parameters: FlatVector
  /// In the network's `bufferLayout`: running statistics, or shards' statistics. Without elements where it has none.
  package let buffers: FlatVector

  /// Vectors as stated.
  package init(parameters: FlatVector, buffers: FlatVector) {
    self.parameters = parameters
    self.buffers = buffers
  }

  /// Vectors of zeros for what a table cuts.
  package init(_ chunks: ChunkTable) {
    parameters = FlatVector(count: chunks.elements)
    buffers = FlatVector(count: chunks.bufferElements)
  }

  /// A network's vectors before the first step.
  package init(initialOf network: Network, seed: UInt64) {
    parameters = network.initialParameters(seed: seed)
    buffers = network.initialBuffers()
  }

  /// The vector that chunks of a kind are parts of.
  package subscript(_ kind: ChunkKind) -> FlatVector {
    switch kind {
    case .parameters: parameters
    case .buffers: buffers
    }
  }

  /// Adds others' chunk into this one's, element by element.
  func add(_ other: ModelVectors, chunk: Int, of chunks: ChunkTable) {
    let kind = chunks.kind(of: chunk)
    self[kind].add(other[kind], in: chunks.range(of: chunk))
  }

  /// Copies a payload into a chunk.
  func copy(_ payload: UnsafeRawBufferPointer, to chunk: Int, of chunks: ChunkTable) {
    self[chunks.kind(of: chunk)].copy(payload, to: chunks.range(of: chunk))
  }
}

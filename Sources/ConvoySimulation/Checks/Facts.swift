import ParameterServer
import Transport

/// An update that a server has made.
struct AppliedFact {
  let slot: Int
  let life: UInt16
  let view: ViewNumber
  let era: UInt32
  /// Whether the server serves the chunk in its view; otherwise it keeps a replica.
  let isPrimary: Bool
  let update: Update
  let payload: ToyPayload
  let old: ToyChunk
  let new: ToyChunk

  var chunk: Int { Int(update.chunk) }

  /// The same, as what a server that has become the primary begins a view with.
  func taken(in view: ViewNumber) -> AppliedFact {
    AppliedFact(
      slot: slot, life: life, view: view, era: era, isPrimary: true, update: update, payload: payload, old: old,
      new: new)
  }
}

/// A chunk's values that a server sends to a worker.
struct ServedFact {
  let slot: Int
  let life: UInt16
  let view: ViewNumber
  let era: UInt32
  let chunk: Int
  /// The version that the server is at.
  let held: UInt64
  /// What goes out.
  let version: UInt64
  let bits: UInt64
}

/// A chunk's values that a worker has put in place.
struct InstalledFact {
  let slot: Int
  let life: UInt16
  let view: ViewNumber
  let era: UInt32
  let chunk: Int
  let version: UInt64
}

/// A worker begins to compute.
struct ComputeFact {
  let slot: Int
  let era: UInt32
  let order: ComputeOrder
  /// The parameters that it reads, by chunk: version and bits.
  let parameters: [ToyPayload]
}

/// A checkpoint that is complete.
struct StoredCheckpoint: Sendable {
  let mark: CheckpointMark
  let era: UInt32
  /// By chunk; nil where a chunk is missing.
  let states: [(position: ChunkPosition, state: ToyChunk)?]
  /// The chunks' floats, by chunk, where the job is a real network's.
  let frames: [Frame?]
}

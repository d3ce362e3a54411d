/// What stands in for a chunk of floats: numbers, and where they come from.
///
/// A value without references: it is copied with every message.
struct ToyPayload: Sendable {
  /// The number: an integer, or a double's bits.
  var bits: UInt64
  /// Of a state: the values of the version before, and the optimiser's state.
  var previousBits: UInt64 = 0
  var optimizerBits: UInt64 = 0
  /// Of a gradient: the version of this chunk that it was computed from. Of parameters or a state: their version.
  var version: UInt64 = 0
  /// Of a gradient: a bit for each shard in it.
  var shards: UInt64 = 0
  /// Of a gradient: the step that it is of, the first of its round.
  var step: UInt32 = 0
  /// Bytes that it would have.
  var bytes: Int32
  /// The chunk.
  var chunk: UInt16
  /// Of a gradient: the worker's slot in the world.
  var worker: UInt16 = 0
  /// Of a gradient: whether a shard is in it twice, or shards of two steps or chunks.
  var isMixed = false
}

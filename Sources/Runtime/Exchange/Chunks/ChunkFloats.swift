package import Tensors

/// All floats of a chunk: what a replica must have to go on from it, to the bit.
package struct ChunkFloats {
  /// The version before the current one: what a worker reads that computes a step anew.
  package struct Previous {
    /// Its number.
    package var version: UInt64
    /// Parameters or buffers.
    package var values: FlatVector
    /// The optimiser's state that belonged to it, where both travel together.
    package var slots: [FlatVector]?
  }

  /// The version: the number of updates, as the machines count them.
  package var version: UInt64
  /// Parameters or buffers: what the chunk's kind says.
  package var values: FlatVector
  /// The version before.
  package var previous: Previous?
  /// Steps of the optimiser so far: Adam's correction follows from it.
  package var updates: UInt64
  /// The optimiser's state that is everyone's; nil before it was needed.
  package var shared: [FlatVector]?
  /// The optimiser's state of each worker that has its own, by worker's number, ascending.
  package var workers: [(worker: UInt32, slots: [FlatVector])]

  /// Values at a version, without a past.
  package init(values: FlatVector, version: UInt64 = 0, updates: UInt64 = 0) {
    self.values = values
    self.version = version
    self.updates = updates
    workers = []
  }

  /// The state of a worker, or everyone's where none is named; made where it is not there yet.
  mutating func slots(of worker: UInt32?, for optimizer: Optimizer) -> [FlatVector] {
    if optimizer.stateVectors.isEmpty { return [] }
    guard let worker else {
      if let shared { return shared }
      let slots = optimizer.makeState(count: values.count)
      shared = slots
      return slots
    }
    let index = workers.firstIndex { $0.worker >= worker } ?? workers.count
    if index < workers.count, workers[index].worker == worker { return workers[index].slots }
    let slots = optimizer.makeState(count: values.count)
    workers.insert((worker, slots), at: index)
    return slots
  }
}

import Dispatch
import Networks
package import ParameterServer
import Synchronization
package import Tensors

/// What the chunks of a job's network hold before the first step: the same on every machine, chunk by chunk.
package struct InitialValues: Sendable {
  private let network: Network
  private let seed: UInt64
  private let chunks: ChunkTable

  /// The values of a job's network, as a table cuts it.
  package init(of prepared: PreparedJob, chunks: ChunkTable) {
    network = prepared.network
    seed = prepared.job.seed
    self.chunks = chunks
  }

  /// What a chunk holds. Cost: some 20 ms of a core for each mebibyte where the values are drawn from a normal
  /// distribution.
  package func values(of chunk: Int) -> FlatVector {
    let range = chunks.range(of: chunk)
    guard chunks.kind(of: chunk) == .buffers else { return network.initialParameters(in: range, seed: seed) }
    let all = network.initialBuffers()
    let values = FlatVector(count: range.count)
    all.withBytes(of: range) { values.copy($0, to: 0..<range.count) }
    return values
  }

  /// What some chunks hold, made on every core; without those that were not begun when somebody gave it up.
  ///
  /// This takes 12 s of CPU for 138 million parameters: it is no work for a thread that has to answer.
  package func values(of numbers: [Int], cancellation: Cancellation) -> [(chunk: Int, values: FlatVector)] {
    AnsweringThread.requireOther("initial values")
    let made = Mutex<[(chunk: Int, values: FlatVector)]>([])
    DispatchQueue.concurrentPerform(iterations: numbers.count) { index in
      guard !cancellation.isCancelled else { return }
      let values = values(of: numbers[index])
      made.withLock { $0.append((numbers[index], values)) }
    }
    return made.withLock { $0.sorted { $0.chunk < $1.chunk } }
  }
}

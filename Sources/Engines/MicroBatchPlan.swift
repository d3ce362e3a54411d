import Networks
import Tensors

/// Computes batches larger than fit in parts whose gradients are added: for networks without batch normalisation, which
/// would normalise each part with its own statistics.
///
/// A batch of n samples is computed in p parts of about the same size, p being the least power of two with which a part
/// fits. So how it is computed, and its bits, depend on n and the limit of memory, not on the plan's batch.
final class MicroBatchPlan: Plan {
  let batch: Int
  private let parts: any Plan
  private let samples: Batch
  /// The gradient of the parts after the first.
  private let partGradient: FlatVector

  /// Most samples of a part, and bytes that are taken beside the plan for it.
  static func overhead(_ network: Network, part: Int, trains: Bool) -> Int {
    let elements = part * (network.inputShape.count + network.targetCount)
    return (elements + (trains ? network.parameterLayout.count : 0)) * MemoryLayout<Float>.stride
  }

  /// A plan for up to `batch` samples over one for parts.
  init(_ network: Network, batch: Int, parts: any Plan, trains: Bool) {
    self.batch = batch
    self.parts = parts
    samples = Batch(
      capacity: parts.batch, sampleShape: network.inputShape, targetCount: network.targetCount)
    partGradient = FlatVector(count: trains ? network.parameterLayout.count : 0)
  }

  func step(
    _ batch: Batch, parameters: FlatVector, gradient: FlatVector, statistics: FlatVector?,
    onFinal: (Range<Int>) -> Void
  ) throws(EngineError) -> StepResult {
    let count = partCount(batch)
    var total = StepResult(lossSum: 0, correct: 0, samples: 0)
    for part in 0..<count {
      let own = part == 0 ? gradient : partGradient
      fill(part, of: count, from: batch)
      let result = try parts.step(samples, parameters: parameters, gradient: own, statistics: statistics) { range in
        if part > 0 { gradient.add(partGradient, in: range) }
        if part == count - 1 { onFinal(range) }
      }
      total.add(result)
    }
    return total
  }

  func evaluate(_ batch: Batch, parameters: FlatVector, buffers: FlatVector?) throws(EngineError) -> StepResult {
    let count = partCount(batch)
    var total = StepResult(lossSum: 0, correct: 0, samples: 0)
    for part in 0..<count {
      fill(part, of: count, from: batch)
      total.add(try parts.evaluate(samples, parameters: parameters, buffers: buffers))
    }
    return total
  }

  /// The least power of two of parts that fit.
  private func partCount(_ batch: Batch) -> Int {
    precondition(batch.count <= self.batch, "\(batch.count) samples for a plan of \(self.batch)")
    var count = 1
    while (batch.count + count - 1) / count > parts.batch { count *= 2 }
    return count
  }

  private func fill(_ part: Int, of count: Int, from batch: Batch) {
    samples.removeAll(epoch: batch.epoch)
    for index in part * batch.count / count..<(part + 1) * batch.count / count { samples.append(index, of: batch) }
  }
}

extension MicroBatchPlan: DescribedPlan {
  func describe() throws(EngineError) -> PlanDescription {
    var description = try parts.description()
    description.partSamples = parts.batch
    return description
  }
}

extension StepResult {
  fileprivate mutating func add(_ other: StepResult) {
    lossSum += other.lossSum
    correct += other.correct
    samples += other.samples
  }
}

extension Batch {
  /// Adds a copy of another batch's sample.
  fileprivate func append(_ index: Int, of other: Batch) {
    append(sample: other.samplePointer[index], label: other.labelPointer[index]) { span in
      let first = other.inputs.pointer + index * sampleShape.count
      for element in span.indices { span[element] = first[element] }
    } fillTargets: { span in
      let first = other.targets.pointer + index * targetCount
      for element in span.indices { span[element] = first[element] }
    }
  }
}

/// Finds what fits a limit of memory.
enum MicroBatches {
  /// Compiles for the most samples at once, and for parts of a batch where the whole does not fit.
  ///
  /// - Parameter compile: a plan for so many samples, or the error that it does not fit.
  static func compile(
    _ network: Network, batch: Int, options: CompileOptions,
    _ compile: (_ samples: Int, _ limit: Int?) throws(EngineError) -> any Plan
  ) throws(EngineError) -> any Plan {
    let refusal: EngineError
    do { return try compile(batch, options.memoryLimit) } catch {
      guard case .memory(_, _, _, isMachine: false) = error else { throw error }
      refusal = error
    }
    let trains = if case .training = options.purpose { true } else { false }
    guard let limit = options.memoryLimit, batch > 1, !trains || network.bufferLayout.count == 0 else { throw refusal }
    // The largest part that fits: what has fitted, and what has not.
    var (low, high) = (0, batch)
    var least = refusal
    var found: (any Plan)?
    while high - low > 1 {
      let middle = (low + high) / 2
      do {
        found = nil
        found = try compile(middle, limit - MicroBatchPlan.overhead(network, part: middle, trains: trains))
        low = middle
      } catch {
        guard case .memory(_, let needed, _, isMachine: false) = error else { throw error }
        least = .memory(
          samples: batch, needed: needed + MicroBatchPlan.overhead(network, part: middle, trains: trains),
          bound: limit, isMachine: false)
        high = middle
      }
    }
    guard low > 0 else { throw least }
    // The last one that was tried may be one that did not fit.
    let parts: any Plan
    if let found {
      parts = found
    } else {
      parts = try compile(low, limit - MicroBatchPlan.overhead(network, part: low, trains: trains))
    }
    return MicroBatchPlan(network, batch: batch, parts: parts, trains: trains)
  }
}

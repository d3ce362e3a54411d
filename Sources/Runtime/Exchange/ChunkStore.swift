package import ParameterServer
package import Tensors
package import Transport

/// The floats of a server: its chunks' parameters and optimiser state, its chunks of buffers, and the gradients and
/// statistics that came for them.
package final class ChunkStore {
  /// A chunk's floats. A new version is written beside the one that readers hold.
  private struct Chunk {
    /// Parameters or buffers: what the chunk's kind says.
    var values: FlatVector
    var version: UInt64
    var pool: VectorPool
    /// Updates that were applied: Adam's correction follows from it.
    var updates = 0
    /// The optimiser's state by worker where each has its own, else that of 0.
    var states: [UInt32: [FlatVector]] = [:]

    mutating func state(of worker: UInt32, for optimizer: Optimizer) -> [FlatVector] {
      if let known = states[worker] { return known }
      let state = optimizer.makeState(count: values.count)
      states[worker] = state
      return state
    }
  }

  /// A gradient: as it came, or the sum of two.
  private enum Gradient {
    case received(Frame)
    case sum(FlatVector)
  }

  private let rules: JobRules
  private let optimizer: Optimizer
  private let isStatePerWorker: Bool
  private let statistics: RunningStatistics
  private let schedule: LearningRateSchedule
  private let baseRate: Double
  private let warmupSteps: Int

  private var chunks: [Chunk?]
  private var gradients: [GradientHandle: Gradient] = [:]
  private var sums: [Int: VectorPool] = [:]

  /// Memory for a server's chunks of a view, filled with the network's first parameters and buffers.
  package init(view: View, server: View.Server, initial: ModelVectors, settings: UpdateSettings) {
    rules = view.rules
    let isSync = view.rules.consistency == .sync
    optimizer = isSync ? settings.optimizer : settings.optimizer.forStaleGradients
    isStatePerWorker = !isSync && settings.optimizer.keepsStatePerWorker
    statistics = settings.statistics
    schedule = settings.schedule
    baseRate = settings.learningRate
    warmupSteps = settings.warmupSteps
    chunks = [Chunk?](repeating: nil, count: rules.chunks.count)
    for chunk in server.chunks {
      let range = rules.chunks.range(of: Int(chunk))
      var pool = VectorPool(count: range.count)
      let values = pool.take()
      let source = initial[rules.chunks.kind(of: Int(chunk))]
      values.pointer.update(from: source.pointer + range.lowerBound, count: range.count)
      chunks[Int(chunk)] = Chunk(values: values, version: 0, pool: pool)
    }
  }

  /// Gradients that are held now.
  package var gradientCount: Int { gradients.count }

  /// Keeps a gradient as it came.
  package func receive(_ frame: Frame, as handle: GradientHandle) {
    gradients[handle] = .received(frame)
  }

  /// Lets go of a gradient.
  package func release(_ handle: GradientHandle) {
    gradients[handle] = nil
  }

  /// Adds two gradients of one length: left + right, element by element.
  package func combine(left: GradientHandle, right: GradientHandle, into sum: GradientHandle) {
    withBytes(of: left) { left in
      withBytes(of: right) { right in
        precondition(left.count == right.count, "gradients of \(left.count) and \(right.count) bytes")
        let count = left.count / MemoryLayout<Float>.stride
        let vector = sums[count, default: VectorPool(count: count)].take()
        vector.setSum(left, right)
        gradients[sum] = .sum(vector)
      }
    }
  }

  private func withBytes(of handle: GradientHandle, _ body: (UnsafeRawBufferPointer) -> Void) {
    switch gradients[handle] {
    case .received(let frame): frame.withBytes(body)
    case .sum(let vector): vector.withBytes(of: 0..<vector.count, body)
    case nil: preconditionFailure("gradient \(handle.rawValue) is not held")
    }
  }

  /// Makes an ordered update and lets go of its gradient.
  package func apply(_ order: ApplyOrder) {
    guard var chunk = chunks[order.chunk] else { preconditionFailure("chunk \(order.chunk) is not held") }
    chunks[order.chunk] = nil
    let next = chunk.pool.take()
    chunk.updates += 1
    withBytes(of: order.gradient) { gradient in
      precondition(gradient.count == next.count * MemoryLayout<Float>.stride, "a gradient of another chunk's size")
      switch rules.chunks.kind(of: order.chunk) {
      case .parameters: optimize(&chunk, to: next, by: gradient, order)
      case .buffers:
        statistics.update(
          with: gradient, shards: order.shards, consistency: rules.consistency,
          range: rules.chunks.range(of: order.chunk), from: chunk.values, to: next)
      }
    }
    chunk.values = next
    chunk.version = order.version
    chunks[order.chunk] = chunk
    release(order.gradient)
  }

  private func optimize(
    _ chunk: inout Chunk, to next: FlatVector, by gradient: UnsafeRawBufferPointer, _ order: ApplyOrder
  ) {
    let rate = schedule.rate(base: baseRate, step: order.step, totalSteps: rules.steps, warmupSteps: warmupSteps)
    let state = chunk.state(of: isStatePerWorker ? order.worker ?? 0 : 0, for: optimizer)
    optimizer.apply(
      gradient: gradient.baseAddress!, scale: 1 / Float(order.samples), learningRate: rate, update: chunk.updates,
      from: UnsafePointer(chunk.values.pointer), to: next.pointer, state: state, stateRange: 0..<next.count)
  }

  /// A chunk's parameters or buffers as a payload, not copied.
  package func payload(_ parameters: Parameters) -> Frame {
    guard let chunk = chunks[Int(parameters.chunk)], chunk.version == parameters.version else {
      preconditionFailure("version \(parameters.version) of chunk \(parameters.chunk) is not held")
    }
    return chunk.values.frame(of: 0..<chunk.values.count)
  }
}

extension Optimizer {
  /// Whether each worker has a state of its own outside sync mode. Running means of squares are of the gradients, whoever
  /// computed them: one serves all.
  fileprivate var keepsStatePerWorker: Bool {
    if case .sgd = self { true } else { false }
  }

  /// What servers update with outside sync mode: for SGD Nesterov's form of momentum, with a velocity for each worker.
  ///
  /// A velocity that all share is stable only up to a learning rate that is smaller by a factor of 2(1 + μ)/(1 − μ) when
  /// gradients are one update late: 38 for a momentum of 0.9, and LeNet diverges within a few steps on two workers. With
  /// one for each worker, Nesterov's form hands a worker the parameters as the others' momentum will have moved them
  /// (Hakimi et al., "Taming momentum in a distributed asynchronous environment", 2019: DANA).
  fileprivate var forStaleGradients: Optimizer {
    guard case .sgd(let sgd) = self else { return self }
    return .sgd(SGD(momentum: sgd.momentum, nesterov: sgd.momentum > 0, weightDecay: sgd.weightDecay))
  }
}

/// How servers update: what the job says of optimiser and schedule, and the network of its buffers.
package struct UpdateSettings: Sendable {
  /// The optimiser.
  package let optimizer: Optimizer
  /// What moves the buffers.
  package let statistics: RunningStatistics
  /// How the learning rate changes.
  package let schedule: LearningRateSchedule
  /// The learning rate that the schedule starts from.
  package let learningRate: Double
  /// Steps of linear warm-up.
  package let warmupSteps: Int

  /// Settings of these values.
  package init(
    optimizer: Optimizer, statistics: RunningStatistics, schedule: LearningRateSchedule, learningRate: Double,
    warmupSteps: Int
  ) {
    self.optimizer = optimizer
    self.statistics = statistics
    self.schedule = schedule
    self.learningRate = learningRate
    self.warmupSteps = warmupSteps
  }
}

extension FlatVector {
  /// The bytes of a range as a payload: not copied, the vector lives until the last reader let go.
  func frame(of range: Range<Int>) -> Frame {
    withBytes(of: range) { Frame(keeping: self, bytes: $0) }
  }
}

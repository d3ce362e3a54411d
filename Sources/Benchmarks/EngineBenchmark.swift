public import Engines
public import Networks
import Tensors

/// Times whole training steps of a network on an engine: forward, backward and SGD with momentum.
public struct EngineBenchmark {
  /// What was found.
  public struct Result: Hashable, Sendable {
    /// Images a second of the median step.
    public let imagesPerSecond: Double
    /// Images a second of the fastest step.
    public let bestImagesPerSecond: Double
    /// Steps that were timed.
    public let steps: Int
    /// What the parts of a step took at the median, in the order of the step; the optimiser's update last.
    public let parts: [PlanPart]
  }

  private let network: Network
  private let engine: any Engine
  private let batch: Int
  private let threads: Int

  /// A benchmark of a network for a batch size.
  public init(_ network: Network, engine: any Engine, batch: Int, threads: Int) {
    precondition(batch > 0 && threads > 0, "\(batch) samples on \(threads) threads")
    self.network = network
    self.engine = engine
    self.batch = batch
    self.threads = threads
  }

  /// Runs for about as long as said, and for at least three steps after two that are not timed.
  ///
  /// - Parameter profiled: whether the parts are timed as well, in steps of their own.
  public func run(for duration: Duration, profiled: Bool) throws(EngineError) -> Result {
    let plan = try engine.compile(network, batch: batch, threads: threads, purpose: .training(seed: 1))
    let parameters = network.initialParameters(seed: 1)
    let gradient = FlatVector(count: parameters.count)
    let velocity = FlatVector(count: parameters.count)
    let samples = makeBatch()
    let optimizer = SGD(momentum: 0.9, weightDecay: 1e-4)
    func update() {
      // A rate of almost nothing, so that a batch of noise does not make the weights diverge.
      optimizer.apply(
        gradient: gradient, scale: 1 / Float(batch), learningRate: 1e-6, parameters: parameters, velocity: velocity,
        range: 0..<parameters.count)
    }
    let clock = ContinuousClock()
    var durations: [Duration] = []
    let end = clock.now + duration
    for step in 0... {
      let begin = clock.now
      _ = try plan.step(samples, parameters: parameters, gradient: gradient, onFinal: { _ in })
      update()
      if step >= 2 { durations.append(clock.now - begin) }
      if durations.count >= 3, clock.now >= end { break }
    }
    durations.sort()
    var parts: [PlanPart] = []
    if profiled {
      var runs: [[PlanPart]] = []
      for _ in 0..<max(3, min(50, durations.count / 4)) {
        let parts = try plan.profile(samples, parameters: parameters, gradient: gradient)
        let middle = clock.now
        update()
        runs.append(
          parts + [PlanPart(purpose: "SGD", implementation: "convoy", duration: clock.now - middle)])
      }
      parts = Self.medians(runs)
    }
    return Result(
      imagesPerSecond: Double(batch) / durations[durations.count / 2].seconds,
      bestImagesPerSecond: Double(batch) / durations[0].seconds, steps: durations.count, parts: parts)
  }

  private static func medians(_ runs: [[PlanPart]]) -> [PlanPart] {
    guard let first = runs.first else { return [] }
    return first.indices.map { index in
      let durations = runs.map { $0[index].duration }.sorted()
      return PlanPart(
        purpose: first[index].purpose, implementation: first[index].implementation,
        duration: durations[durations.count / 2])
    }
  }

  private func makeBatch() -> Batch {
    let samples = Batch(capacity: batch, sampleShape: network.inputShape)
    for index in 0..<batch {
      let random = CounterRandom(1, UInt64(index))
      samples.append(sample: index, label: Int32(index % network.classes)) { span in
        for element in span.indices { span[element] = Float(random.normal(at: UInt64(element))) }
      }
    }
    return samples
  }
}

extension Duration {
  /// Seconds, with what is left of one.
  public var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

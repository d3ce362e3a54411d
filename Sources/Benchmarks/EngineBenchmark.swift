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
    /// Images a second of the library's primitives alone, one after the other; nil where that was not asked for, or the
    /// engine has none.
    public let bareImagesPerSecond: Double?
    /// What each layer took at the median; the optimiser's update last. Empty where that was not asked for.
    public let layers: [LayerTime]
    /// What the plan consists of.
    public let description: PlanDescription
  }

  /// What is measured besides whole steps.
  public struct Extras: OptionSet, Sendable {
    public let rawValue: Int

    /// Extras of these bits.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// What each part of a step takes, in steps of their own.
    public static let layers = Extras(rawValue: 1)
    /// The library's primitives without anything else, in turn with whole steps.
    public static let bare = Extras(rawValue: 2)
  }

  private let network: Network
  private let engine: any Engine
  private let batch: Int
  private let options: CompileOptions

  /// A benchmark of a network for a batch size.
  public init(_ network: Network, engine: any Engine, batch: Int, options: CompileOptions) {
    precondition(batch > 0, "\(batch) samples")
    self.network = network
    self.engine = engine
    self.batch = batch
    self.options = options
  }

  /// Runs for about as long as said, and for at least three steps after two that are not timed.
  public func run(for duration: Duration, extras: Extras = []) throws(EngineError) -> Result {
    let plan = try engine.compile(network, batch: batch, options: options)
    let parameters = network.initialParameters(seed: 1)
    let gradient = FlatVector(count: parameters.count)
    let samples = makeBatch()
    let update = SharedUpdate(
      parameters: parameters, gradient: gradient, scale: 1 / Float(batch), threads: options.threads)
    let clock = ContinuousClock()
    var durations: [Duration] = []
    var bareDurations: [Duration] = []
    let end = clock.now + duration
    for step in 0... {
      let begin = clock.now
      _ = try plan.step(samples, parameters: parameters, gradient: gradient, onFinal: { _ in })
      update.run()
      let middle = clock.now
      if step >= 2 { durations.append(middle - begin) }
      if extras.contains(.bare), try plan.runBare(samples, parameters: parameters, gradient: gradient), step >= 2 {
        bareDurations.append(clock.now - middle)
      }
      if durations.count >= 3, clock.now >= end { break }
    }
    let description = try plan.description()
    var layers: [LayerTime] = []
    if extras.contains(.layers) {
      var runs: [[PlanPart]] = []
      for _ in 0..<max(3, min(50, durations.count / 4)) {
        let parts = try plan.profile(samples, parameters: parameters, gradient: gradient)
        let begin = clock.now
        update.run()
        runs.append(parts + [PlanPart(purpose: "SGD", implementation: "convoy", duration: clock.now - begin)])
      }
      layers = LayerTime.gather(Self.medians(runs), description)
    }
    return Result(
      imagesPerSecond: Double(batch) / median(durations), bestImagesPerSecond: Double(batch) / durations.min()!.seconds,
      steps: durations.count, bareImagesPerSecond: bareDurations.isEmpty ? nil : Double(batch) / median(bareDurations),
      layers: layers, description: description)
  }

  private func median(_ durations: [Duration]) -> Double { durations.sorted()[durations.count / 2].seconds }

  private static func medians(_ runs: [[PlanPart]]) -> [PlanPart] {
    guard let first = runs.first else { return [] }
    return first.indices.map { index in
      let durations = runs.map { $0[index].duration }.sorted()
      return PlanPart(
        layer: first[index].layer, purpose: first[index].purpose, implementation: first[index].implementation,
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

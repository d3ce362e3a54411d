import Benchmarks
import Engines
import Networks
import Tensors
import Testing

/// What `convoy benchmark engine` is made of; what it finds is nothing that a test could know.
@Suite struct EngineBenchmarkTests {
  @Test(arguments: 1...4) func aSharedUpdateHasTheBitsOfOne(threads: Int) {
    let count = 300_001
    let random = CounterRandom(4)
    let values = (0..<2 * count).map { Float(random.normal(at: UInt64($0))) }
    let (expected, actual) = (FlatVector(Array(values[..<count])), FlatVector(Array(values[..<count])))
    let gradient = FlatVector(Array(values[count...]))
    let velocity = FlatVector(count: count)
    let update = SharedUpdate(parameters: actual, gradient: gradient, scale: 0.25, threads: threads)
    for _ in 0..<3 {
      SGD(momentum: 0.9, weightDecay: 1e-4).apply(
        gradient: gradient, scale: 0.25, learningRate: 1e-6, parameters: expected, velocity: velocity, range: 0..<count)
      update.run()
    }
    #expect(expected.array.map(\.bitPattern) == actual.array.map(\.bitPattern))
    #expect(expected.array != Array(values[..<count]))
  }

  @Test func aPeakIsMeasured() {
    let one = PeakMeasurement.run(threads: 1, for: .milliseconds(1)).operationsPerSecond
    #expect(one > 1e8 && one.isFinite)
    #expect(PeakMeasurement.run(threads: 2, for: .milliseconds(1)).operationsPerSecond.isFinite)
    #expect(ProcessMemory.peakResidentBytes > 1 << 20)
  }

  @Test(arguments: Engines.names) func layersAreTimed(_ name: String) throws {
    let network = Catalogue.lenet
    let engine = try #require(Engines.engine(named: name))
    let benchmark = EngineBenchmark(
      network, engine: engine, batch: 3, options: CompileOptions(threads: 2, purpose: .training(seed: 1)))
    let result = try benchmark.run(for: .milliseconds(1), extras: [.layers, .bare])
    #expect(result.steps >= 3)
    #expect(result.imagesPerSecond > 0 && result.bestImagesPerSecond >= result.imagesPerSecond)
    #expect((result.bareImagesPerSecond != nil) == (name == "onednn"))
    let summary = network.summary
    // Each layer with products has the passes that training needs; the first needs no gradient of its input.
    for (layer, passes) in [("conv1", 2), ("conv2", 3), ("fc1", 3), ("fc2", 3)] {
      let time = try #require(result.layers.first { $0.layer == layer })
      let macs = try #require(summary.first { $0.name == layer }).macs
      #expect(time.operations == 2 * passes * macs * 3, "\(layer)")
      #expect(time.duration > .zero)
    }
    #expect(result.layers.last?.layer == "SGD")
  }

  @Test func comparedNetworksAreKnownOnBothSides() throws {
    for compared in ComparedNetwork.all {
      #expect(Catalogue.network(named: compared.name) != nil)
      #expect(TorchScript.text.contains("\"\(compared.name)\": ("))
      #expect(ComparedNetwork.named(compared.name, batch: 3)?.batch == 3)
    }
    #expect(ComparedNetwork.named("lenet-5", batch: nil) == nil)
    for variant in TorchScript.Variant.allCases where variant != .fp32 {
      #expect(variant.rawValue.hasSuffix("channels-last"))
    }
  }
}

import Engines
import Foundation
import Networks
import Tensors
import Testing

/// Plans that keep to a limit of memory.
@Suite struct MemoryLimitTests {
  private static let mixed = PlanTests.networks.first { $0.name == "mixed" }!

  /// Large activations, few parameters, no batch normalisation.
  private static let thin = try! Network("thin", input: [3, 24, 24]) {
    Convolution("conv1", channels: 16, kernel: 3, padding: 1)
    ReLU("relu1")
    Convolution("conv2", channels: 16, kernel: 3, padding: 1)
    Tanh("tanh")
    Dropout("dropout", 0.3)
    Convolution("conv3", channels: 16, kernel: 3, padding: 1)
    Addition("sum", of: ["conv3", "tanh"])
    ReLU("relu3")
    GlobalPooling("pool")
    FullyConnected("fc", 5)
    SoftmaxCrossEntropy("loss")
  }

  /// Shortcuts with a convolution and a normalisation of their own, as ResNet-50 has them.
  private static let projected = try! Network("projected", input: [3, 16, 16]) {
    Convolution("conv", channels: 16, kernel: 3, padding: 1, bias: false)
    BatchNormalization("norm")
    ReLU("relu")
    for block in 1...3 {
      let input = block == 1 ? "relu" : "relu\(block - 1)"
      Convolution("conv\(block)a", channels: 16, kernel: 3, padding: 1, bias: false, from: input)
      BatchNormalization("norm\(block)a")
      ReLU("relu\(block)a")
      Convolution("conv\(block)b", channels: 32, kernel: 3, padding: 1, bias: false)
      BatchNormalization("norm\(block)b")
      Convolution("conv\(block)c", channels: 32, kernel: 1, bias: false, from: input)
      BatchNormalization("norm\(block)c")
      Addition("sum\(block)", of: ["norm\(block)b", "norm\(block)c"])
      ReLU("relu\(block)")
    }
    GlobalPooling("pool")
    FullyConnected("fc", 5)
    SoftmaxCrossEntropy("loss")
  }

  private func plan(
    _ network: Network, on engine: any Engine, batch: Int, threads: Int = 1, limit: Int? = nil
  ) throws -> any Plan {
    try engine.compile(
      network, batch: batch,
      options: CompileOptions(threads: threads, purpose: .training(seed: 3), memoryLimit: limit))
  }

  /// A step's result and the bits of its gradient and its statistics, and the ranges in the order of their reports.
  private func step(
    _ plan: any Plan, _ network: Network, _ batch: Batch, parameters: FlatVector? = nil
  ) throws -> (result: StepResult, gradient: [Float], statistics: [UInt32], ranges: [Range<Int>]) {
    let gradient = FlatVector([Float](repeating: .nan, count: network.parameterLayout.count))
    let statistics = FlatVector([Float](repeating: .nan, count: network.bufferLayout.count))
    var ranges: [Range<Int>] = []
    let result = try plan.step(
      batch, parameters: parameters ?? network.initialParameters(seed: 1), gradient: gradient, statistics: statistics,
      onFinal: { ranges.append($0) })
    return (result, gradient.array, statistics.bits, ranges)
  }

  private func refusal(_ body: () throws -> Void) -> EngineError? {
    do { try body() } catch { return error as? EngineError }
    return nil
  }

  /// The least that a plan of a batch takes, as the refusal of an impossible limit says.
  private func least(_ network: Network, on engine: any Engine, batch: Int) throws -> Int {
    let error = refusal { _ = try plan(network, on: engine, batch: batch, limit: 1) }
    guard case .memory(_, let needed, bound: _, isMachine: false) = error else {
      Issue.record("\(String(describing: error))")
      return 0
    }
    return needed
  }

  #if OneDNN
    @Test(arguments: PlanTests.networks + [Catalogue.resnet20, projected, thin], [1, 2])
    func recomputedGradientsHaveTheSameBits(_ network: Network, threads: Int) throws {
      let engine = OneDNNEngine()
      let batch = makeBatch(network, count: 12)
      let whole = try plan(network, on: engine, batch: 12, threads: threads)
      let expected = try step(whole, network, batch)
      let full = try whole.description()
      #expect(full.recomputedLayers == 0)
      var recomputed: [Int] = []
      var limits = [0.999, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6].map { Int(Double(full.arenaBytes) * $0) }
      // Cut wherever it can be.
      if network.bufferLayout.count > 0 { limits.append(try least(network, on: engine, batch: 12)) }
      for limit in limits {
        guard let limited = try? plan(network, on: engine, batch: 12, threads: threads, limit: limit) else { continue }
        let description = try limited.description()
        // Where that does not suffice, parts of the batch are computed.
        guard description.partSamples == 12, description.recomputedLayers > 0 else { continue }
        #expect(description.arenaBytes <= limit)
        #expect(description.arenaBytes >= description.peakBytes)
        recomputed.append(description.recomputedLayers)
        let result = try step(limited, network, batch)
        #expect(result.result == expected.result)
        #expect(result.gradient.map(\.bitPattern) == expected.gradient.map(\.bitPattern))
        #expect(result.statistics == expected.statistics)
        #expect(result.ranges == expected.ranges)
      }
      // Of LeNet's small networks nothing is worth computing again.
      #expect(!recomputed.isEmpty || network.name.hasPrefix("lenet"))
    }

    @Test func recomputedGradientsHaveTheSameBitsInBFloat16() throws {
      let network = Self.thin
      var options = CompileOptions(threads: 2, purpose: .training(seed: 3), precision: .bf16)
      // Without AVX-512 the library has no such primitives.
      guard let whole = try? OneDNNEngine().compile(network, batch: 12, options: options) else { return }
      options.memoryLimit = try whole.description().arenaBytes * 19 / 20
      let limited = try OneDNNEngine().compile(network, batch: 12, options: options)
      #expect(try limited.description().recomputedLayers > 0)
      let batch = makeBatch(network, count: 12)
      let (expected, result) = (try step(whole, network, batch), try step(limited, network, batch))
      #expect(result.result == expected.result)
      #expect(result.gradient.map(\.bitPattern) == expected.gradient.map(\.bitPattern))
    }

    /// What it takes at least is what no recomputation makes smaller: most of it a layer's own passes and scratchpads.
    @Test func aResidualNetworkFitsMuchLess() throws {
      let full = try plan(Catalogue.resnet20, on: OneDNNEngine(), batch: 32).description().arenaBytes
      #expect(try least(Catalogue.resnet20, on: OneDNNEngine(), batch: 32) < full * 6 / 10)
    }

    @Test func whatIsRecomputedIsDescribed() throws {
      let network = Catalogue.resnet20
      let full = try plan(network, on: OneDNNEngine(), batch: 8).description()
      let limit = (full.arenaBytes + (try least(network, on: OneDNNEngine(), batch: 8))) / 2
      let limited = try plan(network, on: OneDNNEngine(), batch: 8, limit: limit).description()
      let again = limited.passes.filter { $0.kind == .recomputation }
      #expect(limited.recomputedLayers > 0 && limited.recomputedLayers < network.nodes.count)
      #expect(Set(again.map(\.layer)).count == limited.recomputedLayers)
      // What it costs is told too, but for the statistics, which are told once.
      #expect(again.reduce(0) { $0 + $1.operations } > 0)
      #expect(!again.contains { $0.purpose.hasSuffix("statistics") })
      #expect(limited.passes.filter { $0.kind != .recomputation }.count == full.passes.count)
    }

    @Test func whatNothingFitsIsRefusedInOneLine() throws {
      let network = Catalogue.resnet20
      let needed = try least(network, on: OneDNNEngine(), batch: 16)
      #expect(needed > 1 << 20)
      let error = try #require(refusal { _ = try plan(network, on: OneDNNEngine(), batch: 16, limit: needed - 1) })
      #expect(
        error.description
          == "a batch of 16 takes at least \(MemorySize(needed)); the memory limit is \(MemorySize(needed - 1)): use a smaller batch or a larger limit"
      )
      // What it says it needs is enough.
      #expect(try plan(network, on: OneDNNEngine(), batch: 16, limit: needed).description().arenaBytes == needed)
    }
  #endif

  #if OneDNN
    /// Nothing that LeNet keeps is worth computing again: its memory goes into gradients, which parts make smaller.
    @Test func lenetIsComputedInParts() throws {
      let network = Catalogue.lenet
      let whole = try plan(network, on: OneDNNEngine(), batch: 128, threads: 2)
      let limit = try whole.description().arenaBytes / 2
      let limited = try plan(network, on: OneDNNEngine(), batch: 128, threads: 2, limit: limit)
      #expect(try limited.description().partSamples < 64)
      let batch = makeBatch(network, count: 128)
      // Parts are other shapes, which the library may add up in another order.
      let parameters = try Decisions(network, batch: batch, seed: 3).widened(network.initialParameters(seed: 1))
      let expected = try step(whole, network, batch, parameters: parameters)
      let result = try step(limited, network, batch, parameters: parameters)
      #expect(result.result.correct == expected.result.correct)
      #expect(relativeDistance(result.gradient, expected.gradient) <= 1e-5)
    }
  #endif

  /// Networks without batch normalisation are computed in parts; what a part takes includes the gradient it is added from.
  @Test(arguments: Engines.names) func partsOfABatchAddUp(_ name: String) throws {
    let engine = Engines.engine(named: name)!
    let network = Self.thin
    let whole = try plan(network, on: engine, batch: 24)
    let least = try least(network, on: engine, batch: 24)
    let limit = least + (try whole.description().arenaBytes - least) / 8
    let limited = try plan(network, on: engine, batch: 24, limit: limit)
    let part = try limited.description().partSamples
    #expect(part < 24)
    #expect(limited.batch == 24)
    // Parts are other shapes, which a library may add up in another order. Fewer samples are the first of these.
    let decisions = Decisions(network, batch: makeBatch(network, count: 24), seed: 3)
    let parameters = try decisions.widened(network.initialParameters(seed: 1))
    for count in [24, 7, 1, 0] {
      let batch = makeBatch(network, count: count)
      let expected = try step(whole, network, batch, parameters: parameters)
      let result = try step(limited, network, batch, parameters: parameters)
      #expect(abs(result.result.lossSum - expected.result.lossSum) <= 1e-5 * abs(expected.result.lossSum))
      #expect(result.result.correct == expected.result.correct)
      #expect(result.result.samples == count)
      #expect(result.ranges == expected.ranges)
      if count > 0 { #expect(relativeDistance(result.gradient, expected.gradient) <= 1e-5) }
      if count <= part { #expect(result.gradient.map(\.bitPattern) == expected.gradient.map(\.bitPattern)) }
      let evaluated = try limited.evaluate(batch, parameters: parameters)
      #expect(evaluated.samples == count)
      // The same bits on a plan of another capacity with the same limit.
      let other = try step(plan(network, on: engine, batch: 40, limit: limit), network, batch, parameters: parameters)
      #expect(other.gradient.map(\.bitPattern) == result.gradient.map(\.bitPattern))
    }
  }

  @Test func batchNormalizationIsNotComputedInParts() throws {
    let network = PlanTests.networks.first { $0.name == "joined" }!
    let needed = try plan(network, on: OpenBLASEngine(), batch: 8).description().arenaBytes
    let error = refusal { _ = try plan(network, on: OpenBLASEngine(), batch: 8, limit: needed - 1) }
    #expect(error == .memory(samples: 8, needed: needed, bound: needed - 1, isMachine: false))
  }

  @Test(arguments: Engines.names) func whatTheMachineHasNoRoomForIsRefusedBeforeItIsTaken(_ name: String) throws {
    let engine = Engines.engine(named: name)!
    let error = try #require(refusal { _ = try plan(Catalogue.vgg16, on: engine, batch: 65_536) })
    guard case .memory(65_536, let needed, let bound, isMachine: true) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(needed > 1 << 40)
    #expect(bound > 0 && bound < needed)
    #expect(error.description.contains("this machine has \(MemorySize(bound)) left"))
  }

  @Test(
    arguments: [
      ("2GiB", 2 << 30), ("512 MiB", 512 << 20), ("1.5gb", 1_500_000_000), ("4096", 4096), ("1 B", 1),
      ("", nil), ("GiB", nil), ("2 GiBs", nil), ("0", nil), ("-1", nil), ("nan", nil), ("1e9", nil),
      ("99999999 TiB", nil),
    ] as [(String, Int?)])
  func sizesAreRead(_ text: String, _ bytes: Int?) {
    #expect(MemorySize(text)?.bytes == bytes)
  }

  @Test func sizesAreWritten() {
    let sizes = [1, 1023, 1024, 1536, 5 << 20, (1 << 30) + 1].map { MemorySize($0).description }
    #expect(sizes == ["1 B", "1023 B", "1 KiB", "1.5 KiB", "5 MiB", "1.01 GiB"])
  }
}

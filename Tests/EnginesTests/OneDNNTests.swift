#if OneDNN
  import Engines
  import Networks
  import Tensors
  import Testing

  /// The oneDNN engine beside the OpenBLAS engine, and what its library chose.
  @Suite struct OneDNNTests {
    private static let networks =
      PlanTests.networks.filter { !PlanTests.onlyOpenBLAS.contains($0.name) } + [
        try! Network("windows", input: [3, 15, 13]) {
          Convolution("strided", channels: 24, kernel: Extent(3, 5), stride: Extent(2, 1), padding: Extent(1, 2))
          Sigmoid("sigmoid")
          Convolution("dilated", channels: 32, kernel: 3, padding: 2, dilation: 2, bias: false)
          ReLU("relu1")
          MaxPooling("pool", 3, stride: 2, padding: 1)
          Convolution("grouped", channels: 48, kernel: 1, groups: 4)
          AveragePooling("mean", 3, stride: 1, padding: 1)
          Convolution("channels last", channels: 20, kernel: 2)
          ReLU("relu2")
          Flatten("flatten")
          FullyConnected("fc", 7, bias: false)
          SoftmaxCrossEntropy("loss")
        }
      ]

    private func step(
      _ engine: any Engine, _ network: Network, samples: Int, threads: Int
    ) throws -> (StepResult, FlatVector) {
      let plan = try engine.compile(network, batch: samples, threads: threads, purpose: .training(seed: 3))
      let gradient = FlatVector([Float](repeating: .nan, count: network.parameterLayout.count))
      let result = try plan.step(
        makeBatch(network, count: samples), parameters: network.initialParameters(seed: 2), gradient: gradient,
        onFinal: { _ in })
      return (result, gradient)
    }

    @Test(arguments: networks, [1, 2]) func agreesWithOpenBLAS(_ network: Network, threads: Int) throws {
      for samples in [1, 6, 33] {
        let (expected, reference) = try step(OpenBLASEngine(), network, samples: samples, threads: 1)
        let (result, gradient) = try step(OneDNNEngine(), network, samples: samples, threads: threads)
        #expect(abs(result.lossSum - expected.lossSum) <= 1e-5 * abs(expected.lossSum))
        #expect(result.correct == expected.correct)
        for entry in network.parameterLayout.entries {
          let distance = relativeDistance(Array(gradient.array[entry.range]), Array(reference.array[entry.range]))
          #expect(distance <= 1e-5, "\(entry.name), \(samples) samples")
        }
      }
    }

    /// Batch normalisation with and without a ReLU, sums, shortcuts that are padded with channels, global pooling.
    @Test func residualNetworksAgreeWithOpenBLAS() throws {
      let network = Catalogue.resnet20
      let parameters = network.initialParameters(seed: 2)
      let batch = makeBatch(network, count: 6)
      var results: [(StepResult, [Float], [Float], StepResult)] = []
      for engine in [OpenBLASEngine(), OneDNNEngine()] as [any Engine] {
        let plan = try engine.compile(network, batch: 6, threads: 2, purpose: .training(seed: 3))
        let gradient = FlatVector([Float](repeating: .nan, count: parameters.count))
        let statistics = FlatVector([Float](repeating: .nan, count: network.bufferLayout.count))
        let result = try plan.step(
          batch, parameters: parameters, gradient: gradient, statistics: statistics, onFinal: { _ in })
        // The batch's own statistics serve as running ones: another path to nearly the same loss.
        let evaluated = try plan.evaluate(batch, parameters: parameters, buffers: statistics)
        results.append((result, gradient.array, statistics.array, evaluated))
      }
      let (expected, actual) = (results[0], results[1])
      #expect(abs(actual.0.lossSum - expected.0.lossSum) <= 1e-4 * expected.0.lossSum)
      #expect(abs(actual.3.lossSum - expected.3.lossSum) <= 1e-4 * expected.3.lossSum)
      for entry in network.parameterLayout.entries {
        let distance = relativeDistance(Array(actual.1[entry.range]), Array(expected.1[entry.range]))
        #expect(distance <= 1e-4, "\(entry.name)")
      }
      for entry in network.bufferLayout.entries {
        let distance = relativeDistance(Array(actual.2[entry.range]), Array(expected.2[entry.range]))
        #expect(distance <= 1e-4, "\(entry.name)")
      }
    }

    /// Small batches and many outputs are where layouts of weights and activations differ most between passes.
    @Test(arguments: ["alexnet", "resnet-50"]) func largeNetworksCompute(_ name: String) throws {
      let network = try #require(Catalogue.network(named: name))
      let plan = try OneDNNEngine().compile(network, batch: 1, threads: 2, purpose: .training(seed: 1))
      let parts = try plan.profile(
        makeBatch(network, count: 1), parameters: FlatVector(count: network.parameterLayout.count),
        gradient: FlatVector(count: network.parameterLayout.count))
      for part in parts { #expect(!part.implementation.hasPrefix("ref"), "\(part.purpose)") }
    }

    @Test(arguments: networks, [1, 2]) func sameBytesInEachRun(_ network: Network, threads: Int) throws {
      let first = try step(OneDNNEngine(), network, samples: 33, threads: threads)
      for _ in 0..<3 {
        let again = try step(OneDNNEngine(), network, samples: 33, threads: threads)
        #expect(again.0 == first.0)
        #expect(again.1.bits == first.1.bits)
      }
    }

    /// Plain layouts fall to products of matrices without a word, ten times slower.
    @Test func noConvolutionFallsToAReferenceOrPlainProducts() throws {
      let network = Catalogue.lenet
      let plan = try OneDNNEngine().compile(network, batch: 64, threads: 1, purpose: .training(seed: 1))
      let parts = try plan.profile(
        makeBatch(network, count: 64), parameters: network.initialParameters(seed: 1),
        gradient: FlatVector(count: network.parameterLayout.count))
      let convolutions = parts.filter { $0.purpose.hasPrefix("conv") && !$0.purpose.hasSuffix("reorder") }
      #expect(
        convolutions.map(\.purpose) == [
          "conv1 forward", "conv2 forward", "conv2 weights' gradient", "conv2 input's gradient",
          "conv1 weights' gradient",
        ])
      for part in parts {
        #expect(!part.implementation.hasPrefix("ref"), "\(part.purpose)")
        #expect(!part.implementation.contains("gemm:"), "\(part.purpose)")
      }
    }
  }
#endif

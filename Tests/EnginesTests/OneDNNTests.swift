#if OneDNN
  import Engines
  import Networks
  import Tensors
  import Testing

  /// The oneDNN engine beside the OpenBLAS engine, and what its library chose.
  @Suite struct OneDNNTests {
    private static let networks =
      PlanTests.networks + [
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
      // One layer after another keeps the layers' 1e-5; deep graphs with normalisation have the networks' bound.
      let tolerance = network.bufferLayout.count == 0 ? 1e-5 : 1e-4
      for samples in [1, 6, 33] where samples > 1 || network.bufferLayout.count == 0 {
        let (expected, reference) = try step(OpenBLASEngine(), network, samples: samples, threads: 1)
        let (result, gradient) = try step(OneDNNEngine(), network, samples: samples, threads: threads)
        #expect(abs(result.lossSum - expected.lossSum) <= tolerance * abs(expected.lossSum))
        #expect(result.correct == expected.correct)
        for entry in network.parameterLayout.entries {
          let distance = relativeDistance(Array(gradient.array[entry.range]), Array(reference.array[entry.range]))
          #expect(distance <= tolerance, "\(entry.name), \(samples) samples")
        }
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
    @Test(arguments: ["lenet", "resnet-20", "alexnet", "vgg-16", "resnet-50"], [1, 2])
    func noConvolutionFallsToAReferenceOrPlainProducts(_ name: String, threads: Int) throws {
      let network = try #require(Catalogue.network(named: name))
      let convolutions = network.nodes.compactMap { node -> String? in
        if case .convolution = node.layer.kind { node.layer.name } else { nil }
      }
      for samples in [1, 4] where samples == 4 || threads == 2 {
        let plan = try OneDNNEngine().compile(network, batch: samples, threads: threads, purpose: .training(seed: 1))
        var passes: [String: String] = [:]
        for command in plan.commands {
          #expect(!command.implementation.hasPrefix("ref"), "\(command.purpose)")
          passes[command.purpose] = command.implementation
        }
        for (index, layer) in convolutions.enumerated() {
          for pass in ["forward", "weights' gradient"] + (index > 0 ? ["input's gradient"] : []) {
            let implementation = try #require(passes["\(layer) \(pass)"])
            #expect(!implementation.hasPrefix("gemm"), "\(layer) \(pass)")
          }
        }
      }
    }
  }
#endif

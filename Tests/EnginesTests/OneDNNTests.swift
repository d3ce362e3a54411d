#if OneDNN
  import Engines
  import Networks
  import Tensors
  import Testing

  /// The oneDNN engine beside the OpenBLAS engine, and what its library chose.
  @Suite struct OneDNNTests {
    private static let networks = PlanTests.networks + [EngineAgreementTests.windows]

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
      // With fewer instructions the library has nothing else for some passes, as for AlexNet's first layer with AVX2.
      guard OneDNNEngine.instructionSet.hasPrefix("avx512") else { return }
      let network = try #require(Catalogue.network(named: name))
      let convolutions = network.nodes.compactMap { node -> String? in
        if case .convolution = node.layer.kind { node.layer.name } else { nil }
      }
      for samples in [1, 4] where samples == 4 || threads == 2 {
        let plan = try OneDNNEngine().compile(network, batch: samples, threads: threads, purpose: .training(seed: 1))
        var passes: [String: String] = [:]
        for pass in try plan.description().passes {
          #expect(!pass.implementation.hasPrefix("ref"), "\(pass.purpose)")
          passes[pass.purpose] = pass.implementation
        }
        for (index, layer) in convolutions.enumerated() {
          for pass in ["forward", "weights' gradient"] + (index > 0 ? ["input's gradient"] : []) {
            let implementation = try #require(passes["\(layer) \(pass)"])
            #expect(!implementation.contains("gemm:"), "\(layer) \(pass): \(implementation)")
          }
        }
      }
    }
  }
#endif

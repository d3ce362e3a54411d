#if OneDNN
  import Engines
  import Networks
  import Tensors
  import Testing

  private let isBFloat16Computed =
    (try? OneDNNEngine().compile(
      Catalogue.lenet, batch: 1, options: CompileOptions(threads: 1, purpose: .inference, precision: .bf16))) != nil

  /// bf16 beside fp32, where the library computes it: with AVX-512, slowly where the processor has no instructions for it.
  @Suite(.enabled(if: isBFloat16Computed)) struct BFloat16Tests {
    private struct Numbers {
      let step: StepResult
      let gradient: [Float]
      let statistics: [Float]
      let evaluation: StepResult
    }

    private func numbers(
      _ network: Network, samples: Int, _ precision: Precision, threads: Int = 2, isPictures: Bool = false,
      parameters given: FlatVector? = nil
    ) throws -> Numbers {
      let engine = OneDNNEngine()
      let batch = makeBatch(network, count: samples)
      if isPictures { Self.draw(batch) }
      let parameters = given ?? network.initialParameters(seed: 2)
      let plan = try engine.compile(
        network, batch: samples,
        options: CompileOptions(threads: threads, purpose: .training(seed: 5), precision: precision))
      let gradient = FlatVector([Float](repeating: .nan, count: parameters.count))
      let statistics = FlatVector([Float](repeating: .nan, count: network.bufferLayout.count))
      let step = try plan.step(
        batch, parameters: parameters, gradient: gradient, statistics: statistics, onFinal: { _ in })
      return Numbers(
        step: step, gradient: gradient.array, statistics: statistics.array,
        evaluation: try plan.evaluate(batch, parameters: parameters, buffers: statistics))
    }

    /// Smooth patterns, one for each label, with some noise: samples of a class pull the same way, as those of real data.
    private static func draw(_ batch: Batch) {
      let count = batch.sampleShape.count
      batch.inputs.withMutableSpan { span in
        for sample in 0..<batch.count {
          let label = Int(batch.labelPointer[sample])
          for element in 0..<count {
            let wave = ((element / 7 * (label + 2) + element % 28 * (label % 5)) % 32 - 16)
            span[sample * count + element] = 0.3 * span[sample * count + element] + Float(wave) / 12
          }
        }
      }
    }

    private func product(_ left: some Sequence<Float>, _ right: some Sequence<Float>) -> Double {
      zip(left, right).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    }

    private func norm(_ values: some Sequence<Float>) -> Double {
      values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    }

    static let layers =
      LayerGradientTests.windows + LayerGradientTests.channelwise + LayerGradientTests.graphs + GradientTests.networks

    /// ‖a − b‖₂ ≤ 2e-2 · ‖b‖₂ for the gradient, the loss and the statistics of networks of a layer or two, where bf16's
    /// rounding changes no decision.
    @Test(arguments: layers) func layersAgreeWithFP32(_ network: Network) throws {
      // The errors are those of one rounding of each number, not of sums: a normal distribution's four deviations.
      let decisions = Decisions(
        network, batch: makeBatch(network, count: 5), termError: Decisions.bf16, width: 4)
      let parameters = try decisions.widened(network.initialParameters(seed: 2))
      let expected = try numbers(network, samples: 5, .fp32, parameters: parameters)
      let actual = try numbers(network, samples: 5, .bf16, parameters: parameters)
      #expect(abs(actual.step.lossSum - expected.step.lossSum) <= 2e-2 * abs(expected.step.lossSum))
      #expect(abs(actual.evaluation.lossSum - expected.evaluation.lossSum) <= 2e-2 * abs(expected.evaluation.lossSum))
      let distance = norm(zip(actual.gradient, expected.gradient).map { $0 - $1 })
      #expect(distance <= 2e-2 * norm(expected.gradient), "\(distance / norm(expected.gradient))")
      let apart = norm(zip(actual.statistics, expected.statistics).map { $0 - $1 })
      #expect(apart <= 2e-2 * norm(expected.statistics))
    }

    @Test func maximaAndReLUsAgreeOnExactNumbers() throws {
      let network = try Network("ordering", input: [2, 8, 8]) {
        Convolution("conv1", channels: 16, kernel: 3, padding: 1)
        MaxPooling("pool1", 3, stride: 2)
        Convolution("conv2", channels: 16, kernel: 1)
        ReLU("relu")
        MaxPooling("pool2", 2, stride: 1)
        FullyConnected("fc", 4)
        SoftmaxCrossEntropy("loss")
      }
      let batch = makeBatch(network, count: 4)
      let inputs = integers(batch.inputs.count, bound: 1, seed: 3)
      batch.inputs.withMutableSpan { span in for index in inputs.indices { span[index] = inputs[index] } }
      let parameters = network.initialParameters(seed: 2)
      parameters.withMutableSpan { span in
        for name in ["conv1", "conv2"] {
          for tensor in ["weight", "bias"] {
            let range = network.parameterLayout["\(name).\(tensor)"]!.range
            let whole = integers(range.count, bound: 1, seed: UInt64(range.lowerBound))
            for (index, value) in zip(range, whole) { span[index] = value }
          }
        }
        // Small enough for a softmax of sums of dozens.
        for index in network.parameterLayout["fc.weight"]!.range { span[index] *= 0.02 }
      }
      let gradients = try [Precision.fp32, .bf16].map { precision in
        let plan = try OneDNNEngine().compile(
          network, batch: 4, options: CompileOptions(threads: 2, purpose: .training(seed: 5), precision: precision))
        let gradient = FlatVector([Float](repeating: .nan, count: parameters.count))
        _ = try plan.step(batch, parameters: parameters, gradient: gradient, onFinal: { _ in })
        return gradient.array
      }
      #expect(relativeDistance(gradients[1], gradients[0]) <= 2e-2)
    }

    @Test(arguments: [(Catalogue.lenet, 64), (Catalogue.resnet20, 256), (Catalogue.alexnet, 2)])
    func gradientsOfNetworksPointTheSameWay(_ network: Network, samples: Int) throws {
      let expected = try numbers(network, samples: samples, .fp32, isPictures: true)
      let actual = try numbers(network, samples: samples, .bf16, isPictures: true)
      let cosine =
        product(actual.gradient, expected.gradient) / (norm(actual.gradient) * norm(expected.gradient))
      #expect(cosine >= 0.999, "\(network.name): \(cosine)")

      // It is bf16 that was computed.
      #expect(actual.gradient != expected.gradient)
    }

    @Test func theSameThreadsGiveTheSameBytes() throws {
      for threads in [1, 2] {
        let first = try numbers(Catalogue.resnet20, samples: 6, .bf16, threads: threads)
        let second = try numbers(Catalogue.resnet20, samples: 6, .bf16, threads: threads)
        #expect(first.gradient.map(\.bitPattern) == second.gradient.map(\.bitPattern))
        #expect(first.statistics.map(\.bitPattern) == second.statistics.map(\.bitPattern))
      }
    }

    @Test func theOtherEngineRefusesIt() throws {
      let error = #expect(throws: EngineError.self) {
        try OpenBLASEngine().compile(
          Catalogue.lenet, batch: 1, options: CompileOptions(threads: 1, purpose: .inference, precision: .bf16))
      }
      #expect(error?.description == "the openblas engine computes in fp32 only, not in bf16")
    }
  }
#endif

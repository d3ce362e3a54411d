#if OneDNN
  import COneDNN
  import Networks
  import Tensors

  extension GraphCompiler {
    /// What a batch normalisation's passes share.
    private struct Normalization {
      let name: String
      let epsilon: Float
      let flags: UInt32
      let weights: Range<Int>
      let bias: Range<Int>
      let perChannel: TensorLayout
    }

    /// Batch normalisation with a following ReLU: the batch's own statistics in training, the running ones otherwise.
    func addBatchNormalization(
      _ layer: BatchNormalization, _ node: Network.Node, _ source: Tensor, hasReLU: Bool
    ) throws(EngineError) -> (Tensor, Backward?) {
      guard let weights = range(of: "weight", node), let bias = range(of: "bias", node) else {
        preconditionFailure("a normalisation without parameters")
      }
      if let extents = try BlockedExtents(source) {
        let normalization = try BlockedNormalization(
          node.layer.name, extents, epsilon: layer.epsilon, hasReLU: hasReLU, weights: weights.lowerBound,
          biases: bias.lowerBound, source: source, residual: nil, compiler: self)
        return (normalization.output, addForward(normalization, node))
      }
      let flags = [dnnl_use_scale, dnnl_use_shift] + (hasReLU ? [dnnl_fuse_norm_relu] : [])
      let normalization = Normalization(
        name: node.layer.name, epsilon: Float(layer.epsilon), flags: flags.reduce(0) { $0 | UInt32($1.rawValue) },
        weights: weights, bias: bias, perChannel: try TensorLayout(plain: [source.extents[1]]))
      return isForTraining
        ? try addTrainedNormalization(normalization, node, source)
        : (try addRunningNormalization(normalization, node, source), nil)
    }

    /// A batch normalisation and the sum that alone reads it, with a following ReLU.
    ///
    /// - Parameter index: the sum's; `sources` are what it reads, of which the normalisation's is not there yet.
    func addNormalizedSum(
      _ normalizationIndex: Int, index: Int, _ node: Network.Node, _ sources: [Tensor], hasReLU: Bool
    ) throws(EngineError) -> (Tensor, Backward?) {
      let normalized = network.nodes[normalizationIndex]
      guard case .batchNormalization(let layer) = normalized.layer.kind,
        let position = node.inputs.firstIndex(of: normalizationIndex),
        let weights = range(of: "weight", normalized), let bias = range(of: "bias", normalized)
      else { preconditionFailure("a sum of no normalisation") }
      let source = try input(of: normalized)
      guard let extents = try BlockedExtents(source) else {
        let (output, backward) = try addBatchNormalization(layer, normalized, source, hasReLU: false)
        setLate(output, backward, of: normalizationIndex)
        var sources = sources
        sources[position] = output
        return try addAddition(node, sources, hasReLU: hasReLU)
      }
      let residual = try reordered(sources[1 - position], to: source.layout, "\(node.layer.name) residual")
      let normalization = try BlockedNormalization(
        normalized.layer.name, extents, epsilon: layer.epsilon, hasReLU: hasReLU, weights: weights.lowerBound,
        biases: bias.lowerBound, source: source, residual: residual, compiler: self)
      if hasReLU { addsGradients(of: index + 1) }
      let (other, input) = (node.inputs[1 - position], normalized)
      let backward = addForward(normalization, input, residual: other, sum: hasReLU ? index : nil)
      return (normalization.output, backward)
    }

    /// Adds the forward pass; returns what the backward pass does.
    ///
    /// - Parameters:
    ///   - residual: the layer whose output is added.
    ///   - sum: the layer whose second gradient the backward pass adds itself.
    private func addForward(
      _ normalization: BlockedNormalization, _ node: Network.Node, residual: Int? = nil, sum: Int? = nil
    ) -> Backward? {
      let buffers = buffers(of: node)
      normalization.addForward(
        self, running: isForTraining ? nil : (buffers.means.lowerBound, buffers.variances.lowerBound))
      guard isForTraining else { return nil }
      if !isRecomputing {
        normalization.addStatistics(self, means: buffers.means.lowerBound, variances: buffers.variances.lowerBound)
      }
      return { compiler, given throws(EngineError) in
        let layout = normalization.output.layout
        let gradient = try compiler.reordered(given, to: layout, "\(normalization.name) gradient")
        var other: Tensor?
        if let sum, let second = compiler.otherGradient(of: sum) {
          other = try compiler.reordered(second, to: layout, "\(normalization.name) gradient")
        }
        func place() -> Tensor {
          gradient.isShared ? compiler.makeTensor(gradient.extents, gradient.layout) : gradient
        }
        let isMaskKept = normalization.residual != nil && compiler.needsGradient(residual)
        let masked = isMaskKept ? place() : nil
        let result = isMaskKept ? compiler.makeTensor(gradient.extents, gradient.layout) : place()
        normalization.addBackward(compiler, gradient: gradient, other: other, masked: masked, result: result)
        compiler.markFinal(normalization.weights..<normalization.biases + normalization.extents.channels)
        if let masked { try compiler.deliver(masked, to: residual) }
        try compiler.deliver(result, to: node.input)
      }
    }

    private func scaleAndShift(_ normalization: Normalization) -> [PrimitiveCommand.Argument] {
      [
        .init(
          index: DNNL_ARG_SCALE, layout: normalization.perChannel,
          place: .parameters(normalization.weights.lowerBound)),
        .init(
          index: DNNL_ARG_SHIFT, layout: normalization.perChannel, place: .parameters(normalization.bias.lowerBound)),
      ]
    }

    private func addRunningNormalization(
      _ normalization: Normalization, _ node: Network.Node, _ source: Tensor
    ) throws(EngineError) -> Tensor {
      let flags = normalization.flags | UInt32(dnnl_use_global_stats.rawValue)
      let descriptor = try PrimitiveDescriptor("compute normalisation \(normalization.name)") {
        convoy_dnnl_batch_normalization_forward(
          $0, $1, dnnl_forward_inference, source.layout.handle, normalization.epsilon, flags, $2)
      }
      let output = makeTensor(source.extents, source.layout)
      let (means, variances) = buffers(of: node)
      try emit(
        "\(normalization.name) forward", descriptor,
        [
          source.argument(DNNL_ARG_SRC), output.argument(DNNL_ARG_DST),
          .init(index: DNNL_ARG_MEAN, layout: normalization.perChannel, place: .buffers(means.lowerBound)),
          .init(index: DNNL_ARG_VARIANCE, layout: normalization.perChannel, place: .buffers(variances.lowerBound)),
        ] + scaleAndShift(normalization))
      return output
    }

    private func buffers(of node: Network.Node) -> (means: Range<Int>, variances: Range<Int>) {
      func range(_ buffer: String) -> Range<Int> {
        let name = "\(node.layer.name).\(buffer)"
        guard let entry = network.bufferLayout.entries.first(where: { $0.name == name }) else {
          preconditionFailure("a normalisation without \(buffer)")
        }
        return entry.range
      }
      return (range("running_mean"), range("running_var"))
    }

    private func addTrainedNormalization(
      _ normalization: Normalization, _ node: Network.Node, _ source: Tensor
    ) throws(EngineError) -> (Tensor, Backward?) {
      let forward = try PrimitiveDescriptor("compute normalisation \(normalization.name)") {
        convoy_dnnl_batch_normalization_forward(
          $0, $1, dnnl_forward_training, source.layout.handle, normalization.epsilon, normalization.flags, $2)
      }
      let output = makeTensor(source.extents, source.layout)
      let mean = try makePlainTensor([source.extents[1]])
      let variance = try makePlainTensor([source.extents[1]])
      let workspace = try forward.optionalLayout(dnnl_query_workspace_md).map { makeTensor([], $0) }
      let saved = [mean.argument(DNNL_ARG_MEAN), variance.argument(DNNL_ARG_VARIANCE)]
      let kept = workspace.map { [$0.argument(DNNL_ARG_WORKSPACE)] } ?? []
      try emit(
        "\(normalization.name) forward", forward,
        [source.argument(DNNL_ARG_SRC), output.argument(DNNL_ARG_DST)] + saved + scaleAndShift(normalization) + kept)
      tellStatistics(node, mean, variance, elements: source.extents.reduce(1, *) / source.extents[1])
      return (
        output,
        { compiler, gradient throws(EngineError) in
          try compiler.addNormalizationBackward(
            normalization, node, source, compiler.reordered(gradient, to: output.layout, normalization.name), forward,
            saved + kept)
        }
      )
    }

    /// Writes a batch's mean and unbiased variance where the step wants them.
    private func tellStatistics(_ node: Network.Node, _ mean: Tensor, _ variance: Tensor, elements: Int) {
      if isRecomputing { return }
      let (means, variances) = buffers(of: node)
      // One element has no unbiased variance; its biased one is 0.
      let correction = elements > 1 ? Float(elements) / Float(elements - 1) : 1
      emit("\(node.layer.name) statistics", uses: [mean, variance]) { state in
        if let statistics = state.statistics {
          let (mean, variance) = (state.address(mean.place), state.address(variance.place))
          for channel in 0..<means.count {
            statistics[means.lowerBound + channel] = mean[channel]
            statistics[variances.lowerBound + channel] = variance[channel] * correction
          }
        }
      }
    }

    private func addNormalizationBackward(
      _ normalization: Normalization, _ node: Network.Node, _ source: Tensor, _ gradient: Tensor,
      _ forward: PrimitiveDescriptor, _ saved: [PrimitiveCommand.Argument]
    ) throws(EngineError) {
      let descriptor = try PrimitiveDescriptor("compute the gradient of normalisation \(normalization.name)") {
        convoy_dnnl_batch_normalization_backward(
          $0, $1, gradient.layout.handle, source.layout.handle, normalization.epsilon, normalization.flags,
          forward.handle, $2)
      }
      let result = gradient.isShared ? makeTensor(source.extents, gradient.layout) : gradient
      // The 2.x library wants the shift as well, although no gradient depends on it; 3.x refuses it.
      let read = OneDNN.majorVersion >= 3 ? [scaleAndShift(normalization)[0]] : scaleAndShift(normalization)
      let parameters: [PrimitiveCommand.Argument] =
        read + [
          .init(
            index: DNNL_ARG_DIFF_SCALE, layout: normalization.perChannel,
            place: .gradient(normalization.weights.lowerBound)),
          .init(
            index: DNNL_ARG_DIFF_SHIFT, layout: normalization.perChannel,
            place: .gradient(normalization.bias.lowerBound)),
        ]
      try emit(
        "\(normalization.name) gradient", descriptor,
        [
          source.argument(DNNL_ARG_SRC), gradient.argument(DNNL_ARG_DIFF_DST), result.argument(DNNL_ARG_DIFF_SRC),
        ] + saved + parameters)
      markFinal(normalization.weights.lowerBound..<normalization.bias.upperBound)
      try deliver(result, to: node.input)
    }
  }
#endif

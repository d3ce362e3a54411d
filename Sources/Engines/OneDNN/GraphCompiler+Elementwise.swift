#if OneDNN
  import CKernels
  import COneDNN
  import Networks
  import Tensors

  extension GraphCompiler {
    /// A function of each element whose derivative follows from its output.
    func addElementwise(
      _ algorithm: dnnl_alg_kind_t, alpha: Float = 0, _ node: Network.Node, _ source: Tensor
    ) throws(EngineError) -> (Tensor, Backward?) {
      let forward = try elementwiseForward(algorithm, alpha, source.layout, node.layer.name)
      let output = makeTensor(source.extents, source.layout)
      try emit(
        "\(node.layer.name) forward", forward, [source.argument(DNNL_ARG_SRC), output.argument(DNNL_ARG_DST)])
      guard needsGradient(node.input) else { return (output, nil) }
      return (
        output,
        { compiler, gradient throws(EngineError) in
          let result = try compiler.elementwiseBackward(
            algorithm, alpha, gradient, output: output, node.layer.name)
          try compiler.deliver(result, to: node.input)
        }
      )
    }

    private func elementwiseForward(
      _ algorithm: dnnl_alg_kind_t, _ alpha: Float, _ layout: TensorLayout, _ name: String
    ) throws(EngineError) -> PrimitiveDescriptor {
      let kind = isForTraining ? dnnl_forward_training : dnnl_forward_inference
      return try PrimitiveDescriptor("compute \(name)") {
        convoy_dnnl_elementwise_forward($0, $1, kind, algorithm, layout.handle, alpha, $2)
      }
    }

    /// The gradient of the input from that of the output: in place where nobody else reads it.
    private func elementwiseBackward(
      _ algorithm: dnnl_alg_kind_t, _ alpha: Float, _ gradient: Tensor, output: Tensor, _ name: String
    ) throws(EngineError) -> Tensor {
      let own = try reordered(gradient, to: output.layout, "\(name) gradient")
      let forward = try elementwiseForward(algorithm, alpha, output.layout, name)
      let descriptor = try PrimitiveDescriptor("compute the gradient of \(name)") {
        convoy_dnnl_elementwise_backward(
          $0, $1, algorithm, own.layout.handle, output.layout.handle, alpha, forward.handle, $2)
      }
      let result = own.isShared ? makeTensor(own.extents, own.layout) : own
      try emit(
        "\(name) gradient", descriptor,
        [
          output.argument(DNNL_ARG_DST), own.argument(DNNL_ARG_DIFF_DST), result.argument(DNNL_ARG_DIFF_SRC),
        ])
      return result
    }

    /// The gradient before a ReLU that is fused into its layer.
    func reluBackward(_ gradient: Tensor, output: Tensor, _ node: Network.Node) throws(EngineError) -> Tensor {
      try elementwiseBackward(
        dnnl_eltwise_relu_use_dst_for_bwd, 0, gradient, output: output, "\(node.layer.name) ReLU")
    }

    /// Dropout: what happens to an element follows from (seed, layer, epoch, sample) and its index in the sample, as in
    /// the OpenBLAS engine.
    func addDropout(
      _ probability: Double, _ node: Network.Node, index: Int, _ given: Tensor
    ) throws(EngineError) -> (Tensor, Backward?) {
      let name = node.layer.name
      guard let seed else { return (given, nil) }
      let source = try plain(given, name)
      let output = try makePlainTensor(source.extents)
      let factors = try makePlainTensor(source.extents)
      let count = source.count
      let mask = DropoutMask(probability, seed: seed, layer: index)
      addShared("\(name) forward", uses: [source, factors], sets: output) { state, samples in
        let start = samples.lowerBound * count
        let factors = state.address(factors.place)
        for sample in samples {
          mask.fill(factors + sample * count, count: count, epoch: state.epoch, sample: state.sampleNumbers[sample])
        }
        convoy_multiply_f32(
          state.address(source.place) + start, factors + start, state.address(output.place) + start,
          samples.count * count)
      }
      guard needsGradient(node.input) else { return (output, nil) }
      return (
        output,
        { compiler, gradient throws(EngineError) in
          let own = try compiler.plain(gradient, "\(name) gradient")
          let result = try compiler.makePlainTensor(own.extents)
          compiler.addShared("\(name) gradient", uses: [own, factors], sets: result) { state, samples in
            let start = samples.lowerBound * count
            convoy_multiply_f32(
              state.address(own.place) + start, state.address(factors.place) + start,
              state.address(result.place) + start, samples.count * count)
          }
          try compiler.deliver(result, to: node.input)
        }
      )
    }

    /// Adds a loop of ours over samples that the threads share.
    private func addShared(
      _ purpose: String, uses tensors: [Tensor], sets result: Tensor,
      _ body: @escaping (StepState, Range<Int>) -> Void
    ) {
      use(tensors + [result])
      let (samples, parts) = (samples, threads)
      let phase: ParallelCommand.Phase = { state, part in
        body(state, samples * part / parts..<samples * (part + 1) / parts)
      }
      emit(purpose, sets: result, workspaceBytes: 0, [phase])
    }

    /// All dimensions as one, in the order of the shape.
    func addFlatten(_ node: Network.Node, _ given: Tensor) throws(EngineError) -> (Tensor, Backward?) {
      let output = try flattened(given, node.layer.name)
      guard needsGradient(node.input) else { return (output, nil) }
      return (
        output,
        { compiler, gradient throws(EngineError) in
          try compiler.deliver(compiler.unflattened(gradient, as: given), to: node.input)
        }
      )
    }

    /// The tensor as one row a sample.
    func flattened(_ tensor: Tensor, _ name: String) throws(EngineError) -> Tensor {
      let type = tensor.layout.type
      let source = try reordered(tensor, to: TensorLayout(plain: tensor.extents, type: type), name)
      let extents = [samples, source.count]
      return Tensor(
        extents: extents, layout: try TensorLayout(plain: extents, type: type), place: source.place,
        isShared: source.isShared)
    }

    /// A gradient of one row a sample, in the extents of the tensor that was flattened.
    func unflattened(_ gradient: Tensor, as tensor: Tensor) throws(EngineError) -> Tensor {
      Tensor(
        extents: tensor.extents, layout: try TensorLayout(plain: tensor.extents, type: gradient.layout.type),
        place: gradient.place,
        isShared: gradient.isShared)
    }
  }
#endif

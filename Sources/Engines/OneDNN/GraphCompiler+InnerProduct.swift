#if OneDNN
  import COneDNN
  import Networks
  import Tensors

  extension GraphCompiler {
    /// A fully connected layer by the library's inner products, where the numbers are not fp32: its weights are brought
    /// to the format and layout of a step, their gradient is fp32.
    func addInnerProduct(
      _ node: Network.Node, _ given: Tensor, hasReLU: Bool
    ) throws(EngineError) -> (Tensor, Backward?) {
      guard let weights = range(of: "weight", node) else { preconditionFailure("a layer without weights") }
      let bias = range(of: "bias", node)
      let name = node.layer.name
      let flat = try flattened(given, name)
      let source = try reordered(flat, to: TensorLayout(plain: flat.extents, type: activation), name)
      let (inputs, outputs) = (source.count, node.outputShape.count)
      let product = InnerProduct(
        name: name, weights: weights, bias: bias, weightExtents: [outputs, inputs],
        plainBias: bias == nil ? nil : try TensorLayout(plain: [outputs]), source: source.layout,
        destination: try TensorLayout(plain: [samples, outputs], type: activation))
      let forward = try forward(product, hasReLU: hasReLU)
      let output = makeTensor([samples, outputs], product.destination)
      var arguments = [
        source.argument(DNNL_ARG_SRC), output.argument(DNNL_ARG_DST),
        try weightTensor(product, forward, "weights").argument(DNNL_ARG_WEIGHTS),
      ]
      if let bias, let layout = product.plainBias {
        arguments.append(.init(index: DNNL_ARG_BIAS, layout: layout, place: .parameters(bias.lowerBound)))
      }
      try emit("\(name) forward", forward, arguments)
      guard isForTraining else { return (output, nil) }
      return (
        output,
        { compiler, gradient throws(EngineError) in
          let masked = hasReLU ? try compiler.reluBackward(gradient, output: output, node) : gradient
          let own = try compiler.reordered(masked, to: product.destination, "\(name) gradient")
          try compiler.addWeightGradient(product, source, own, forward)
          if compiler.needsGradient(node.input) {
            let result = try compiler.addInputGradient(product, source, own, forward)
            try compiler.deliver(compiler.unflattened(result, as: given), to: node.input)
          }
          compiler.markFinal(weights.lowerBound..<(bias ?? weights).upperBound)
        }
      )
    }

    /// What an inner product's passes share.
    private struct InnerProduct {
      let name: String
      let weights: Range<Int>
      let bias: Range<Int>?
      let weightExtents: [Int]
      let plainBias: TensorLayout?
      let source: TensorLayout
      let destination: TensorLayout
    }

    private func forward(_ product: InnerProduct, hasReLU: Bool) throws(EngineError) -> PrimitiveDescriptor {
      let kind = isForTraining ? dnnl_forward_training : dnnl_forward_inference
      let any = try TensorLayout(any: product.weightExtents, type: activation)
      return try PrimitiveDescriptor("compute layer \(product.name)", hasReLU: hasReLU) {
        convoy_dnnl_inner_product_forward(
          $0, $1, kind, product.source.handle, any.handle, product.plainBias?.handle, product.destination.handle, $2)
      }
    }

    /// The weights as a primitive wants them, brought from the flat vector.
    private func weightTensor(
      _ product: InnerProduct, _ descriptor: PrimitiveDescriptor, _ purpose: String
    ) throws(EngineError) -> Tensor {
      let flat = Tensor(
        extents: product.weightExtents, layout: try TensorLayout(plain: product.weightExtents),
        place: .parameters(product.weights.lowerBound))
      return try reordered(flat, to: descriptor.layout(dnnl_query_weights_md), "\(product.name) \(purpose)")
    }

    private func addWeightGradient(
      _ product: InnerProduct, _ source: Tensor, _ gradient: Tensor, _ forward: PrimitiveDescriptor
    ) throws(EngineError) {
      let plain = try TensorLayout(plain: product.weightExtents)
      let descriptor = try PrimitiveDescriptor("compute the weights' gradient of \(product.name)") {
        convoy_dnnl_inner_product_backward_weights(
          $0, $1, product.source.handle, plain.handle, product.plainBias?.handle, product.destination.handle,
          forward.handle, $2)
      }
      var arguments: [PrimitiveCommand.Argument] = [
        source.argument(DNNL_ARG_SRC), gradient.argument(DNNL_ARG_DIFF_DST),
        .init(index: DNNL_ARG_DIFF_WEIGHTS, layout: plain, place: .gradient(product.weights.lowerBound)),
      ]
      if let bias = product.bias, let layout = product.plainBias {
        arguments.append(.init(index: DNNL_ARG_DIFF_BIAS, layout: layout, place: .gradient(bias.lowerBound)))
      }
      try emit("\(product.name) weights' gradient", descriptor, arguments)
    }

    private func addInputGradient(
      _ product: InnerProduct, _ source: Tensor, _ gradient: Tensor, _ forward: PrimitiveDescriptor
    ) throws(EngineError) -> Tensor {
      let any = try TensorLayout(any: product.weightExtents, type: activation)
      let descriptor = try PrimitiveDescriptor("compute the input's gradient of \(product.name)") {
        convoy_dnnl_inner_product_backward_data(
          $0, $1, product.source.handle, any.handle, product.destination.handle, forward.handle, $2)
      }
      let result = makeTensor(source.extents, product.source)
      try emit(
        "\(product.name) input's gradient", descriptor,
        [
          try weightTensor(product, descriptor, "backward weights").argument(DNNL_ARG_WEIGHTS),
          gradient.argument(DNNL_ARG_DIFF_DST), result.argument(DNNL_ARG_DIFF_SRC),
        ])
      return result
    }
  }
#endif

#if OneDNN
  import CKernels
  import COneDNN
  import Networks
  import Tensors

  extension GraphCompiler {
    /// A convolution's parameters as tensors: `[groups, out / groups, in / groups, …]` where there are groups.
    private struct Parameters {
      let weights: Range<Int>
      let bias: Range<Int>?
      let weightExtents: [Int]
      let plainWeights: TensorLayout
      let plainBias: TensorLayout?
    }

    func addConvolution(
      _ layer: Convolution, _ node: Network.Node, _ given: Tensor, hasReLU: Bool
    ) throws(EngineError) -> (Tensor, Backward?) {
      let parameters = try parameters(of: layer, node)
      var window = Self.window(of: node)
      let extents = [samples] + node.outputShape.extents
      let isChannelsLast = try wantsChannelsLast(layer, given)
      let layouts = Layouts(
        source: try wanted(given.extents, isChannelsLast), destination: try wanted(extents, isChannelsLast),
        isWinograd: wantsWinograd(layer, node))
      let forward = try convolutionForward(node, parameters, layouts, hasReLU: hasReLU, &window)
      let source = try reordered(given, to: forward.layout(dnnl_query_src_md), node.layer.name)
      let output = makeTensor(extents, try forward.layout(dnnl_query_dst_md))
      let weights = try weights(parameters, forward.layout(dnnl_query_weights_md), node.layer.name)
      var arguments = [
        source.argument(DNNL_ARG_SRC), weights.argument(DNNL_ARG_WEIGHTS), output.argument(DNNL_ARG_DST),
      ]
      if let bias = parameters.bias, let layout = parameters.plainBias {
        arguments.append(.init(index: DNNL_ARG_BIAS, layout: layout, place: .parameters(bias.lowerBound)))
      }
      try emit("\(node.layer.name) forward", forward, arguments)
      guard isForTraining else { return (output, nil) }
      return (
        output,
        { compiler, gradient throws(EngineError) in
          let masked = hasReLU ? try compiler.reluBackward(gradient, output: output, node) : gradient
          if isChannelsLast, let window = compiler.productWindow(layer, node) {
            try compiler.addWindowProducts(node, parameters, layouts, window, source, masked)
            return
          }
          try compiler.addWeightGradient(node, parameters, layouts, source, masked, window, forward)
          if compiler.needsGradient(node.input) {
            try compiler.addInputGradient(node, parameters, layouts, source, masked, window, forward)
          }
          compiler.markFinal(parameters.weights.lowerBound..<(parameters.bias ?? parameters.weights).upperBound)
        }
      )
    }

    /// What a convolution asks of its tensors' layouts, and how it is to be computed.
    private struct Layouts {
      let source: TensorLayout
      let destination: TensorLayout
      let isWinograd: Bool

      /// The first algorithm that the library computes a pass by: Winograd's, where wanted, has limits of its own.
      func descriptor(
        _ make: (dnnl_alg_kind_t) throws(EngineError) -> PrimitiveDescriptor
      ) throws(EngineError) -> PrimitiveDescriptor {
        if isWinograd, let descriptor = try? make(dnnl_convolution_winograd) { return descriptor }
        return try make(dnnl_convolution_direct)
      }
    }

    /// Whether a convolution is computed by Winograd's minimal filtering, F(4 × 4, 3 × 3).
    ///
    /// Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks": a quarter of the multiplications, for
    /// transforms of every tile and filter. It pays where channels fill the library's blocks and there are many tiles
    /// for each filter: 1.4 to 2.4 times faster than the direct passes on the networks' shapes, slower below. The
    /// rounding is about ten times that of the direct passes. Libraries since 3.2 do without it.
    private func wantsWinograd(_ layer: Convolution, _ node: Network.Node) -> Bool {
      guard OneDNN.majorVersion < 3, layer.groups == 1, precision == .fp32, let window = node.window,
        window.dimensions.count == 2,
        window.dimensions.allSatisfy({ $0.kernel == 3 && $0.stride == 1 && $0.dilation == 1 })
      else { return false }
      let channels = [node.inputShape[0], layer.channels]
      guard channels.allSatisfy({ $0 >= 32 && $0.isMultiple(of: 16) }) else { return false }
      let tiles = node.outputShape.extents.dropFirst().reduce(samples) { $0 * (($1 + 3) / 4) }
      return tiles >= 64 && 4 * tiles >= channels.max() ?? 0
    }

    private func wanted(_ extents: [Int], _ isChannelsLast: Bool) throws(EngineError) -> TensorLayout {
      isChannelsLast
        ? try TensorLayout(channelsLast: extents, type: activation) : try TensorLayout(any: extents, type: activation)
    }

    /// Whether a convolution computes with a place's channels next to each other.
    ///
    /// The library's own choice are blocks of 16 channels, and what fills up a block is computed for nothing: of LeNet's
    /// 20 and 50 channels more than half. Channels-last kernels leave it out (1.2 to 1.7 times faster there, no gain
    /// where the channels fill their blocks). It passes on from layer to layer, so that nothing is reordered.
    /// Below AVX there are no such kernels: the library would take products of matrices, which in 2.6.3 are wrong for an
    /// input of one channel.
    private func wantsChannelsLast(_ layer: Convolution, _ source: Tensor) throws(EngineError) -> Bool {
      guard layer.groups == 1, source.extents.count == 4, OneDNN.hasAVX else { return false }
      if !layer.channels.isMultiple(of: 16) { return true }
      let channelsLast = try TensorLayout(channelsLast: source.extents, type: activation)
      return source.extents[1] > 1 && source.layout.isEqual(to: channelsLast)
    }

    private func parameters(of layer: Convolution, _ node: Network.Node) throws(EngineError) -> Parameters {
      guard let weights = range(of: "weight", node) else { preconditionFailure("a convolution without weights") }
      let inputs = node.inputShape[0]
      let kernel = (node.window?.dimensions ?? []).map(\.kernel)
      let extents =
        layer.groups == 1
        ? [layer.channels, inputs] + kernel
        : [layer.groups, layer.channels / layer.groups, inputs / layer.groups] + kernel
      let bias = layer.hasBias ? range(of: "bias", node) : nil
      return Parameters(
        weights: weights, bias: bias, weightExtents: extents, plainWeights: try TensorLayout(plain: extents),
        plainBias: bias == nil ? nil : try TensorLayout(plain: [layer.channels]))
    }

    private static func window(of node: Network.Node) -> convoy_dnnl_window {
      var window = convoy_dnnl_window()
      for (index, dimension) in (node.window?.dimensions ?? []).enumerated() {
        window.set(
          index, kernel: dimension.kernel, stride: dimension.stride, before: dimension.padding,
          after: dimension.endPadding, dilation: dimension.dilation)
      }
      return window
    }

    private func convolutionForward(
      _ node: Network.Node, _ parameters: Parameters, _ layouts: Layouts, hasReLU: Bool,
      _ window: inout convoy_dnnl_window
    ) throws(EngineError) -> PrimitiveDescriptor {
      let weights = try TensorLayout(any: parameters.weightExtents, type: activation)
      let kind = isForTraining ? dnnl_forward_training : dnnl_forward_inference
      // Products of matrices gain nothing where the depth is a pixel's colours: 1.6 times slower on LeNet's first layer.
      let avoided = node.inputShape[0] <= 3 ? "brgconv" : nil
      return try layouts.descriptor { algorithm throws(EngineError) in
        try PrimitiveDescriptor("compute convolution \(node.layer.name)", hasReLU: hasReLU) {
          convoy_dnnl_convolution_forward(
            $0, $1, kind, algorithm, layouts.source.handle, weights.handle, parameters.plainBias?.handle,
            layouts.destination.handle, &window, $2, avoided)
        }
      }
    }

    /// The weights in the layout that a primitive wants, brought from the flat vector.
    private func weights(
      _ parameters: Parameters, _ layout: TensorLayout, _ name: String
    ) throws(EngineError) -> Tensor {
      let flat = Tensor(
        extents: parameters.weightExtents, layout: parameters.plainWeights,
        place: .parameters(parameters.weights.lowerBound))
      return try reordered(flat, to: layout, "\(name) weights")
    }

    private func addWeightGradient(
      _ node: Network.Node, _ parameters: Parameters, _ layouts: Layouts, _ source: Tensor, _ gradient: Tensor,
      _ window: convoy_dnnl_window, _ forward: PrimitiveDescriptor
    ) throws(EngineError) {
      var window = window
      let name = node.layer.name
      let weights = try TensorLayout(any: parameters.weightExtents)
      // One thread of the library's adds up a first layer's places, for as long as all of them take for its weights.
      let sumsBias =
        parameters.bias != nil && !needsGradient(node.input) && isChannelsLast(layouts.destination, gradient)
      let bias = sumsBias ? nil : parameters.plainBias
      let descriptor = try layouts.descriptor { algorithm throws(EngineError) in
        try PrimitiveDescriptor("compute the weights' gradient of \(name)") {
          convoy_dnnl_convolution_backward_weights(
            $0, $1, algorithm, layouts.source.handle, weights.handle, bias?.handle,
            layouts.destination.handle, &window, forward.handle, $2)
        }
      }
      let ownSource = try reordered(source, to: descriptor.layout(dnnl_query_src_md), "\(name) input")
      let ownGradient = try reordered(gradient, to: descriptor.layout(dnnl_query_diff_dst_md), "\(name) gradient")
      let layout = try descriptor.layout(dnnl_query_diff_weights_md)
      let flat = Tensor(
        extents: parameters.weightExtents, layout: parameters.plainWeights,
        place: .gradient(parameters.weights.lowerBound))
      let result = layout.isEqual(to: flat.layout) ? flat : makeTensor(parameters.weightExtents, layout)
      var arguments = [
        ownSource.argument(DNNL_ARG_SRC), ownGradient.argument(DNNL_ARG_DIFF_DST),
        result.argument(DNNL_ARG_DIFF_WEIGHTS),
      ]
      if let bias = parameters.bias, sumsBias {
        addBiasGradient(name, ownGradient, bias)
      } else if let bias = parameters.bias, let layout = parameters.plainBias {
        arguments.append(.init(index: DNNL_ARG_DIFF_BIAS, layout: layout, place: .gradient(bias.lowerBound)))
      }
      try emit("\(name) weights' gradient", descriptor, arguments)
      if !layout.isEqual(to: flat.layout) { try reorder(result, to: flat, "\(name) weights' gradient") }
    }

    /// Whether a convolution's output, and its gradient as it comes, have a place's channels next to each other.
    private func isChannelsLast(_ layout: TensorLayout, _ gradient: Tensor) -> Bool {
      guard precision == .fp32, let channelsLast = try? TensorLayout(channelsLast: gradient.extents) else {
        return false
      }
      return layout.isEqual(to: channelsLast)
    }

    /// The gradient of a bias: each channel's sum over all places, a share of them on each thread.
    private func addBiasGradient(_ name: String, _ gradient: Tensor, _ bias: Range<Int>) {
      let (channels, parts) = (bias.count, threads)
      let rows = gradient.extents.reduce(1, *) / channels
      let sums = Tensor(
        extents: [parts, channels], layout: gradient.layout,
        place: .region(region(bytes: parts * channels * MemoryLayout<Float>.stride)))
      use([gradient, sums])
      let gather: ParallelCommand.Phase = { state, part in
        let range = rows * part / parts..<rows * (part + 1) / parts
        convoy_sum_columns_f32(
          state.address(gradient.place) + range.lowerBound * channels, range.count, channels,
          state.address(sums.place) + part * channels)
      }
      let add: ParallelCommand.Phase = { state, part in
        guard part == 0 else { return }
        convoy_sum_columns_f32(state.address(sums.place), parts, channels, state.address(.gradient(bias.lowerBound)))
      }
      emit("\(name) bias's gradient", sets: sums, workspaceBytes: 0, [gather, add])
    }

    /// The window of a convolution whose backward passes are products of windows.
    private func productWindow(_ layer: Convolution, _ node: Network.Node) -> convoy_sample_window? {
      // A first layer has nothing to gain: its windows are short, and its input's gradient is not needed.
      guard precision == .fp32, node.inputShape[0] > 3, !layer.channels.isMultiple(of: 16) else { return nil }
      return WindowProducts.window(layer, node)
    }

    private func addWindowProducts(
      _ node: Network.Node, _ parameters: Parameters, _ layouts: Layouts, _ window: convoy_sample_window,
      _ source: Tensor, _ given: Tensor
    ) throws(EngineError) {
      let name = node.layer.name
      let gradient = try reordered(given, to: layouts.destination, "\(name) gradient")
      let products = WindowProducts(
        name: name, window: window, samples: samples, channels: node.outputShape[0],
        source: try reordered(source, to: layouts.source, "\(name) input"), gradient: gradient)
      if let bias = parameters.bias { addBiasGradient(name, gradient, bias) }
      let weightLayout = try TensorLayout(channelsLast: parameters.weightExtents)
      let sum = makeTensor(parameters.weightExtents, weightLayout)
      try products.addWeightGradient(self, result: sum)
      try reorder(
        sum,
        to: Tensor(
          extents: parameters.weightExtents, layout: parameters.plainWeights,
          place: .gradient(parameters.weights.lowerBound)), "\(name) weights' gradient")
      if needsGradient(node.input) {
        let result = makeTensor(source.extents, layouts.source)
        try products.addInputGradient(
          self, weights: weights(parameters, weightLayout, "\(name) backward"), result: result)
        try deliver(result, to: node.input)
      }
      markFinal(parameters.weights.lowerBound..<(parameters.bias ?? parameters.weights).upperBound)
    }

    private func addInputGradient(
      _ node: Network.Node, _ parameters: Parameters, _ layouts: Layouts, _ source: Tensor, _ gradient: Tensor,
      _ window: convoy_dnnl_window, _ forward: PrimitiveDescriptor
    ) throws(EngineError) {
      var window = window
      let name = node.layer.name
      let anyWeights = try TensorLayout(any: parameters.weightExtents, type: activation)
      let descriptor = try layouts.descriptor { algorithm throws(EngineError) in
        try PrimitiveDescriptor("compute the input's gradient of \(name)") {
          convoy_dnnl_convolution_backward_data(
            $0, $1, algorithm, layouts.source.handle, anyWeights.handle, layouts.destination.handle, &window,
            forward.handle, $2)
        }
      }
      let weights = try weights(parameters, descriptor.layout(dnnl_query_weights_md), "\(name) backward")
      let ownGradient = try reordered(gradient, to: descriptor.layout(dnnl_query_diff_dst_md), "\(name) gradient")
      let result = makeTensor(source.extents, try descriptor.layout(dnnl_query_diff_src_md))
      try emit(
        "\(name) input's gradient", descriptor,
        [
          weights.argument(DNNL_ARG_WEIGHTS), ownGradient.argument(DNNL_ARG_DIFF_DST),
          result.argument(DNNL_ARG_DIFF_SRC),
        ])
      try deliver(result, to: node.input)
    }
  }
#endif

#if OneDNN
  import COneDNN
  import Networks
  import Tensors

  extension GraphCompiler {
    /// Pooling by the library, or where it has no such windows by the OpenBLAS engine's loops.
    func addPooling(
      _ node: Network.Node, index: Int, _ sources: [Tensor]
    ) throws(EngineError) -> (Tensor, Backward?) {
      let isMaximum =
        switch node.layer.kind {
        case .maxPooling, .adaptivePooling(.maximum, _): true
        default: false
        }
      guard let window = poolingWindow(node, isMaximum: isMaximum) else {
        return try addBridge(node, index: index, sources)
      }
      return try addPooling(
        isMaximum ? dnnl_pooling_max : dnnl_pooling_avg_include_padding, node, sources[0], window)
    }

    private func addPooling(
      _ algorithm: dnnl_alg_kind_t, _ node: Network.Node, _ source: Tensor, _ window: convoy_dnnl_window
    ) throws(EngineError) -> (Tensor, Backward?) {
      let name = node.layer.name
      var window = window
      let extents = [samples] + node.outputShape.extents
      let kind = isForTraining ? dnnl_forward_training : dnnl_forward_inference
      let any = try TensorLayout(any: extents, type: source.layout.type)
      let forward = try PrimitiveDescriptor("compute pooling \(name)") {
        convoy_dnnl_pooling_forward($0, $1, kind, algorithm, source.layout.handle, any.handle, &window, $2)
      }
      let output = makeTensor(extents, try forward.layout(dnnl_query_dst_md))
      var arguments = [source.argument(DNNL_ARG_SRC), output.argument(DNNL_ARG_DST)]
      let workspace = try forward.optionalLayout(dnnl_query_workspace_md).map { makeTensor([], $0) }
      if let workspace { arguments.append(workspace.argument(DNNL_ARG_WORKSPACE)) }
      try emit("\(name) forward", forward, arguments)
      guard needsGradient(node.input) else { return (output, nil) }
      return (
        output,
        { compiler, gradient throws(EngineError) in
          let own = try compiler.reordered(gradient, to: output.layout, "\(name) gradient")
          let descriptor = try PrimitiveDescriptor("compute the gradient of pooling \(name)") {
            convoy_dnnl_pooling_backward(
              $0, $1, algorithm, source.layout.handle, own.layout.handle, &window, forward.handle, $2)
          }
          let result = compiler.makeTensor(source.extents, source.layout)
          var arguments = [own.argument(DNNL_ARG_DIFF_DST), result.argument(DNNL_ARG_DIFF_SRC)]
          if let workspace { arguments.append(workspace.argument(DNNL_ARG_WORKSPACE)) }
          try compiler.emit("\(name) gradient", descriptor, arguments)
          try compiler.deliver(result, to: node.input)
        }
      )
    }

    /// The window with as much padding after the plane as its last position reaches; nil where it is none of the
    /// library's: parts of a plane that are not of one size, and means over windows that reach beyond the padding, what
    /// is beyond not being counted.
    private func poolingWindow(_ node: Network.Node, isMaximum: Bool) -> convoy_dnnl_window? {
      var window = convoy_dnnl_window()
      if case .adaptivePooling = node.layer.kind {
        for index in node.inputShape.extents.indices.dropFirst() {
          let (input, output) = (node.inputShape[index], node.outputShape[index])
          guard input.isMultiple(of: output) else { return nil }
          window.set(index - 1, kernel: input / output, stride: input / output)
        }
        return window
      }
      guard let dimensions = node.window?.dimensions else { preconditionFailure("pooling without a window") }
      for (index, dimension) in dimensions.enumerated() {
        let after = (dimension.output - 1) * dimension.stride + dimension.kernel - dimension.input - dimension.padding
        // The library would count what lies beyond the padding.
        guard isMaximum || after <= dimension.endPadding else { return nil }
        window.set(
          index, kernel: dimension.kernel, stride: dimension.stride, before: dimension.padding, after: after)
      }
      return window
    }
  }

  extension convoy_dnnl_window {
    /// States what holds along one dimension, the outermost being the first.
    mutating func set(
      _ index: Int, kernel: Int, stride: Int, before: Int = 0, after: Int = 0, dilation: Int = 1
    ) {
      func put(_ value: Int, _ tuple: inout (Int64, Int64, Int64)) {
        switch index {
        case 0: tuple.0 = Int64(value)
        case 1: tuple.1 = Int64(value)
        default: tuple.2 = Int64(value)
        }
      }
      put(kernel, &self.kernel)
      put(stride, &strides)
      put(before, &self.before)
      put(after, &self.after)
      put(dilation - 1, &dilations)
    }
  }
#endif

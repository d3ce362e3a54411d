#if OneDNN
  import COneDNN
  import Networks
  import Tensors

  extension GraphCompiler {
    func addPooling(
      _ pooling: Pooling, _ algorithm: dnnl_alg_kind_t, _ node: Network.Node, _ source: Tensor
    ) throws(EngineError) -> (Tensor, Backward?) {
      let name = node.layer.name
      var window = try Self.window(of: pooling, node, isMaximum: algorithm == dnnl_pooling_max)
      let extents = [samples] + node.outputShape.extents
      let kind = isForTraining ? dnnl_forward_training : dnnl_forward_inference
      let any = try TensorLayout(any: extents)
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

    /// The window with as much padding after the plane as its last position reaches.
    private static func window(
      of pooling: Pooling, _ node: Network.Node, isMaximum: Bool
    ) throws(EngineError) -> convoy_dnnl_window {
      func after(_ input: Int, _ output: Int, _ kernel: Int, _ stride: Int, _ padding: Int) -> Int {
        (output - 1) * stride + kernel - input - padding
      }
      let (input, output) = (node.inputShape, node.outputShape)
      let height = after(input[1], output[1], pooling.kernel.height, pooling.stride.height, pooling.padding.height)
      let width = after(input[2], output[2], pooling.kernel.width, pooling.stride.width, pooling.padding.width)
      // The library would count what lies beyond the padding.
      guard isMaximum || (height <= pooling.padding.height && width <= pooling.padding.width) else {
        throw .unsupported(
          "layer \(node.layer.name): the oneDNN engine averages no windows that reach beyond the padding: use the openblas engine"
        )
      }
      var window = convoy_dnnl_window()
      window.kernel = (Int64(pooling.kernel.height), Int64(pooling.kernel.width), 1)
      window.strides = (Int64(pooling.stride.height), Int64(pooling.stride.width), 1)
      window.before = (Int64(pooling.padding.height), Int64(pooling.padding.width), 0)
      window.after = (Int64(height), Int64(width), 0)
      return window
    }
  }
#endif

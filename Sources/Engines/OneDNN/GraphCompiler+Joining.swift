#if OneDNN
  import COneDNN
  import Networks
  import Tensors

  extension GraphCompiler {
    /// Sums of several tensors, with a following ReLU.
    func addAddition(
      _ node: Network.Node, _ sources: [Tensor], hasReLU: Bool
    ) throws(EngineError) -> (Tensor, Backward?) {
      var total = sources[0]
      for (index, source) in sources.enumerated().dropFirst() {
        total = try sum(total, source, "\(node.layer.name) forward", hasReLU: hasReLU && index == sources.count - 1)
      }
      let output = total
      guard node.inputs.contains(where: needsGradient) else { return (output, nil) }
      return (
        output,
        { compiler, gradient throws(EngineError) in
          var masked = hasReLU ? try compiler.reluBackward(gradient, output: output, node) : gradient
          masked.isShared = true
          for input in node.inputs { try compiler.deliver(masked, to: input) }
        }
      )
    }

    /// left + right, element by element, in a tensor of its own.
    private func sum(
      _ left: Tensor, _ right: Tensor, _ purpose: String, hasReLU: Bool
    ) throws(EngineError) -> Tensor {
      let result = makeTensor(left.extents, left.layout)
      try sum(left, right, into: result, purpose, hasReLU: hasReLU)
      return result
    }

    private func sum(
      _ left: Tensor, _ right: Tensor, into result: Tensor, _ purpose: String, hasReLU: Bool
    ) throws(EngineError) {
      let other = try reordered(right, to: left.layout, purpose)
      let descriptor = try PrimitiveDescriptor("add for \(purpose)", hasReLU: hasReLU) {
        convoy_dnnl_binary($0, $1, dnnl_binary_add, left.layout.handle, other.layout.handle, result.layout.handle, $2)
      }
      try emit(
        purpose, descriptor,
        [left.argument(DNNL_ARG_SRC_0), other.argument(DNNL_ARG_SRC_1), result.argument(DNNL_ARG_DST)])
    }

    /// The sum of two gradients of one tensor: in place where nobody else reads one of them.
    func gradientSum(_ left: Tensor, _ right: Tensor, _ name: String) throws(EngineError) -> Tensor {
      // Addition commutes, so that whichever may be written over comes first.
      let (first, second) = left.isShared && !right.isShared ? (right, left) : (left, right)
      let result = first.isShared ? makeTensor(first.extents, first.layout) : first
      try sum(first, second, into: result, "\(name) gradient sum", hasReLU: false)
      return result
    }

    /// A value around a tensor: a part of a larger one.
    func addPadding(_ margins: Margins, _ value: Float, _ node: Network.Node, _ source: Tensor)
      throws(EngineError) -> (Tensor, Backward?)
    {
      let name = node.layer.name
      let extents = [samples] + node.outputShape.extents
      let output = makeTensor(extents, try TensorLayout(plain: extents))
      let layout = try output.layout.part(source.extents, at: [0] + margins.before)
      let count = samples * node.outputShape.count
      emit("\(name) margins", uses: [output]) { state in
        state.address(output.place).update(repeating: value, count: count)
      }
      let inner = Tensor(extents: source.extents, layout: layout, place: output.place)
      try reorder(source, to: inner, "\(name) forward")
      guard needsGradient(node.input) else { return (output, nil) }
      return (
        output,
        { compiler, gradient throws(EngineError) in
          let own = try compiler.plain(gradient, "\(name) gradient")
          let layout = try own.layout.part(source.extents, at: [0] + margins.before)
          let result = compiler.makeTensor(source.extents, source.layout)
          try compiler.reorder(
            Tensor(extents: source.extents, layout: layout, place: own.place), to: result, "\(name) gradient")
          try compiler.deliver(result, to: node.input)
        }
      )
    }
  }
#endif

#if OneDNN
  import COneDNN

  /// Tensors in other layouts.
  extension GraphCompiler {
    /// The tensor in a layout: itself where it has it.
    func reordered(_ tensor: Tensor, to layout: TensorLayout, _ purpose: String) throws(EngineError) -> Tensor {
      if tensor.layout.isEqual(to: layout) { return tensor }
      if tensor.extents.count > 2, tensor.extents[1] == 1, layout.bytes == tensor.layout.bytes {
        // One channel lies the same whether channels come first or last.
        return Tensor(extents: tensor.extents, layout: layout, place: tensor.place, isShared: tensor.isShared)
      }
      let result = makeTensor(tensor.extents, layout)
      try reorder(tensor, to: result, purpose)
      return result
    }

    func reorder(_ source: Tensor, to destination: Tensor, _ purpose: String) throws(EngineError) {
      let descriptor = try PrimitiveDescriptor("reorder for \(purpose)") { made, engine, attributes in
        convoy_dnnl_reorder(made, engine, source.layout.handle, destination.layout.handle, attributes)
      }
      try emit("\(purpose) reorder", descriptor, [source.argument(DNNL_ARG_FROM), destination.argument(DNNL_ARG_TO)])
    }

    /// The tensor in fp32 with its elements in the order of their extents.
    func plain(_ tensor: Tensor, _ purpose: String) throws(EngineError) -> Tensor {
      try reordered(tensor, to: TensorLayout(plain: tensor.extents), purpose)
    }
  }
#endif

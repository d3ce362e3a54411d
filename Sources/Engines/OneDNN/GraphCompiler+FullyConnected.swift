#if OneDNN
  import CKernels
  import COneDNN
  import Networks
  import Tensors

  extension GraphCompiler {
    /// A fully connected layer by matrix products, whose weights lie as they do in the flat vector: nothing is reordered.
    func addFullyConnected(
      _ node: Network.Node, _ given: Tensor, hasReLU: Bool
    ) throws(EngineError) -> (Tensor, Backward?) {
      guard let weights = range(of: "weight", node) else { preconditionFailure("a layer without weights") }
      let bias = range(of: "bias", node)
      let name = node.layer.name
      let source = try flattened(given, name)
      let (rows, inputs, outputs) = (samples, source.count, node.outputShape.count)
      let output = try makePlainTensor([rows, outputs])
      // The transpose of the product: the library shares work by rows, of which a layer has more outputs than samples.
      let transposed = try makePlainTensor([outputs, rows])
      emit("\(name) forward", by: "sgemm", uses: [source, transposed, output]) { state in
        let product = state.address(transposed.place)
        OneDNN.multiply(
          MatrixProduct(
            rows: outputs, columns: rows, depth: inputs, a: UnsafePointer(state.parameters + weights.lowerBound),
            aStride: inputs, b: UnsafePointer(state.address(source.place)), bIsTransposed: true, bStride: inputs,
            c: product, cStride: rows))
        let biases = bias.map { UnsafePointer(state.parameters + $0.lowerBound) }
        convoy_transpose_add_bias_f32(
          product, biases, hasReLU ? 1 : 0, rows, outputs, state.address(output.place))
      }
      guard isForTraining else { return (output, nil) }
      return (
        output,
        { compiler, gradient throws(EngineError) in
          let masked = hasReLU ? try compiler.reluBackward(gradient, output: output, node) : gradient
          compiler.addWeightGradient(name, source, masked, weights, bias)
          if compiler.needsGradient(node.input) {
            let result = try compiler.makePlainTensor(source.extents)
            compiler.addInputGradient(name, masked, result, weights)
            try compiler.deliver(compiler.unflattened(result, as: given), to: node.input)
          }
          compiler.markFinal(weights.lowerBound..<(bias ?? weights).upperBound)
        }
      )
    }

    private func addWeightGradient(
      _ name: String, _ source: Tensor, _ gradient: Tensor, _ weights: Range<Int>, _ bias: Range<Int>?
    ) {
      let (rows, inputs, outputs) = (samples, source.count, gradient.count)
      emit("\(name) weights' gradient", by: "sgemm", uses: [source, gradient]) { state in
        let outputGradient = state.address(gradient.place)
        if let bias { convoy_sum_columns_f32(outputGradient, rows, outputs, state.address(.gradient(bias.lowerBound))) }
        OneDNN.multiply(
          MatrixProduct(
            rows: outputs, columns: inputs, depth: rows, a: UnsafePointer(outputGradient), aIsTransposed: true,
            aStride: outputs, b: UnsafePointer(state.address(source.place)), bStride: inputs,
            c: state.address(.gradient(weights.lowerBound)), cStride: inputs))
      }
    }

    private func addInputGradient(_ name: String, _ gradient: Tensor, _ result: Tensor, _ weights: Range<Int>) {
      let (rows, inputs, outputs) = (samples, result.count, gradient.count)
      emit("\(name) input's gradient", by: "sgemm", uses: [gradient, result]) { state in
        OneDNN.multiply(
          MatrixProduct(
            rows: rows, columns: inputs, depth: outputs, a: UnsafePointer(state.address(gradient.place)),
            aStride: outputs, b: UnsafePointer(state.parameters + weights.lowerBound), bStride: inputs,
            c: state.address(result.place), cStride: inputs))
      }
    }

    /// The loss of the logits: its forward pass also sets their gradient.
    ///
    /// - Returns: the logits, what hands their gradient on, and that gradient.
    func addLoss(_ node: Network.Node, _ given: Tensor) throws(EngineError) -> (Tensor, Backward?, Tensor?) {
      let logits = try plain(given, node.layer.name)
      let gradient = isForTraining ? try makePlainTensor(logits.extents) : nil
      let (rows, classes) = (samples, logits.count)
      emit("\(node.layer.name) forward", uses: [logits] + (gradient.map { [$0] } ?? [])) { state in
        let target = state.gradient == nil ? nil : gradient.map { state.address($0.place) }
        convoy_softmax_cross_entropy_f32(
          state.address(logits.place), state.labels, rows, classes, target, &state.loss, &state.correct)
      }
      guard let gradient, needsGradient(node.input) else { return (logits, nil, nil) }
      return (
        logits, { compiler, gradient throws(EngineError) in try compiler.deliver(gradient, to: node.input) }, gradient
      )
    }
  }
#endif

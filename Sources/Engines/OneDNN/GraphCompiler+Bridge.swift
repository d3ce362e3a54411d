#if OneDNN
  import CKernels
  import Networks
  import Tensors

  /// Layers that the library does not compute: the OpenBLAS engine's operations between its primitives.
  ///
  /// A layer's tensors are brought to the layout that those operations have, channel after channel, and what they give
  /// stays in it: the next primitive takes it from there.
  extension GraphCompiler {
    /// A layer's operations and where their tensors lie in a region of their own.
    private struct Bridge {
      let name: String
      let samples: Int
      let operations: [any Operation<Float>]
      let sources: [PlanTensor]
      let output: PlanTensor
      let region: ArenaRegion
    }

    /// Adds a layer, or a loss, as the OpenBLAS engine computes it.
    func addBridge(
      _ node: Network.Node, index: Int, _ given: [Tensor]
    ) throws(EngineError) -> (Tensor, Backward?) {
      let bridge = bridge(node, index: index)
      let name = node.layer.name
      for (slot, tensor) in zip(bridge.sources, given) {
        try reorder(tensor, to: self.tensor(slot.value, tensor.extents, bridge), name)
      }
      let isLoss = node.layer.kind.isLoss
      // A loss hands on what it takes.
      let output =
        isLoss
        ? try self.tensor(bridge.sources[0].value, given[0].extents, bridge)
        : try self.tensor(bridge.output.value, [samples] + node.outputShape.extents, bridge)
      emit(bridge, isBackward: false, sets: output)
      let gradientSlot = isLoss ? bridge.sources.lazy.compactMap(\.gradient).first : bridge.output.gradient
      guard isForTraining, let gradientSlot else { return (output, nil) }
      if isLoss { setGradient(try tensor(gradientSlot, given[0].extents, bridge), ofLoss: index) }
      return (
        output,
        { compiler, gradient throws(EngineError) in
          // A loss set the gradients of what it takes in its forward pass.
          if !isLoss {
            try compiler.reorder(
              gradient, to: compiler.tensor(gradientSlot, output.extents, bridge), "\(name) gradient")
          }
          let first = bridge.sources.first { $0.gradient != nil } ?? bridge.sources[0]
          compiler.emit(
            bridge, isBackward: true,
            sets: try compiler.tensor(first.gradient ?? first.value, given[0].extents, bridge))
          let ranges = bridge.operations.map(\.parameterRange).filter { !$0.isEmpty }
          if let range = ranges.first { compiler.markFinal(range) }
          for (position, input) in node.inputs.enumerated() {
            guard let slot = bridge.sources[position].gradient else { continue }
            try compiler.deliver(compiler.tensor(slot, given[position].extents, bridge), to: input)
          }
        }
      )
    }

    private func bridge(_ node: Network.Node, index: Int) -> Bridge {
      OpenBLAS.prepare()
      var compiler = PlanCompiler<Float>(empty: network, batch: samples, team: team(), seed: seed)
      let sources = zip(node.inputs, node.inputShapes).map { input, shape in
        compiler.tensor(shape, hasGradient: needsGradient(input), mayBeOverwritten: false)
      }
      let output = compiler.add(node, index: index, sources: sources, fusesReLU: false)
      return Bridge(
        name: node.layer.name, samples: samples, operations: compiler.operations, sources: sources, output: output,
        region: region(bytes: compiler.arena.elements * MemoryLayout<Float>.stride))
    }

    /// The tensor of a slot.
    private func tensor(_ slot: Slot, _ extents: [Int], _ bridge: Bridge) throws(EngineError) -> Tensor {
      let layout = try TensorLayout(channelMajor: extents)
      let part = ArenaRegion(
        bytes: layout.bytes, at: slot.offset * MemoryLayout<Float>.stride, in: bridge.region)
      return Tensor(extents: extents, layout: layout, place: .region(part))
    }

    private func emit(_ bridge: Bridge, isBackward: Bool, sets result: Tensor) {
      let (operations, samples, region) = (bridge.operations, bridge.samples, bridge.region)
      emit("\(bridge.name) \(isBackward ? "gradient" : "forward")", uses: [result]) { state in
        var context = StepContext(samples: samples, arena: region.floats, state)
        if isBackward {
          for operation in operations.reversed() { operation.backward(&context) }
        } else {
          for operation in operations { operation.forward(&context) }
        }
        state.loss = context.loss
        state.correct = context.correct
        state.failure = context.failure
      }
    }

    /// What a layer takes, in layouts that the library's primitives compute fast with.
    ///
    /// Layers that reorder what they take by themselves get it as it is.
    func standard(_ sources: [Tensor], for node: Network.Node) throws(EngineError) -> [Tensor] {
      switch node.layer.kind {
      case .batchNormalization, .maxPooling, .averagePooling, .adaptivePooling, .addition: break
      default: return sources
      }
      var result: [Tensor] = []
      for source in sources {
        let isChannelMajor = source.layout.isEqual(to: try TensorLayout(channelMajor: source.extents))
        result.append(isChannelMajor ? try plain(source, node.layer.name) : source)
      }
      return result
    }

    /// The elements in another shape.
    func addReshape(_ node: Network.Node, _ given: Tensor) throws(EngineError) -> (Tensor, Backward?) {
      let name = node.layer.name
      let extents = [samples] + node.outputShape.extents
      let source = try plain(given, name)
      let output = Tensor(
        extents: extents, layout: try TensorLayout(plain: extents), place: source.place, isShared: source.isShared)
      guard needsGradient(node.input) else { return (output, nil) }
      return (
        output,
        { compiler, gradient throws(EngineError) in
          let own = try compiler.plain(gradient, "\(name) gradient")
          try compiler.deliver(compiler.unflattened(own, as: given), to: node.input)
        }
      )
    }
  }

  extension StepContext where Scalar == Float {
    /// What operations are given in a step of the oneDNN engine.
    fileprivate init(samples: Int, arena: UnsafeMutablePointer<Float>, _ state: StepState) {
      self.init(
        samples: samples, arena: arena, parameters: UnsafePointer(state.parameters), gradient: state.gradient,
        labels: state.labels, targets: state.targets, targetStride: state.targetStride,
        sampleNumbers: state.sampleNumbers, epoch: state.epoch, isTraining: state.gradient != nil,
        statistics: state.statistics, buffers: state.buffers.map { UnsafePointer($0) }, loss: state.loss,
        correct: state.correct, failure: state.failure)
    }
  }
#endif

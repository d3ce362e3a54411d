#if OneDNN
  import CKernels
  import COneDNN
  import Networks
  import Tensors

  /// Turns a network into commands for one number of samples.
  ///
  /// Layouts are the library's choice from the input to the loss; a reorder stands only where two layers want different
  /// ones, and between the flat vector and the layouts of weights.
  final class GraphCompiler {
    /// A tensor of activations or of their gradient, for all samples.
    struct Tensor {
      /// The samples' number, then the shape of one.
      let extents: [Int]
      let layout: TensorLayout
      let place: Place
      /// Whether others read it as well, so that nobody may write over it.
      var isShared = false

      /// Elements of one sample.
      var count: Int { extents.dropFirst().reduce(1, *) }
    }

    /// What a layer's backward pass does with the gradient of its output.
    typealias Backward = (GraphCompiler, Tensor) throws(EngineError) -> Void

    let network: Network
    let samples: Int
    /// The seed of what is random; nil in a plan for inference.
    let seed: UInt64?
    /// What activations and the weights of a step are kept in.
    let precision: Precision
    /// Threads that compute.
    let threads: Int
    /// For each batch normalisation that is computed with a sum: the sum.
    let additions: [Int: Int]
    /// Gives the threads of what the library does not compute.
    let team: () -> ThreadTeam
    private let stream: PrimitiveStream

    /// The layers in runs; all but the last are computed again in the backward pass.
    private let segments: [Range<Int>]
    /// Whether layers are added that were added before: what a step tells others is then left out.
    private(set) var isRecomputing = false
    /// Where layers that are computed together begin: those with which a run may begin.
    private(set) var unitStarts: [Int] = []

    private var commands: [any Command] = []
    private var marks: [CommandMark] = []
    private var regions: [ArenaRegion] = []
    private var finals: [Int: Range<Int>] = [:]
    private var outputs: [Tensor] = []
    private var layerOutputs: [CompiledGraph.Output] = []
    /// For each layer what its backward pass does; nil where none before it has parameters.
    private var backwards: [Backward?] = []
    private var gradients: [Tensor?]
    /// Second gradients of layers whose backward pass adds them itself, and those layers.
    private var otherGradients: [Int: Tensor] = [:]
    private var addsGradients: Set<Int> = []
    var logitsGradient: Tensor?

    /// A compiler for exactly so many samples; for training where there is a seed.
    ///
    /// - Parameters:
    ///   - cuts: the layers before which the network is cut into runs, in order. Of all runs but the last only what later
    ///     ones read is kept: the rest is computed again before their backward passes.
    ///   - team: gives the threads of what the library does not compute.
    init(
      _ network: Network, samples: Int, seed: UInt64?, threads: Int, precision: Precision = .fp32, cuts: [Int] = [],
      team: @escaping () -> ThreadTeam
    ) throws(EngineError) {
      self.team = team
      self.network = network
      self.samples = samples
      self.seed = seed
      self.precision = precision
      self.threads = threads
      additions = Self.normalizedSums(network)
      let ends = [0] + cuts + [network.nodes.count]
      segments = zip(ends, ends.dropFirst()).map { $0..<$1 }
      stream = try PrimitiveStream()
      gradients = Array(repeating: nil, count: network.nodes.count)
    }

    /// The number format of activations and of the weights of a step.
    var activation: dnnl_data_type_t { precision == .bf16 ? dnnl_bf16 : dnnl_f32 }

    /// Whether the plan is for training.
    var isForTraining: Bool { seed != nil }

    // MARK: Emitting

    func region(bytes: Int) -> ArenaRegion {
      let region = ArenaRegion(bytes: bytes)
      regions.append(region)
      return region
    }

    /// A new tensor of the arena.
    func makeTensor(_ extents: [Int], _ layout: TensorLayout) -> Tensor {
      Tensor(extents: extents, layout: layout, place: .region(region(bytes: layout.bytes)))
    }

    func makePlainTensor(_ extents: [Int]) throws(EngineError) -> Tensor {
      makeTensor(extents, try TensorLayout(plain: extents))
    }

    /// Adds a primitive.
    func emit(
      _ purpose: String, _ descriptor: PrimitiveDescriptor, _ arguments: [PrimitiveCommand.Argument]
    ) throws(EngineError) {
      let command = try PrimitiveCommand(purpose, descriptor, arguments, stream: stream)
      for region in command.regions { region.use(at: commands.count) }
      commands.append(command)
    }

    /// Adds a loop of ours that uses the tensors.
    func emit(
      _ purpose: String, by implementation: String = "convoy", uses tensors: [Tensor],
      _ body: @escaping (inout StepState) -> Void
    ) {
      use(tensors)
      // By custom what it sets comes last; the gradient of weights lies in the flat vector.
      let result = purpose.hasSuffix("weights' gradient") ? nil : tensors.last
      commands.append(KernelCommand(purpose, by: implementation, result: result, body))
    }

    /// Says that the next command uses tensors.
    func use(_ tensors: [Tensor]) {
      for tensor in tensors { if case .region(let region) = tensor.place { region.use(at: commands.count) } }
    }

    /// Adds a loop of ours that all threads share; what it uses was said before.
    func emit(
      _ purpose: String, by implementation: String = KernelCommand.ownImplementation, sets result: Tensor,
      workspaceBytes: Int, _ phases: [ParallelCommand.Phase]
    ) {
      commands.append(
        ParallelCommand(
          purpose, by: implementation, parts: threads, result: result, workspaceBytes: workspaceBytes, phases))
    }

    /// Says that a range of the gradient is final once what was emitted last is done.
    func markFinal(_ range: Range<Int>) {
      finals[commands.count - 1] = range
    }

    // MARK: The graph

    /// Compiles the whole network.
    func compile() throws(EngineError) -> CompiledGraph {
      try addForward(network.nodes.indices)
      let forwardCount = commands.count
      if isForTraining { try addBackward() }
      return CompiledGraph(
        commands: commands, marks: marks, forwardCount: forwardCount, finals: finals, regions: regions,
        outputs: layerOutputs)
    }

    /// Adds the forward passes of a run of layers; where they were added before, their tensors and backward passes are
    /// those of this time from now on.
    private func addForward(_ layers: Range<Int>) throws(EngineError) {
      let input = try networkInput()
      var index = layers.lowerBound
      while index < layers.upperBound {
        let node = network.nodes[index]
        let sources = node.inputs.map { $0.map { outputs[$0] } ?? input }
        let fusesReLU = fusesReLU(after: index)
        if isRecomputing, node.layer.kind.isLoss {
          // Its gradient was kept.
          index += 1
          continue
        }
        // A normalisation and the sum that it is computed with are not cut apart.
        let isInside = additions.contains { $0.key < index && index <= $0.value }
        if !isRecomputing, !isInside { unitStarts.append(index) }
        if additions[index] != nil {
          // Computed with the sum that reads it.
          set(sources[0], nil, of: index)
          index += 1
          continue
        }
        let (output, backward) = try add(node, index: index, sources: sources, hasReLU: fusesReLU)
        set(output, backward, of: index)
        if !isRecomputing {
          layerOutputs.append(
            CompiledGraph.Output(
              name: node.layer.name, isLoss: node.layer.kind.isLoss, tensor: output, commandCount: commands.count))
        }
        if fusesReLU {
          // The layer's own backward pass begins with the ReLU's.
          let layer = index
          let relu: Backward = { compiler, gradient throws(EngineError) in
            try compiler.deliver(gradient, to: layer)
            compiler.otherGradients[layer] = compiler.otherGradients.removeValue(forKey: layer + 1)
          }
          set(output, relu, of: index + 1)
        }
        mark(index, isRecomputing ? .recomputation : .forward)
        index += fusesReLU ? 2 : 1
      }
    }

    private func set(_ output: Tensor, _ backward: Backward?, of index: Int) {
      if index == outputs.count {
        outputs.append(output)
        backwards.append(backward)
      } else {
        outputs[index] = output
        backwards[index] = backward
      }
    }

    private func addBackward() throws(EngineError) {
      for segment in segments.reversed() {
        if segment.upperBound < network.nodes.count {
          isRecomputing = true
          try addForward(segment)
          isRecomputing = false
        }
        for index in segment.reversed() {
          guard let backward = backwards[index] else { continue }
          if index == network.nodes.count - 1, let logitsGradient {
            try backward(self, logitsGradient)
          } else if let gradient = gradients[index] {
            try backward(self, gradient)
          }
          mark(index, .backward)
        }
      }
    }

    /// Notes what the commands since the last mark are for.
    private func mark(_ node: Int, _ pass: CommandMark.Pass) {
      marks += Array(repeating: CommandMark(node: node, pass: pass), count: commands.count - marks.count)
    }

    /// Notes the gradient that a loss finds in its forward pass.
    func setGradient(_ gradient: Tensor, ofLoss index: Int) {
      gradients[index] = gradient
    }

    /// Hands the gradient of a layer's input to whoever made that input.
    ///
    /// - Parameter index: the layer whose output it is the gradient of; nil for the network's input.
    func deliver(_ gradient: Tensor, to index: Int?) throws(EngineError) {
      guard let index, needsGradient(index) else { return }
      guard let earlier = gradients[index] else {
        gradients[index] = gradient
        return
      }
      if addsGradients.contains(index), otherGradients[index] == nil {
        otherGradients[index] = gradient
      } else {
        gradients[index] = try gradientSum(earlier, gradient, network.nodes[index].layer.name)
      }
    }

    /// Says that a layer's backward pass adds a second gradient itself, which it takes with `otherGradient`.
    func addsGradients(of index: Int) { addsGradients.insert(index) }

    /// The second gradient of a layer, to be added to the one that its backward pass is given.
    func otherGradient(of index: Int) -> Tensor? { otherGradients.removeValue(forKey: index) }

    /// Sets what a layer that was passed over gives.
    func setLate(_ output: Tensor, _ backward: Backward?, of index: Int) { set(output, backward, of: index) }

    /// The tensor that a layer reads first.
    func input(of node: Network.Node) throws(EngineError) -> Tensor {
      guard let index = node.input else { return try networkInput() }
      return outputs[index]
    }

    private func networkInput() throws(EngineError) -> Tensor {
      let extents = [samples] + network.inputShape.extents
      return Tensor(extents: extents, layout: try TensorLayout(plain: extents), place: .inputs, isShared: true)
    }

    /// Whether a layer or one before it has parameters, so that the gradient of its output matters.
    func needsGradient(_ index: Int?) -> Bool {
      guard isForTraining, let index else { return false }
      return index < backwards.count && backwards[index] != nil
    }
  }

  extension GraphCompiler.Tensor {
    /// The tensor as an argument of a primitive.
    func argument(_ index: Int32) -> PrimitiveCommand.Argument {
      PrimitiveCommand.Argument(index: index, layout: layout, place: place)
    }
  }
#endif

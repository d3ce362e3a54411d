import Networks
import Tensors

/// Turns a network into operations and the places of their tensors in one arena.
struct PlanCompiler<Scalar: EngineScalar> {
  private let network: Network
  private let batch: Int
  private let team: ThreadTeam
  private let seed: UInt64?

  private(set) var operations: [any Operation<Scalar>] = []
  private(set) var input: Slot
  /// Elements of the arena.
  private(set) var elements = 0

  /// Every tensor begins at a multiple of this many elements: a cache line of either format.
  private static var alignment: Int { 16 }

  /// Where the logits lie, and their gradient in a plan for training.
  private(set) var logits: (value: Slot, gradient: Slot?)
  /// The gradient of the input, which only a check of a layer asks for.
  private(set) var inputGradient: Slot?

  /// Compiles for up to `batch` samples; for training where there is a seed.
  init(_ network: Network, batch: Int, team: ThreadTeam, seed: UInt64?, needsInputGradient: Bool = false) {
    self.network = network
    self.batch = batch
    self.team = team
    self.seed = seed
    input = Slot(offset: 0, channels: 0, plane: nil)
    logits = (input, nil)
    input = reserve(network.inputShape)
    inputGradient = gradient(network.inputShape, isNeeded: needsInputGradient)
    compile()
  }

  private mutating func reserve(_ count: Int) -> Slot {
    let slot = Slot(offset: elements, channels: count, plane: nil)
    elements += (count + Self.alignment - 1) / Self.alignment * Self.alignment
    return slot
  }

  /// A tensor of activations, for a whole batch.
  private mutating func reserve(_ shape: Shape) -> Slot {
    let offset = reserve(batch * shape.count).offset
    return shape.rank == 3
      ? Slot(offset: offset, channels: shape[0], plane: shape[1] * shape[2])
      : Slot(offset: offset, channels: shape.count, plane: nil)
  }

  /// A tensor on its way through the network: its values, their gradient where something before needs it.
  private struct Tensor {
    var value: Slot
    var gradient: Slot?
    /// Whether a later function may write over the values.
    var mayBeOverwritten: Bool
  }

  private mutating func compile() {
    var outputs: [Tensor] = []
    var index = 0
    while index < network.nodes.count {
      let node = network.nodes[index]
      var source =
        node.input.map { outputs[$0] } ?? Tensor(value: input, gradient: inputGradient, mayBeOverwritten: false)
      if case .fullyConnected = node.layer.kind, source.value.plane != nil { source = flatten(source) }
      let fusesReLU = canFuseReLU(after: index)
      let output = add(node, index: index, source: source, fusesReLU: fusesReLU)
      outputs.append(output)
      if fusesReLU { outputs.append(output) }
      index += fusesReLU ? 2 : 1
    }
  }

  private func canFuseReLU(after index: Int) -> Bool {
    switch network.nodes[index].layer.kind {
    case .convolution, .fullyConnected: break
    default: return false
    }
    guard index + 1 < network.nodes.count else { return false }
    return network.nodes[index + 1].layer.kind == .relu && network.nodes[index + 1].input == index
  }

  /// A gradient for a tensor in a plan for training, where it or something before it has parameters.
  private mutating func gradient(_ shape: Shape, isNeeded: Bool) -> Slot? {
    seed != nil && isNeeded ? reserve(shape) : nil
  }

  private mutating func flatten(_ source: Tensor) -> Tensor {
    let shape: Shape = [source.value.count]
    let output = Tensor(
      value: reserve(shape), gradient: gradient(shape, isNeeded: source.gradient != nil), mayBeOverwritten: true)
    operations.append(FlattenOperation<Scalar>(places: places(source, output)))
    return output
  }

  private func places(_ source: Tensor, _ output: Tensor) -> Places {
    Places(
      input: source.value, output: output.value, outputGradient: output.gradient, inputGradient: source.gradient)
  }

  private mutating func add(_ node: Network.Node, index: Int, source: Tensor, fusesReLU: Bool) -> Tensor {
    switch node.layer.kind {
    case .convolution(let layer): return addConvolution(layer, node, source, fusesReLU: fusesReLU)
    case .fullyConnected: return addFullyConnected(node, source, fusesReLU: fusesReLU)
    case .maxPooling(let pooling): return addPooling(pooling, isMaximum: true, node, source)
    case .averagePooling(let pooling): return addPooling(pooling, isMaximum: false, node, source)
    case .relu: return addActivation(Scalar.kernels.relu, Scalar.kernels.reluBackward, node, source)
    case .tanh: return addActivation(Scalar.kernels.tanh, Scalar.kernels.tanhBackward, node, source)
    case .sigmoid: return addActivation(Scalar.kernels.sigmoid, Scalar.kernels.sigmoidBackward, node, source)
    case .dropout(let probability):
      let output = inPlace(source, node)
      var slots: [Slot] = []
      if seed != nil { slots = [reserve(batch * source.value.count)] }
      operations.append(
        DropoutOperation<Scalar>(
          probability, seed: seed ?? 0, layer: index, batch: batch, places: places(source, output),
          reserve: { _ in slots.first ?? Slot(offset: 0, channels: 0, plane: nil) }))
      return output
    case .flatten: return source.value.plane == nil ? source : flatten(source)
    case .softmaxCrossEntropy:
      logits = (source.value, source.gradient)
      operations.append(LossOperation<Scalar>(logits: source.value, gradient: source.gradient))
      return source
    }
  }

  private func parameters(_ node: Network.Node) -> (weights: Range<Int>, bias: Range<Int>?) {
    let layout = network.parameterLayout
    guard let weights = layout["\(node.layer.name).weight"] else {
      preconditionFailure("layer \(node.layer.name) has no weights")
    }
    return (weights.range, layout["\(node.layer.name).bias"]?.range)
  }

  private mutating func addConvolution(
    _ layer: Convolution, _ node: Network.Node, _ source: Tensor, fusesReLU: Bool
  ) -> Tensor {
    let output = Tensor(
      value: reserve(node.outputShape), gradient: gradient(node.outputShape, isNeeded: true),
      mayBeOverwritten: !fusesReLU)
    let (weights, bias) = parameters(node)
    var compiler = self
    let operation = ConvolutionOperation<Scalar>(
      layer, node: node, places: places(source, output), weights: weights, bias: bias, hasReLU: fusesReLU, team: team,
      reserve: { compiler.reserve($0) })
    elements = compiler.elements
    operations.append(operation)
    return output
  }

  private mutating func addFullyConnected(_ node: Network.Node, _ source: Tensor, fusesReLU: Bool) -> Tensor {
    let output = Tensor(
      value: reserve(node.outputShape), gradient: gradient(node.outputShape, isNeeded: true),
      mayBeOverwritten: !fusesReLU)
    let (weights, bias) = parameters(node)
    operations.append(
      FullyConnectedOperation<Scalar>(
        places: places(source, output), weights: weights, bias: bias, hasReLU: fusesReLU, team: team))
    return output
  }

  private mutating func addPooling(
    _ pooling: Pooling, isMaximum: Bool, _ node: Network.Node, _ source: Tensor
  ) -> Tensor {
    let output = Tensor(
      value: reserve(node.outputShape), gradient: gradient(node.outputShape, isNeeded: source.gradient != nil),
      mayBeOverwritten: true)
    var compiler = self
    let operation = PoolingOperation<Scalar>(
      pooling, isMaximum: isMaximum, node: node, batch: batch, places: places(source, output), team: team,
      reserve: { compiler.reserve($0) })
    elements = compiler.elements
    operations.append(operation)
    return output
  }

  private mutating func addActivation(
    _ function: @escaping LayerKernels<Scalar>.Elementwise,
    _ derivative: @escaping LayerKernels<Scalar>.ElementwiseBackward, _ node: Network.Node, _ source: Tensor
  ) -> Tensor {
    var output = inPlace(source, node)
    // Its derivative is read from its output.
    output.mayBeOverwritten = false
    operations.append(ActivationOperation<Scalar>(function, derivative, places: places(source, output)))
    return output
  }

  /// The output of a function of each element: where its input is, if that may be overwritten.
  private mutating func inPlace(_ source: Tensor, _ node: Network.Node) -> Tensor {
    if source.mayBeOverwritten { return source }
    return Tensor(
      value: reserve(node.outputShape), gradient: gradient(node.outputShape, isNeeded: source.gradient != nil),
      mayBeOverwritten: true)
  }
}

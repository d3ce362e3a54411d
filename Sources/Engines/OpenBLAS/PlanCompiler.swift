import Networks
import Tensors

/// A tensor on its way through the network.
struct PlanTensor {
  let value: Slot
  /// Where its gradient lies; nil where nothing before needs it, and in a plan for inference.
  let gradient: Slot?
  /// Whether its one reader may write over the values.
  var mayBeOverwritten: Bool

  var source: Source { Source(value: value, gradient: gradient) }
}

/// Where a layer's output lies once its operations are done.
struct LayerOutput {
  let name: String
  let isLoss: Bool
  let slot: Slot
  /// Number of operations that are then done, this layer's included.
  let operationCount: Int
}

/// Turns a network into operations and the places of their tensors in one arena.
///
/// A tensor that one layer reads may be written over by it. The gradient of a tensor that several read is set by the
/// reader whose backward pass comes first, and the others add to it: each sets a gradient of its own, which a
/// `GradientSumOperation` adds.
struct PlanCompiler<Scalar: EngineScalar> {
  let network: Network
  let batch: Int
  let team: ThreadTeam
  let seed: UInt64?
  /// Whether every layer's output stays as it was computed: nothing is written over, and no ReLU is fused.
  let keepsTensors: Bool
  let arena: ArenaLayout

  /// The elements of the arena that each layer took.
  private(set) var footprints: [LayerFootprint] = []
  private(set) var operations: [any Operation<Scalar>] = []
  /// Where each layer's output lies, for whoever looks for the first that is not finite.
  private(set) var outputs: [LayerOutput] = []
  let input: Slot
  /// What the main loss takes: in a classifier the logits.
  private(set) var logits: Source
  /// The gradient of the input, which only a check of a layer asks for.
  let inputGradient: Slot?

  /// What each node gives, after the network's input.
  private var tensors: [PlanTensor]
  /// How often each of those is read, in all and by nodes still to come.
  private let readers: [Int]
  private var readersLeft: [Int]
  /// Where readers set a gradient that is then added to another: one for each place among a layer's inputs.
  private var scratch: [Slot] = []

  /// Compiles for up to `batch` samples; for training where there is a seed.
  init(
    _ network: Network, batch: Int, team: ThreadTeam, seed: UInt64?, needsInputGradient: Bool = false,
    keepsTensors: Bool = false
  ) {
    self.network = network
    self.batch = batch
    self.team = team
    self.seed = seed
    self.keepsTensors = keepsTensors
    arena = ArenaLayout(batch: batch)
    input = arena.reserve(network.inputShape)
    inputGradient = seed != nil && needsInputGradient ? arena.reserve(network.inputShape) : nil
    logits = Source(value: input, gradient: inputGradient)
    tensors = [PlanTensor(value: input, gradient: inputGradient, mayBeOverwritten: false)]
    var readers = Array(repeating: 0, count: network.nodes.count + 1)
    for source in network.nodes.flatMap(\.inputs) { readers[Self.index(source)] += 1 }
    self.readers = readers
    readersLeft = readers
    if seed != nil { reserveScratch() }
    compile()
  }

  /// A compiler that has added nothing yet, for a caller that adds nodes one by one and says what they take.
  init(empty network: Network, batch: Int, team: ThreadTeam, seed: UInt64?) {
    self.network = network
    self.batch = batch
    self.team = team
    self.seed = seed
    keepsTensors = false
    arena = ArenaLayout(batch: batch)
    input = ArenaLayout.slot(at: 0, network.inputShape)
    inputGradient = nil
    logits = Source(value: input, gradient: nil)
    tensors = []
    // Every tensor has other readers: nothing is written over.
    readers = Array(repeating: 2, count: network.nodes.count + 1)
    readersLeft = readers
  }

  private static func index(_ source: Int?) -> Int { source.map { $0 + 1 } ?? 0 }

  private mutating func reserveScratch() {
    var counts: [Int] = []
    for node in network.nodes {
      for (position, source) in node.inputs.enumerated() where readers[Self.index(source)] > 1 {
        while counts.count <= position { counts.append(0) }
        counts[position] = max(counts[position], node.inputShapes[position].count)
      }
    }
    scratch = counts.map { arena.reserve(batch * $0) }
  }

  private mutating func compile() {
    var index = 0
    while index < network.nodes.count {
      let node = network.nodes[index]
      let (firstElement, firstOperation) = (arena.elements, operations.count)
      let sources = node.inputs.indices.map { read(node, $0) }
      let fusesReLU = canFuseReLU(after: index)
      let output = add(node, index: index, sources: sources, fusesReLU: fusesReLU)
      outputs.append(
        LayerOutput(
          name: node.layer.name, isLoss: node.layer.kind.isLoss, slot: output.value, operationCount: operations.count))
      tensors.append(output)
      if fusesReLU { tensors.append(output) }
      footprints.append(
        LayerFootprint(
          node: index, elements: arena.elements - firstElement, operations: firstOperation..<operations.count))
      index += fusesReLU ? 2 : 1
    }
  }

  /// An input of a node, with the place where the node sets its gradient.
  private mutating func read(_ node: Network.Node, _ position: Int) -> PlanTensor {
    let index = Self.index(node.inputs[position])
    let tensor = tensors[index]
    readersLeft[index] -= 1
    guard readers[index] > 1 else { return tensor }
    guard let gradient = tensor.gradient, readersLeft[index] > 0 else {
      return PlanTensor(value: tensor.value, gradient: tensor.gradient, mayBeOverwritten: false)
    }
    // A loss sets its gradient in the forward pass: that place is nobody else's until the backward pass.
    let place = node.layer.kind.isLoss ? arena.reserve(batch * gradient.count) : scratch[position]
    let own = Slot(offset: place.offset, channels: gradient.channels, plane: gradient.plane)
    operations.append(GradientSumOperation<Scalar>(adding: own, to: gradient, team: team))
    return PlanTensor(value: tensor.value, gradient: own, mayBeOverwritten: false)
  }

  private func canFuseReLU(after index: Int) -> Bool {
    guard !keepsTensors else { return false }
    switch network.nodes[index].layer.kind {
    case .convolution, .fullyConnected: break
    default: return false
    }
    guard index + 1 < network.nodes.count, readers[index + 1] == 1 else { return false }
    return network.nodes[index + 1].layer.kind == .relu && network.nodes[index + 1].input == index
  }

  // MARK: What layers are added with

  /// Adds an operation.
  mutating func append(_ operation: some Operation<Scalar>) {
    operations.append(operation)
  }

  /// Notes what the main loss takes.
  mutating func setLogits(_ source: Source) {
    logits = source
  }

  /// A new tensor; with a gradient in a plan for training where it or something before it has parameters.
  func tensor(_ shape: Shape, hasGradient: Bool, mayBeOverwritten: Bool = true) -> PlanTensor {
    PlanTensor(
      value: arena.reserve(shape), gradient: seed != nil && hasGradient ? arena.reserve(shape) : nil,
      mayBeOverwritten: mayBeOverwritten && !keepsTensors)
  }

  /// The output of a function of each element: where its input is, if that may be overwritten.
  func inPlace(_ source: PlanTensor, _ shape: Shape) -> PlanTensor {
    source.mayBeOverwritten ? source : tensor(shape, hasGradient: source.gradient != nil)
  }

  /// The places of an operation that takes one tensor.
  func places(_ source: PlanTensor, _ output: PlanTensor) -> Places {
    Places(
      input: source.value, output: output.value, outputGradient: output.gradient, inputGradient: source.gradient)
  }

  /// Whether a node's input is read by it alone.
  func isOnlyReader(of source: Int?) -> Bool { readers[Self.index(source)] == 1 }

  /// Where a parameter of a node lies, or nil.
  func parameter(_ name: String, of node: Network.Node) -> Range<Int>? {
    network.parameterLayout["\(node.layer.name).\(name)"]?.range
  }

  /// Where a node's weights lie.
  func weights(of node: Network.Node) -> Range<Int> {
    guard let range = parameter("weight", of: node) else {
      preconditionFailure("layer \(node.layer.name) has no weights")
    }
    return range
  }

  /// Where a buffer of a node lies.
  func buffer(_ name: String, of node: Network.Node) -> Range<Int> {
    guard let range = network.bufferLayout["\(node.layer.name).\(name)"]?.range else {
      preconditionFailure("layer \(node.layer.name) has no buffer \(name)")
    }
    return range
  }
}

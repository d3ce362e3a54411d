import Tensors

/// Puts layers in their places, one after another, and checks that they fit together.
struct GraphBuilder {
  private let input: Shape
  private let layers: [Layer]
  private(set) var nodes: [Network.Node] = []
  private(set) var parameterLayout = ParameterLayout()
  private(set) var bufferLayout = ParameterLayout()
  private var indices: [String: Int] = [:]
  private var targets = 0

  init(input: Shape, layers: [Layer]) {
    self.input = input
    self.layers = layers
  }

  /// Puts the next layer in its place.
  mutating func append(_ layer: Layer) throws(NetworkError) {
    guard indices[layer.name] == nil else {
      throw NetworkError(layer: layer.name, problem: "two layers have this name")
    }
    guard layer.name != Network.inputName else {
      throw NetworkError(layer: layer.name, problem: "this name is that of the network's input")
    }
    let sources = try sources(of: layer)
    let shapes = sources.map { $0.map { nodes[$0].outputShape } ?? input }
    guard layer.kind.inputCounts.contains(sources.count) else { throw wrongCount(layer, sources, shapes) }
    let output = try ShapeInference.output(of: layer, from: shapes)
    for parameter in layer.parameters(inputShape: shapes[0]) {
      parameterLayout.append(parameter.name, shape: try ShapeInference.shape(parameter.extents, layer.name))
    }
    for buffer in layer.buffers(inputShape: shapes[0]) { bufferLayout.append(buffer.name, shape: buffer.shape) }
    let end = targets + (layer.kind.loss.map { $0.function.targets(inputShape: shapes[0]) } ?? 0)
    indices[layer.name] = nodes.count
    nodes.append(
      Network.Node(
        layer: layer, inputs: sources, inputShapes: shapes, outputShape: output, targets: targets..<end))
    targets = end
  }

  private func sources(of layer: Layer) throws(NetworkError) -> [Int?] {
    guard !layer.inputs.isEmpty else {
      if let last = nodes.last, last.layer.kind.isLoss {
        throw NetworkError(layer: layer.name, problem: "it takes from the loss \(last.layer.name): name another layer")
      }
      return [nodes.isEmpty ? nil : nodes.count - 1]
    }
    var sources: [Int?] = []
    for wanted in layer.inputs { sources.append(try source(wanted, of: layer)) }
    return sources
  }

  private func source(_ wanted: String, of layer: Layer) throws(NetworkError) -> Int? {
    if wanted == Network.inputName { return nil }
    guard let index = indices[wanted] else {
      let isLater = wanted == layer.name || layers.contains { $0.name == wanted }
      throw NetworkError(
        layer: layer.name,
        problem: isLater
          ? "it takes from \(wanted), which does not come before it in the table"
          : "there is no layer \(wanted) before it to take from")
    }
    guard !nodes[index].layer.kind.isLoss else {
      throw NetworkError(layer: layer.name, problem: "it takes from \(wanted), which is a loss")
    }
    return index
  }

  private func wrongCount(_ layer: Layer, _ sources: [Int?], _ shapes: [Shape]) -> NetworkError {
    let counts = layer.kind.inputCounts
    let expected =
      counts.count == 1
      ? "\(counts.lowerBound) input\(counts.lowerBound == 1 ? "" : "s")"
      : "\(counts.lowerBound) inputs or more"
    let given = zip(sources, shapes).map { source, shape in
      "\(source.map { nodes[$0].layer.name } ?? Network.inputName) of shape \(shape)"
    }
    return NetworkError(
      layer: layer.name, problem: "it takes \(expected), not \(sources.count): \(given.joined(separator: ", "))")
  }

  /// Checks that the table ends in a loss, and that everything in it leads to one.
  func checkEnds(network: String) throws(NetworkError) {
    guard let last = nodes.last, last.layer.kind.isLoss else {
      throw NetworkError(layer: nodes.last?.layer.name ?? network, problem: "a network ends in its main loss")
    }
    let taken = Set(nodes.flatMap { $0.inputs.compactMap { $0 } })
    for (index, node) in nodes.enumerated() where !node.layer.kind.isLoss && !taken.contains(index) {
      throw NetworkError(
        layer: node.layer.name, problem: "no layer takes its output of shape \(node.outputShape), and it is no loss")
    }
  }
}

extension LossFunction {
  /// How many targets of a sample it reads.
  func targets(inputShape: Shape) -> Int {
    switch self {
    case .softmaxCrossEntropy(let settings): settings.isPerPlace ? inputShape.count / inputShape[0] : 0
    case .sigmoidCrossEntropy, .l2, .l1, .smoothL1: inputShape.count
    case .hinge, .contrastive: 0
    }
  }
}

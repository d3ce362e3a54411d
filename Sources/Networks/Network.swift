public import Tensors

/// A network as a value: a graph of layers and the shapes between them, no storage.
public struct Network: Hashable, Sendable {
  /// A layer in its place.
  public struct Node: Hashable, Sendable {
    /// The layer.
    public let layer: Layer
    /// The indices of the nodes whose outputs it takes; nil stands for the network's input.
    public let inputs: [Int?]
    /// The shapes of what it takes, for one sample.
    public let inputShapes: [Shape]
    /// The shape of what it gives, for one sample.
    public let outputShape: Shape
    /// Which of a sample's targets it reads, if it is a loss: the losses' targets lie one after another.
    public let targets: Range<Int>

    /// The first of its inputs.
    public var input: Int? { inputs[0] }
    /// The shape of the first of its inputs.
    public var inputShape: Shape { inputShapes[0] }
  }

  /// The network's name.
  public let name: String
  /// The shape of one sample: `[features]`, `[channels, length]`, `[channels, height, width]` or `[channels, depth,
  /// height, width]`.
  public let inputShape: Shape
  /// The layers, each after those that it takes from. The last is a loss, the main one; others may be before it.
  public let nodes: [Node]
  /// Where each parameter lies in the flat vector.
  public let parameterLayout: ParameterLayout
  /// Where each buffer lies in a flat vector of its own: the running statistics of batch normalisation.
  public let bufferLayout: ParameterLayout

  /// Builds a network from a table of layers and checks that it fits together.
  public init(_ name: String, input: Shape, @LayerTable _ layers: () -> [Layer]) throws(NetworkError) {
    try self.init(name, input: input, layers: layers())
  }

  /// Builds a network from layers and checks that it fits together.
  public init(_ name: String, input: Shape, layers: [Layer]) throws(NetworkError) {
    guard (1...4).contains(input.rank), input.count > 0, input.count <= 1 << 32 else {
      throw NetworkError(
        layer: Self.inputName,
        problem: "a sample of shape \(input): it takes [features], or channels and one to three dimensions")
    }
    var builder = GraphBuilder(input: input, layers: layers)
    for layer in layers { try builder.append(layer) }
    try builder.checkEnds(network: name)
    self.name = name
    inputShape = input
    nodes = builder.nodes
    parameterLayout = builder.parameterLayout
    bufferLayout = builder.bufferLayout
  }

  /// What layers call the network's input.
  public static let inputName = "input"

  /// The number of classes of the main loss: the width of the logits, 2 for pairs, 0 for a loss without classes.
  public var classes: Int {
    guard let node = nodes.last, let loss = node.layer.kind.loss else { return 0 }
    return switch loss.function {
    case .softmaxCrossEntropy, .hinge: node.inputShape[0]
    case .contrastive: 2
    case .sigmoidCrossEntropy, .l2, .l1, .smoothL1: 0
    }
  }

  /// How many targets a sample has besides its label.
  public var targetCount: Int { nodes.last?.targets.upperBound ?? 0 }

  /// A text that two networks share exactly when they are the same graph with the same initialisers.
  public var canonicalDescription: String {
    let lines = nodes.map { node in
      let sources = node.inputs.map { $0.map { nodes[$0].layer.name } ?? Self.inputName }.joined(separator: ", ")
      let shapes = node.inputShapes.map(\.description).joined(separator: ", ")
      return "\(node.layer.name) \(node.layer.kind) from \(sources) \(shapes) to \(node.outputShape)"
    }
    return "network \(name) input \(inputShape)\n" + lines.joined(separator: "\n")
  }

  /// The parameters before the first step: the same for a seed on every machine.
  public func initialParameters(seed: UInt64) -> FlatVector {
    initialParameters(in: 0..<parameterLayout.count, seed: seed)
  }

  /// A part of the parameters before the first step: the very elements of the whole, without the time for the rest.
  public func initialParameters(in range: Range<Int>, seed: UInt64) -> FlatVector {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= parameterLayout.count, "\(range) of \(parameterLayout.count)")
    let vector = FlatVector(count: range.count)
    let parameters = nodes.flatMap { $0.layer.parameters(inputShape: $0.inputShape) }
    vector.withMutableSpan { span in
      for (index, entry) in parameterLayout.entries.enumerated() where entry.range.overlaps(range) {
        let part = entry.range.clamped(to: range)
        var values = span._mutatingExtracting(part.lowerBound - range.lowerBound..<part.upperBound - range.lowerBound)
        parameters[index].initializer.fill(
          &values, from: part.lowerBound - entry.range.lowerBound, shape: entry.shape,
          random: CounterRandom(seed, UInt64(index), Self.purpose))
      }
    }
    return vector
  }

  /// The buffers before the first step: running means 0, running variances 1.
  public func initialBuffers() -> FlatVector {
    FlatVector(
      nodes.flatMap { node in
        node.layer.buffers(inputShape: node.inputShape).flatMap { Array(repeating: $0.value, count: $0.shape.count) }
      })
  }

  /// Sets the first parameters' random stream apart from others of the same seed.
  private static let purpose: UInt64 = 0x696E_6974
}

/// Why layers make no network.
public struct NetworkError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The layer.
  public let layer: String
  /// What does not fit.
  public let problem: String

  /// One line for a person.
  public var description: String { "layer \(layer): \(problem)" }
}

/// Builds a network's table.
@resultBuilder
public enum LayerTable {
  /// A line.
  public static func buildExpression(_ line: any LayerConvertible) -> [Layer] { [line.layer] }
  /// Lines made elsewhere.
  public static func buildExpression(_ lines: [Layer]) -> [Layer] { lines }
  /// Lines below each other.
  public static func buildBlock(_ lines: [Layer]...) -> [Layer] { lines.flatMap { $0 } }
  /// Lines of a loop.
  public static func buildArray(_ lines: [[Layer]]) -> [Layer] { lines.flatMap { $0 } }
  /// Lines that may be left out.
  public static func buildOptional(_ lines: [Layer]?) -> [Layer] { lines ?? [] }
  /// Lines of one case.
  public static func buildEither(first lines: [Layer]) -> [Layer] { lines }
  /// Lines of the other case.
  public static func buildEither(second lines: [Layer]) -> [Layer] { lines }
}

public import Tensors

/// A network as a value: a graph of layers and the shapes between them, no storage.
public struct Network: Hashable, Sendable {
  /// A layer in its place.
  public struct Node: Hashable, Sendable {
    /// The layer.
    public let layer: Layer
    /// The index of the node whose output it takes; nil for the network's input.
    public let input: Int?
    /// The shape of what it takes, for one sample.
    public let inputShape: Shape
    /// The shape of what it gives, for one sample.
    public let outputShape: Shape
  }

  /// The network's name.
  public let name: String
  /// The shape of one sample: `[channels, height, width]`, or `[features]`.
  public let inputShape: Shape
  /// The layers, each after the one that it takes from. The last is the loss.
  public let nodes: [Node]
  /// Where each parameter lies in the flat vector.
  public let parameterLayout: ParameterLayout

  /// Builds a network from a table of layers and checks that it fits together.
  public init(_ name: String, input: Shape, @LayerTable _ layers: () -> [Layer]) throws(NetworkError) {
    try self.init(name, input: input, layers: layers())
  }

  /// Builds a network from layers and checks that it fits together.
  public init(_ name: String, input: Shape, layers: [Layer]) throws(NetworkError) {
    guard input.rank == 1 || input.rank == 3, input.count > 0 else {
      throw NetworkError(
        layer: "input", problem: "a sample of shape \(input): it takes [channels, height, width] or [features]")
    }
    var nodes: [Node] = []
    var layout = ParameterLayout()
    var readers = Set<Int>()
    for layer in layers {
      guard !nodes.contains(where: { $0.layer.name == layer.name }) else {
        throw NetworkError(layer: layer.name, problem: "two layers have this name")
      }
      let source = try Self.source(of: layer, in: nodes)
      guard readers.insert(source ?? -1).inserted else {
        throw NetworkError(layer: layer.name, problem: "its input is taken by another layer already")
      }
      let shape = source.map { nodes[$0].outputShape } ?? input
      let output = try ShapeInference.output(of: layer, from: shape)
      for parameter in layer.parameters(inputShape: shape) { layout.append(parameter.name, shape: parameter.shape) }
      nodes.append(Node(layer: layer, input: source, inputShape: shape, outputShape: output))
    }
    let losses = nodes.filter { $0.layer.kind == .softmaxCrossEntropy }
    guard losses.count == 1, nodes.last?.layer.kind == .softmaxCrossEntropy else {
      throw NetworkError(layer: nodes.last?.layer.name ?? name, problem: "a network ends in its one loss")
    }
    self.name = name
    inputShape = input
    self.nodes = nodes
    parameterLayout = layout
  }

  private static func source(of layer: Layer, in nodes: [Node]) throws(NetworkError) -> Int? {
    guard let wanted = layer.input else { return nodes.isEmpty ? nil : nodes.count - 1 }
    guard let index = nodes.firstIndex(where: { $0.layer.name == wanted }) else {
      throw NetworkError(layer: layer.name, problem: "there is no layer \(wanted) before it to take from")
    }
    return index
  }

  /// The number of classes: the width of the logits.
  public var classes: Int { nodes.last.map { $0.inputShape.count } ?? 0 }

  /// A text that two networks share exactly when they are the same graph with the same initialisers.
  public var canonicalDescription: String {
    let lines = nodes.map { node in
      "\(node.layer.name) \(node.layer.kind) from \(node.input.map { nodes[$0].layer.name } ?? "input") \(node.inputShape) to \(node.outputShape)"
    }
    return "network \(name) input \(inputShape)\n" + lines.joined(separator: "\n")
  }

  /// The parameters before the first step: the same for a seed on every machine.
  public func initialParameters(seed: UInt64) -> FlatVector {
    let vector = FlatVector(count: parameterLayout.count)
    let parameters = nodes.flatMap { $0.layer.parameters(inputShape: $0.inputShape) }
    vector.withMutableSpan { span in
      for (index, entry) in parameterLayout.entries.enumerated() {
        var values = span._mutatingExtracting(entry.range)
        parameters[index].initializer.fill(
          &values, shape: entry.shape, random: CounterRandom(seed, UInt64(index), Self.purpose))
      }
    }
    return vector
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

import Engines
import Networks
import Tensors

/// What a network's step decides: on which side of a kink an element lies, which element of a window is the largest.
///
/// A ReLU's input that is nearly zero lies on either side of it, by the order in which its sum was added up, and the two
/// gradients differ by what no tolerance of rounding covers: on one processor a comparison agrees, on another it does
/// not. So gradients are compared only on parameters with which no decision is near, and the double plan measures that:
/// a sum that is rounded, in whatever order it is added, is the exact sum of terms that are a little changed (Higham,
/// "Accuracy and Stability of Numerical Algorithms", 3.1). Here every parameter is changed by `termError` of itself, at
/// random and several times; how far that moves an element is what rounding of all layers before may do to it, and a
/// decision must be `width` times as far from being another.
struct Decisions {
  /// A decision that rounding could make another way: the layer that decides, and the channel of what it takes.
  struct Near: Hashable {
    let node: Int
    let channel: Int
  }

  /// No draw of parameters was found with which all decisions are wide.
  struct NoWideDraw: Error {
    let network: String
    let left: [String]
  }

  /// 64 roundings of fp32: a sum of n terms that is added one after another has an error of about 0.7 √n roundings of a
  /// typical term each, and the longest here have 9,216; Winograd's filtering of the catalogue's small networks, which
  /// rounds about ten times as much as direct passes do, stays below as well.
  static let fp32 = 0x1p-18
  /// Parameters and activations are both rounded, each by up to a 512th.
  static let bf16 = 0x1p-8

  /// How many times the typical error a decision's margin must be. A million decisions with errors of a normal
  /// distribution have their largest at five.
  static let width = 8.0
  private static let runs = 3
  private static let attempts = 200

  private let network: Network
  private let batch: Batch
  private let inputs: [Double]
  private let plan: DoublePlan
  private let termError: Double
  private let width: Double
  /// The layers that decide, and what each takes.
  private let deciders: [Int]
  private let windows: [Int: [[Int]]]

  /// The decisions of a step on a batch whose dropout has the seed.
  init(
    _ network: Network, batch: Batch, inputs: [Double]? = nil, seed: UInt64 = 5, termError: Double = fp32,
    width: Double = Decisions.width
  ) {
    self.network = network
    self.batch = batch
    self.inputs = inputs ?? batch.inputs.array.map(Double.init)
    self.termError = termError
    self.width = width
    plan = DoublePlan(
      network, batch: max(batch.count, 1), threads: 2, purpose: .training(seed: seed), keepsTensors: true)
    let last = network.nodes.count - 1
    deciders = network.nodes.indices.filter { network.nodes[$0].decides || ($0 == last && network.classes > 0) }
    windows = Dictionary(
      uniqueKeysWithValues: deciders.compactMap { index in network.nodes[index].maximumWindows.map { (index, $0) } })
  }

  // MARK: Parameters with which all decisions are wide

  /// Parameters with which rounding changes no decision: the given ones, but for the channels whose decisions are near.
  ///
  /// A bias is moved until no element of its channel is near a kink; where there is none to move, and for the largest of
  /// a window, the channel's weights are drawn anew. What is before and beside stays as it is.
  func widened(_ given: [Double]) throws -> [Double] {
    var parameters = given
    for attempt in 1...Self.attempts {
      let (near, moves) = try look(parameters)
      if near.isEmpty { return parameters }
      for decision in near {
        if let move = moves[decision], let bias = bias(of: decision) {
          parameters[bias] = Double(Float(parameters[bias] + move))
        }
      }
      let rows = Set(try near.filter { moves[$0] == nil || bias(of: $0) == nil }.map { try origin(of: $0, all: near) })
      for row in rows { redraw(row, of: &parameters, attempt: attempt) }
    }
    throw failure(try near(parameters))
  }

  /// The same for parameters of an engine.
  func widened(_ parameters: FlatVector) throws -> FlatVector {
    FlatVector(try widened(parameters.array.map(Double.init)).map { Float($0) })
  }

  private func failure(_ near: Set<Near>) -> NoWideDraw {
    NoWideDraw(
      network: network.name, left: near.map { "\(network.nodes[$0.node].layer.name), channel \($0.channel)" }.sorted())
  }

  /// The bias that all elements of a decision's channel have in common: of the layer right before, or of the last one
  /// that is added to a shortcut.
  private func bias(of near: Near) -> Int? { bias(network.nodes[near.node].input, near.channel) }

  private func bias(_ index: Int?, _ channel: Int) -> Int? {
    guard let node = index.map({ network.nodes[$0] }) else { return nil }
    switch node.layer.kind {
    case .convolution, .transposedConvolution, .fullyConnected, .batchNormalization:
      return network.parameterLayout["\(node.layer.name).bias"].map { $0.range.lowerBound + channel }
    case .addition: return node.inputs.compactMap { bias($0, channel) }.max()
    case .flatten: return bias(node.input, channel / (node.inputShape.count / node.inputShape[0]))
    default: return nil
    }
  }

  /// What one channel of a layer is computed with, or all of them.
  private struct Row: Hashable {
    let node: Int
    let row: Int?
  }

  /// The parameters that a decision's input comes from: those of the nearest layer before it.
  private func origin(of near: Near, all: Set<Near>) throws -> Row {
    guard let row = row(network.nodes[near.node].input, near.channel) else { throw failure(all) }
    return row
  }

  private func row(_ index: Int?, _ channel: Int?) -> Row? {
    guard let index else { return nil }
    let node = network.nodes[index]
    switch node.layer.kind {
    case .convolution, .fullyConnected: return Row(node: index, row: channel)
    case .transposedConvolution(let layer): return Row(node: index, row: layer.groups == 1 ? channel : nil)
    case .embedding: return Row(node: index, row: nil)
    case .flatten: return row(node.input, channel.map { $0 / (node.inputShape.count / node.inputShape[0]) })
    case .concatenation:
      var channel = channel ?? 0
      for (source, shape) in zip(node.inputs, node.inputShapes) {
        if channel < shape[0] { return row(source, channel) }
        channel -= shape[0]
      }
      return nil
    case .reshape, .crop, .pad, .slice, .bilinearUpsampling, .softmax: return row(node.input, nil)
    default: return node.inputs.compactMap { row($0, channel) }.max { $0.node < $1.node }
    }
  }

  private func redraw(_ origin: Row, of parameters: inout [Double], attempt: Int) {
    let node = network.nodes[origin.node]
    var isTransposed = false
    if case .transposedConvolution = node.layer.kind { isTransposed = true }
    for entry in network.parameterLayout.entries
    where ["\(node.layer.name).weight", "\(node.layer.name).bias"].contains(entry.name) {
      // The dimension of the layer's channels; the first but for weights of a transposed convolution.
      let dimension = isTransposed && entry.shape.rank > 1 ? 1 : 0
      let count = entry.shape.extents.dropFirst(dimension + 1).reduce(1, *)
      let indices = entry.range.filter { index in
        origin.row.map { (index - entry.range.lowerBound) / count % entry.shape[dimension] == $0 } ?? true
      }
      let square = indices.reduce(0) { $0 + parameters[$1] * parameters[$1] } / Double(indices.count)
      let random = CounterRandom(UInt64(attempt), UInt64(indices[0]))
      for (place, index) in indices.enumerated() {
        // As large as what was there, of even distribution, and exact in fp32.
        let value = (2 * random.uniform(at: UInt64(place)) - 1) * (3 * square).squareRoot()
        parameters[index] = Double(Float(value))
      }
    }
  }

  // MARK: Decisions that are near

  /// The decisions that rounding could make another way.
  func near(_ parameters: FlatVector) throws -> Set<Near> { try near(parameters.array.map(Double.init)) }

  /// The decisions that rounding could make another way.
  func near(_ parameters: [Double]) throws -> Set<Near> { try look(parameters).near }

  /// The decisions that are near, and for those at a kink by how much the channel's elements are to be moved.
  private func look(_ parameters: [Double]) throws -> (near: Set<Near>, moves: [Near: Double]) {
    let statistics = FlatVector(count: network.bufferLayout.count)
    var near: Set<Near> = []
    var moves: [Near: Double] = [:]
    let trained = try tensors(parameters, of: deciders, statistics: statistics, buffers: nil)
    for node in deciders {
      decide(node, trained) { near.insert($0) }
      guard !network.nodes[node].kinks.isEmpty, let tensor = network.nodes[node].input.flatMap({ trained[$0] }) else {
        continue
      }
      for decision in near where decision.node == node { moves[decision] = move(decision, tensor) }
    }
    // Which class is the likeliest is asked of an evaluation too, where that is another computation.
    let last = network.nodes.count - 1
    let isOther = network.nodes.contains { node in
      switch node.layer.kind {
      case .batchNormalization, .dropout: true
      default: false
      }
    }
    if network.classes > 0, isOther {
      let evaluated = try tensors(parameters, of: [last], statistics: nil, buffers: statistics)
      decide(last, evaluated) { near.insert($0) }
    }
    return (near, moves)
  }

  /// The least that a channel's elements are to be moved by so that none is near a kink, with as much to spare.
  private func move(_ near: Near, _ tensor: Tensor) -> Double {
    let elements = tensor.values.indices.filter { $0 / tensor.plane % tensor.channels == near.channel }
    let room = 4 * width * (elements.map { tensor.errors[$0] }.max() ?? 0)
    // Moves that bring an element to a kink. Between two of them that are far enough apart is room.
    let taken = elements.flatMap { element in
      network.nodes[near.node].kinks.map { $0 - tensor.values[element] }
    }.sorted()
    guard let first = taken.first, let last = taken.last else { return 0 }
    let between = zip(taken, taken.dropFirst()).filter { $1 - $0 >= room }.map { ($0 + $1) / 2 }
    return ([first - room, last + room] + between).min { abs($0) < abs($1) } ?? 0
  }

  /// What a layer takes, and how far rounding typically moves each element; 0 for what no parameter moves.
  private struct Tensor {
    let channels: Int
    let plane: Int
    let values: [Double]
    let errors: [Double]
  }

  /// What the layers take, by node; what comes straight from the network's input is exact and left out.
  private func tensors(
    _ parameters: [Double], of deciders: [Int], statistics: FlatVector?, buffers: FlatVector?
  ) throws -> [Int: Tensor] {
    let sources = Set(deciders.compactMap { network.nodes[$0].input })
    func outputs(_ parameters: [Double], _ statistics: FlatVector?) throws -> [Int: [Double]] {
      try plan.forward(
        inputs: inputs, batch: batch, parameters: parameters, statistics: statistics, buffers: buffers)
      return Dictionary(
        uniqueKeysWithValues: sources.map { ($0, plan.output(of: $0, samples: batch.count)) })
    }
    let exact = try outputs(parameters, statistics)
    var squares = exact.mapValues { [Double](repeating: 0, count: $0.count) }
    var changed = parameters
    for run in 1...Self.runs {
      change(&changed, from: parameters, run: run)
      for (source, moved) in try outputs(changed, nil) {
        guard let values = exact[source], var sums = squares.removeValue(forKey: source) else { continue }
        for index in values.indices {
          let distance = moved[index] - values[index]
          sums[index] += distance * distance / Double(Self.runs)
        }
        squares[source] = sums
      }
    }
    return exact.reduce(into: [:]) { tensors, entry in
      let shape = network.nodes[entry.key].outputShape
      let plane = shape.rank == 1 ? 1 : shape.count / shape[0]
      tensors[entry.key] = Tensor(
        channels: shape[0], plane: plane, values: entry.value,
        errors: errors(squares[entry.key]!, channels: shape[0], plane: plane))
    }
  }

  /// Errors of elements: each one's own, and at least the root mean square of its channel's, of a flat tensor's all.
  private func errors(_ squares: [Double], channels: Int, plane: Int) -> [Double] {
    let groups = plane == 1 ? 1 : channels
    var means = [Double](repeating: 0, count: groups)
    for index in squares.indices { means[index / plane % groups] += squares[index] }
    for group in means.indices { means[group] *= Double(groups) / Double(squares.count) }
    return squares.indices.map { index in
      squares[index] == 0 ? 0 : max(squares[index], means[index / plane % groups]).squareRoot()
    }
  }

  /// Sets parameters, each changed by up to `termError` of itself.
  private func change(_ changed: inout [Double], from parameters: [Double], run: Int) {
    // A prime number of changes, so that neighbouring rows of weights do not share theirs.
    let changes = uniforms(8191, bound: termError, seed: UInt64(run)).map { 1 + $0 }
    changed.withUnsafeMutableBufferPointer { changed in
      parameters.withUnsafeBufferPointer { parameters in
        for first in stride(from: 0, to: parameters.count, by: changes.count) {
          for index in first..<min(first + changes.count, parameters.count) {
            changed[index] = parameters[index] * changes[index - first]
          }
        }
      }
    }
  }

  /// Tells of a layer's decisions that are near.
  private func decide(_ index: Int, _ tensors: [Int: Tensor], _ tell: (Near) -> Void) {
    let node = network.nodes[index]
    guard let source = node.input, let tensor = tensors[source] else { return }
    let (channels, plane) = (tensor.channels, tensor.plane)
    func isNear(_ distance: Double, _ error: Double) -> Bool { abs(distance) < width * error }
    func compare(_ a: Int, _ b: Int, _ offset: Double = 0) {
      if isNear(tensor.values[a] - tensor.values[b] + offset, tensor.errors[a] + tensor.errors[b]) {
        tell(Near(node: index, channel: a / plane % channels))
      }
    }
    for kink in node.kinks {
      for element in tensor.values.indices where isNear(tensor.values[element] - kink, tensor.errors[element]) {
        tell(Near(node: index, channel: element / plane % channels))
      }
    }
    /// The largest of some elements against each of the others.
    func chooseLargest(_ elements: [Int], from base: Int) {
      guard let largest = elements.max(by: { tensor.values[base + $0] < tensor.values[base + $1] }) else { return }
      for other in elements where other != largest { compare(base + largest, base + other) }
    }
    if let windows = windows[index] {
      for base in stride(from: 0, to: tensor.values.count, by: plane) {
        for window in windows { chooseLargest(window, from: base) }
      }
    }
    guard let loss = node.layer.kind.loss else { return }
    let count = channels * plane
    for sample in 0..<batch.count {
      let row = sample * count
      switch loss.function {
      case .l1:
        let targets = sample * batch.targetCount + node.targets.lowerBound
        for element in 0..<count {
          let target = Double(batch.targets.array[targets + element])
          if isNear(tensor.values[row + element] - target, tensor.errors[row + element]) {
            tell(Near(node: index, channel: element / plane))
          }
        }
      case .hinge(let margin):
        let label = row + Int(batch.labelPointer[sample])
        for element in row..<row + count where element != label { compare(element, label, margin) }
      default: break
      }
      // Whether a sample counts as correct.
      if index == network.nodes.count - 1, network.classes == count { chooseLargest(Array(0..<count), from: row) }
    }
  }
}

extension Network.Node {
  /// Whether its gradient jumps where its input does not.
  fileprivate var decides: Bool {
    if !kinks.isEmpty || maximumWindows != nil { return true }
    switch layer.kind.loss?.function {
    case .l1, .hinge: return true
    default: return false
    }
  }

  /// Where its derivative jumps.
  fileprivate var kinks: [Double] {
    switch layer.kind {
    case .relu, .leakyReLU, .prelu: [0]
    case .relu6: [0, 6]
    default: []
    }
  }

  /// The places of each window that it takes the largest element of; nil for another layer.
  fileprivate var maximumWindows: [[Int]]? {
    let ranges: [[[Int]]]
    switch layer.kind {
    case .maxPooling:
      ranges = (window?.dimensions ?? []).map { dimension in
        (0..<dimension.output).map { output in
          (0..<dimension.kernel).map { output * dimension.stride - dimension.padding + $0 * dimension.dilation }
            .filter { (0..<dimension.input).contains($0) }
        }
      }
    case .adaptivePooling(.maximum, _):
      ranges = zip(inputShape.extents.dropFirst(), outputShape.extents.dropFirst()).map { input, output in
        (0..<output).map { Array($0 * input / output..<(($0 + 1) * input + output - 1) / output) }
      }
    default: return nil
    }
    // Places of a plane by those of its dimensions, outermost first.
    var windows: [[Int]] = [[0]]
    for (dimension, extent) in zip(ranges, inputShape.extents.dropFirst()) {
      windows = windows.flatMap { outer in
        dimension.map { inner in outer.flatMap { place in inner.map { place * extent + $0 } } }
      }
    }
    return windows
  }
}

import Tensors

/// The shapes that layers give.
enum ShapeInference {
  /// The shape of a layer's output for one sample.
  static func output(of layer: Layer, from inputs: [Shape]) throws(NetworkError) -> Shape {
    let input = inputs[0]
    func error(_ problem: String) -> NetworkError { NetworkError(layer: layer.name, problem: problem) }
    switch layer.kind {
    case .convolution, .transposedConvolution, .maxPooling, .averagePooling:
      return try windowed(layer, from: input)
    case .adaptivePooling(_, let output):
      let plane = try plane(of: input, layer.name)
      guard let extents = output.numbers(dimensions: plane.count), extents.allSatisfy({ $0 > 0 }) else {
        throw error("an output of \(output) for an input of \(input)")
      }
      return try shape([input[0]] + extents, layer.name)
    case .batchNormalization(let layer):
      guard layer.epsilon > 0, layer.momentum >= 0, layer.momentum <= 1 else {
        throw error("epsilon \(layer.epsilon) and momentum \(layer.momentum): above 0, and from 0 to 1")
      }
      return input
    case .localResponseNormalization(let normalization):
      guard normalization.size > 0, normalization.size % 2 == 1, normalization.size < 1 << 10, normalization.k > 0,
        normalization.alpha >= 0
      else {
        throw error(
          "size \(normalization.size), k \(normalization.k), alpha \(normalization.alpha): odd, positive, not negative")
      }
      _ = try plane(of: input, layer.name)
      return input
    case .fullyConnected(let layer):
      guard layer.outputs > 0 else { throw error("\(layer.outputs) outputs") }
      return try shape([layer.outputs], layer.name)
    case .embedding(let layer):
      guard layer.entries > 0, layer.features > 0 else { throw error("\(layer.entries) entries of \(layer.features)") }
      guard input.rank == 1 else { throw error("an input of shape \(input): it takes [length]") }
      return try shape([layer.features, input[0]], layer.name)
    case .dropout(let probability):
      guard probability >= 0, probability < 1 else {
        throw error("a probability of \(probability): it takes 0 up to below 1")
      }
      return input
    case .leakyReLU(let slope):
      guard slope >= 0, slope.isFinite else { throw error("a slope of \(slope): it is not negative") }
      return input
    case .relu, .relu6, .prelu, .tanh, .sigmoid, .softmax: return input
    case .addition, .multiplication: return try elementwise(layer, inputs)
    case .concatenation: return try concatenation(layer, inputs)
    case .flatten: return [input.count]
    case .reshape, .crop, .pad, .slice, .bilinearUpsampling: return try rearranged(layer, from: input)
    case .loss(let loss):
      try check(loss, layer.name, inputs)
      return []
    }
  }

  /// A shape that a layer gives, or that its parameters have; one that no memory holds is an error.
  static func shape(_ extents: [Int], _ layer: String) throws(NetworkError) -> Shape {
    var count = 1
    for extent in extents {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow, product <= largest else {
        let text = extents.map(String.init).joined(separator: "×")
        throw NetworkError(layer: layer, problem: "a tensor of \(text) elements, which no memory holds")
      }
      count = product
    }
    return Shape(extents)
  }

  /// Most elements of a tensor: beyond any machine's memory, and far enough from an overflow for sums and batches.
  private static let largest = 1 << 40

  /// The extents of a shape besides its channels.
  static func plane(of input: Shape, _ layer: String) throws(NetworkError) -> [Int] {
    guard (2...4).contains(input.rank) else {
      throw NetworkError(
        layer: layer,
        problem:
          "an input of shape \(input): it takes [channels, length], [channels, height, width] or [channels, depth, height, width]"
      )
    }
    return Array(input.extents.dropFirst())
  }

  private static func elementwise(_ layer: Layer, _ inputs: [Shape]) throws(NetworkError) -> Shape {
    guard let other = inputs.first(where: { $0 != inputs[0] }) else { return inputs[0] }
    throw NetworkError(
      layer: layer.name, problem: "inputs of shapes \(inputs[0]) and \(other): it takes inputs of one shape")
  }

  private static func concatenation(_ layer: Layer, _ inputs: [Shape]) throws(NetworkError) -> Shape {
    let rest = inputs[0].extents.dropFirst()
    guard let other = inputs.first(where: { $0.extents.dropFirst() != rest }) else {
      return try shape([inputs.reduce(0) { $0 + $1[0] }] + rest, layer.name)
    }
    throw NetworkError(
      layer: layer.name, problem: "inputs of shapes \(inputs[0]) and \(other): they may differ in their channels only")
  }

  private static func check(_ loss: Loss, _ name: String, _ inputs: [Shape]) throws(NetworkError) {
    func error(_ problem: String) -> NetworkError { NetworkError(layer: name, problem: problem) }
    guard loss.weight > 0, loss.weight.isFinite else { throw error("a weight of \(loss.weight): it is positive") }
    let input = inputs[0]
    switch loss.function {
    case .softmaxCrossEntropy(let settings):
      guard settings.isPerPlace ? input.rank > 1 : input.rank == 1 else {
        let taken = settings.isPerPlace ? "the classes and then the plane" : "one dimension, the classes"
        throw error("logits of shape \(input): it takes \(taken)")
      }
      guard settings.classWeights.isEmpty || settings.classWeights.count == input[0] else {
        throw error("\(settings.classWeights.count) class weights for \(input[0]) classes")
      }
      guard settings.classWeights.allSatisfy({ $0 >= 0 && $0.isFinite }), settings.labelSmoothing >= 0,
        settings.labelSmoothing < 1
      else { throw error("class weights are not negative, and label smoothing is from 0 to below 1") }
    case .hinge, .contrastive:
      guard inputs.allSatisfy({ $0.rank == 1 }) else {
        throw error("an input of shape \(inputs.first { $0.rank != 1 } ?? input): it takes one dimension")
      }
      _ = try elementwise(Layer(name: name, kind: .addition, inputs: []), inputs)
    case .smoothL1(let beta):
      guard beta > 0, beta.isFinite else { throw error("a beta of \(beta): it is positive") }
    case .sigmoidCrossEntropy, .l2, .l1: break
    }
  }
}

public import Tensors

/// The part of a padded tensor that a crop, a pad or a slice gives.
public struct Region: Hashable, Sendable {
  /// Where it begins in each dimension of the input, channels first; negative where it begins before it.
  public let start: [Int]
  /// Its shape.
  public let shape: Shape
}

extension Network.Node {
  /// The part of its input that a crop, a pad or a slice gives; nil for other layers.
  public var region: Region? {
    switch layer.kind {
    case .crop(let margins): Region(start: margins.before, shape: outputShape)
    case .pad(let margins, _): Region(start: margins.before.map { -$0 }, shape: outputShape)
    case .slice(let dimension, let range):
      Region(
        start: inputShape.extents.indices.map { $0 == dimension ? range.lowerBound : 0 }, shape: outputShape)
    default: nil
    }
  }
}

extension ShapeInference {
  /// The output of a layer that moves elements.
  static func rearranged(_ layer: Layer, from input: Shape) throws(NetworkError) -> Shape {
    func error(_ problem: String) -> NetworkError { NetworkError(layer: layer.name, problem: problem) }
    switch layer.kind {
    case .reshape(let shape):
      guard (1...4).contains(shape.rank), shape.count == input.count else {
        throw error("\(input) to \(shape): it takes one to four dimensions and as many elements")
      }
      return shape
    case .crop(let margins): return try changed(input, by: margins, sign: -1, layer.name)
    case .pad(let margins, let value):
      guard value.isFinite else { throw error("a value of \(value)") }
      return try changed(input, by: margins, sign: 1, layer.name)
    case .slice(let dimension, let range):
      guard input.extents.indices.contains(dimension), range.lowerBound >= 0, !range.isEmpty,
        range.upperBound <= input[dimension]
      else { throw error("\(range) of dimension \(dimension) of an input of shape \(input)") }
      var extents = input.extents
      extents[dimension] = range.count
      return Shape(extents)
    case .bilinearUpsampling(let scale, _):
      let plane = try plane(of: input, layer.name)
      guard let factors = scale.numbers(dimensions: plane.count), factors.allSatisfy({ $0 > 0 && $0 < 1 << 10 }) else {
        throw error("a scale of \(scale) for an input of shape \(input)")
      }
      return try shape([input[0]] + zip(plane, factors).map { $0 * $1 }, layer.name)
    default: return input
    }
  }

  private static func changed(
    _ input: Shape, by margins: Margins, sign: Int, _ layer: String
  ) throws(NetworkError) -> Shape {
    let numbers = margins.before + margins.after
    guard margins.before.count == input.rank, margins.after.count == input.rank,
      numbers.allSatisfy({ $0 >= 0 && $0 < 1 << 20 })
    else {
      throw NetworkError(
        layer: layer,
        problem:
          "margins \(margins.before) and \(margins.after) for an input of shape \(input): one number a dimension, not negative"
      )
    }
    let extents = input.extents.indices.map { input[$0] + sign * (margins.before[$0] + margins.after[$0]) }
    guard extents.allSatisfy({ $0 > 0 }) else {
      throw NetworkError(
        layer: layer,
        problem: "margins \(margins.before) and \(margins.after) leave nothing of an input of shape \(input)")
    }
    return try shape(extents, layer)
  }
}

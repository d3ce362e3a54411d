public import Tensors

/// All dimensions as one.
public struct Flatten: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Flattens.
  public init(_ name: String, from input: String? = nil) {
    layer = Layer(name: name, kind: .flatten, input: input)
  }
}

/// A sample's elements, in their order, in another shape.
public struct Reshape: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// The shape of one sample.
  public init(_ name: String, to shape: Shape, from input: String? = nil) {
    layer = Layer(name: name, kind: .reshape(shape), input: input)
  }
}

/// Places at both ends of each dimension of a sample, channels included, outermost first.
public struct Margins: Hashable, Sendable {
  /// Places before the first.
  public let before: [Int]
  /// Places after the last.
  public let after: [Int]
}

/// Cuts off places at both ends of each dimension.
public struct Crop: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Cuts off so many places in each dimension of a sample, channels first; as many after as before unless stated.
  public init(_ name: String, _ before: [Int], after: [Int]? = nil, from input: String? = nil) {
    layer = Layer(name: name, kind: .crop(Margins(before: before, after: after ?? before)), input: input)
  }
}

/// Adds places of one value at both ends of each dimension.
public struct Pad: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Adds so many places in each dimension of a sample, channels first; as many after as before unless stated.
  public init(_ name: String, _ before: [Int], after: [Int]? = nil, value: Float = 0, from input: String? = nil) {
    layer = Layer(
      name: name, kind: .pad(Margins(before: before, after: after ?? before), value: value), input: input)
  }
}

/// A range of one dimension.
public struct Slice: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Takes a range of a dimension of a sample; dimension 0 is the channels.
  public init(_ name: String, dimension: Int = 0, _ range: Range<Int>, from input: String? = nil) {
    layer = Layer(name: name, kind: .slice(dimension: dimension, range), input: input)
  }
}

/// Makes a plane larger by a whole factor; values between places are interpolated linearly in each dimension.
public struct BilinearUpsampling: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Up-sampling; aligned corners keep the corner places' values, otherwise places are squares of equal size (PyTorch's
  /// `align_corners`).
  public init(_ name: String, scale: Extent, alignsCorners: Bool = false, from input: String? = nil) {
    layer = Layer(name: name, kind: .bilinearUpsampling(scale: scale, alignsCorners: alignsCorners), input: input)
  }
}

/// How pooling rounds the number of windows that fit.
public enum PoolingRounding: Hashable, Sendable {
  /// Only whole windows (PyTorch's default).
  case floor
  /// A last window may reach beyond the plane, as long as it begins within it or its left padding (Caffe's rule).
  case ceil
}

/// What a window's places become.
public enum PoolingFunction: Hashable, Sendable {
  /// The largest, the first of equal ones.
  case maximum
  /// The mean.
  case average
}

/// A window that moves over each channel's plane, in one, two or three dimensions.
public struct Pooling: Hashable, Sendable {
  /// The window's extent.
  public let kernel: Extent
  /// Distance between windows.
  public let stride: Extent
  /// Places before the plane in each dimension: never the largest, but counted in an average.
  public let padding: Extent
  /// Places after the plane.
  public let endPadding: Extent
  /// How the number of windows is rounded.
  public let rounding: PoolingRounding

  init(_ kernel: Extent, _ stride: Extent?, _ padding: Extent, _ endPadding: Extent?, _ rounding: PoolingRounding) {
    self.kernel = kernel
    self.stride = stride ?? kernel
    self.padding = padding
    self.endPadding = endPadding ?? padding
    self.rounding = rounding
  }
}

/// The largest of each window.
public struct MaxPooling: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Max pooling; the stride is the kernel's extent unless stated, padding after the plane that before it.
  public init(
    _ name: String, _ kernel: Extent, stride: Extent? = nil, padding: Extent = 0, endPadding: Extent? = nil,
    rounding: PoolingRounding = .floor, from input: String? = nil
  ) {
    layer = Layer(
      name: name, kind: .maxPooling(Pooling(kernel, stride, padding, endPadding, rounding)), input: input)
  }
}

/// The mean of each window; padding counts as zeros (PyTorch's `count_include_pad`).
public struct AveragePooling: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Average pooling; the stride is the kernel's extent unless stated, padding after the plane that before it.
  public init(
    _ name: String, _ kernel: Extent, stride: Extent? = nil, padding: Extent = 0, endPadding: Extent? = nil,
    rounding: PoolingRounding = .floor, from input: String? = nil
  ) {
    layer = Layer(
      name: name, kind: .averagePooling(Pooling(kernel, stride, padding, endPadding, rounding)), input: input)
  }
}

/// Pooling to a stated extent, whatever the input's: window i of m over n places is [⌊in/m⌋, ⌈(i+1)n/m⌉), as in PyTorch.
public struct AdaptivePooling: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Adaptive pooling.
  public init(_ name: String, _ function: PoolingFunction = .average, output: Extent, from input: String? = nil) {
    layer = Layer(name: name, kind: .adaptivePooling(function, output: output), input: input)
  }
}

/// Each channel's plane as one number; the dimensions stay, with extents of 1.
public struct GlobalPooling: LayerConvertible {
  /// The layer that the line describes.
  public let layer: Layer

  /// Global pooling.
  public init(_ name: String, _ function: PoolingFunction = .average, from input: String? = nil) {
    layer = Layer(name: name, kind: .adaptivePooling(function, output: 1), input: input)
  }
}

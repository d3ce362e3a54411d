/// A window that moves over a plane of one, two or three dimensions, with all its numbers resolved.
public struct Window: Hashable, Sendable {
  /// What holds along one dimension.
  public struct Dimension: Hashable, Sendable {
    /// Places of the plane that the window moves over.
    public let input: Int
    /// Places of the window.
    public let kernel: Int
    /// Distance between windows.
    public let stride: Int
    /// Places before the plane's first.
    public let padding: Int
    /// Places after the plane's last.
    public let endPadding: Int
    /// Distance between the window's places.
    public let dilation: Int
    /// Number of windows.
    public let output: Int
  }

  /// The dimensions, outermost first: one to three.
  public let dimensions: [Dimension]

  /// Places of the window.
  public var kernelPlaces: Int { dimensions.reduce(1) { $0 * $1.kernel } }
  /// Number of windows.
  public var outputPlaces: Int { dimensions.reduce(1) { $0 * $1.output } }
  /// Places of the plane.
  public var inputPlaces: Int { dimensions.reduce(1) { $0 * $1.input } }
}

/// The numbers of a window as a layer states them, before they meet an input.
struct WindowSettings {
  let layer: String
  let kernel: Extent
  let stride: Extent
  let padding: Extent
  let endPadding: Extent
  let dilation: Extent

  /// Resolves the settings; `extent` gives the number of windows along a dimension.
  ///
  /// - Parameter plane: the plane's extents, outermost first.
  func resolved(
    plane: [Int], extent: (_ index: Int, _ dimension: Window.Dimension) -> Int
  ) throws(NetworkError) -> Window {
    let count = plane.count
    let kernel = try numbers(kernel, "kernel", count)
    let stride = try numbers(stride, "stride", count)
    let padding = try numbers(padding, "padding", count)
    let endPadding = try numbers(endPadding, "padding", count)
    let dilation = try numbers(dilation, "dilation", count)
    let isPositive = (kernel + stride + dilation).allSatisfy { $0 > 0 && $0 <= Self.largest }
    guard isPositive, (padding + endPadding).allSatisfy({ $0 >= 0 && $0 <= Self.largest }) else {
      throw NetworkError(
        layer: layer,
        problem: """
          kernel \(self.kernel.description(dimensions: count)), stride \(self.stride.description(dimensions: count)), \
          dilation \(self.dilation.description(dimensions: count)), padding \
          \(self.padding.description(dimensions: count)): they must be positive, padding not negative
          """)
    }
    return Window(
      dimensions: (0..<count).map { index in
        func dimension(output: Int) -> Window.Dimension {
          Window.Dimension(
            input: plane[index], kernel: kernel[index], stride: stride[index], padding: padding[index],
            endPadding: endPadding[index], dilation: dilation[index], output: output)
        }
        return dimension(output: extent(index, dimension(output: 0)))
      })
  }

  /// No extent of a plane comes near; sums of products of such numbers fit an `Int`.
  private static let largest = 1 << 20

  private func numbers(_ extent: Extent, _ what: String, _ count: Int) throws(NetworkError) -> [Int] {
    guard let numbers = extent.numbers(dimensions: count) else {
      throw NetworkError(
        layer: layer, problem: "a \(what) of \(extent) for an input of \(count) dimensions besides its channels")
    }
    return numbers
  }
}

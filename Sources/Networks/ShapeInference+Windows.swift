import Tensors

extension Network.Node {
  /// The window that a convolution or a pooling moves over its input; a transposed convolution's moves over its output,
  /// and its places are the input's. nil for other layers.
  public var window: Window? {
    try? ShapeInference.window(of: layer, from: inputShape)
  }
}

extension ShapeInference {
  /// The output of a layer with a window.
  static func windowed(_ layer: Layer, from input: Shape) throws(NetworkError) -> Shape {
    guard let window = try window(of: layer, from: input) else { return input }
    switch layer.kind {
    case .convolution(let convolution):
      try checkChannels(convolution.channels, convolution.groups, input, layer.name)
      return try shape([convolution.channels] + window.dimensions.map(\.output), layer.name)
    case .transposedConvolution(let convolution):
      try checkChannels(convolution.channels, convolution.groups, input, layer.name)
      return try shape([convolution.channels] + window.dimensions.map(\.input), layer.name)
    default: return try shape([input[0]] + window.dimensions.map(\.output), layer.name)
    }
  }

  /// The window of a layer that has one.
  static func window(of layer: Layer, from input: Shape) throws(NetworkError) -> Window? {
    switch layer.kind {
    case .convolution(let convolution): return try window(of: convolution, layer.name, input)
    case .transposedConvolution(let convolution): return try window(of: convolution, layer.name, input)
    case .maxPooling(let pooling), .averagePooling(let pooling): return try window(of: pooling, layer.name, input)
    default: return nil
    }
  }

  private static func checkChannels(
    _ channels: Int, _ groups: Int, _ input: Shape, _ name: String
  ) throws(NetworkError) {
    guard channels > 0, groups > 0, channels.isMultiple(of: groups), input[0].isMultiple(of: groups) else {
      throw NetworkError(
        layer: name, problem: "\(input[0]) channels to \(channels) in \(groups) groups: both must divide")
    }
  }

  private static func window(of layer: Convolution, _ name: String, _ input: Shape) throws(NetworkError) -> Window {
    let settings = WindowSettings(
      layer: name, kernel: layer.kernel, stride: layer.stride, padding: layer.padding, endPadding: layer.endPadding,
      dilation: layer.dilation)
    let window = try settings.resolved(plane: plane(of: input, name)) { _, dimension in
      let reach = dimension.dilation * (dimension.kernel - 1) + 1
      let room = dimension.input + dimension.padding + dimension.endPadding
      return room < reach ? 0 : (room - reach) / dimension.stride + 1
    }
    try checkFit(window, "kernel", layer.kernel, name, input)
    return window
  }

  private static func checkFit(
    _ window: Window, _ what: String, _ kernel: Extent, _ name: String, _ input: Shape
  ) throws(NetworkError) {
    guard window.dimensions.allSatisfy({ $0.output > 0 }) else {
      throw NetworkError(
        layer: name,
        problem: "a \(what) of \(kernel.description(dimensions: input.rank - 1)) does not fit an input of \(input)")
    }
  }

  /// The window of the convolution that this is the transpose of: its plane is the output, its windows the input.
  private static func window(
    of layer: TransposedConvolution, _ name: String, _ input: Shape
  ) throws(NetworkError) -> Window {
    let plane = try plane(of: input, name)
    let settings = WindowSettings(
      layer: name, kernel: layer.kernel, stride: layer.stride, padding: layer.padding, endPadding: layer.endPadding,
      dilation: layer.dilation)
    // The windows' number is known, and the plane's extent follows: resolved once for the checks of the numbers.
    let numbers = try settings.resolved(plane: plane) { _, _ in 0 }
    guard let added = layer.outputPadding.numbers(dimensions: plane.count),
      zip(added, numbers.dimensions).allSatisfy({ $0 >= 0 && $0 < max($1.stride, $1.dilation) })
    else {
      throw NetworkError(
        layer: name, problem: "an output padding of \(layer.outputPadding): it is below the stride or the dilation")
    }
    let extents = zip(numbers.dimensions, added).map { dimension, added in
      (dimension.input - 1) * dimension.stride + dimension.dilation * (dimension.kernel - 1) + 1 + added
        - dimension.padding - dimension.endPadding
    }
    guard extents.allSatisfy({ $0 > 0 }) else {
      throw NetworkError(
        layer: name, problem: "a padding of \(layer.padding) leaves nothing of the output for an input of \(input)")
    }
    return try settings.resolved(plane: extents) { index, _ in plane[index] }
  }

  private static func window(of pooling: Pooling, _ name: String, _ input: Shape) throws(NetworkError) -> Window {
    let settings = WindowSettings(
      layer: name, kernel: pooling.kernel, stride: pooling.stride, padding: pooling.padding,
      endPadding: pooling.endPadding, dilation: 1)
    let window = try settings.resolved(plane: plane(of: input, name)) { _, dimension in
      let padded = dimension.input + dimension.padding + dimension.endPadding
      guard padded >= dimension.kernel || pooling.rounding == .ceil else { return 0 }
      let room = max(0, padded - dimension.kernel)
      guard pooling.rounding == .ceil else { return room / dimension.stride + 1 }
      let windows = (room + dimension.stride - 1) / dimension.stride + 1
      // The last window begins within the plane or its left padding.
      return (windows - 1) * dimension.stride >= dimension.input + dimension.padding ? windows - 1 : windows
    }
    guard window.dimensions.allSatisfy({ 2 * max($0.padding, $0.endPadding) <= $0.kernel }) else {
      throw NetworkError(
        layer: name,
        problem: """
          window \(pooling.kernel), stride \(pooling.stride), padding \(pooling.padding): padding is at most half of the \
          window
          """)
    }
    try checkFit(window, "window", pooling.kernel, name, input)
    return window
  }
}

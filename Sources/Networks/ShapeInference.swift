import Tensors

/// The shapes that layers give.
enum ShapeInference {
  /// The shape of a layer's output for one sample.
  static func output(of layer: Layer, from input: Shape) throws(NetworkError) -> Shape {
    func error(_ problem: String) -> NetworkError { NetworkError(layer: layer.name, problem: problem) }
    switch layer.kind {
    case .convolution(let convolution): return try output(of: convolution, from: input)
    case .maxPooling(let pooling), .averagePooling(let pooling):
      return try output(of: pooling, layer.name, from: input)
    case .fullyConnected(let layer):
      guard layer.outputs > 0 else { throw error("\(layer.outputs) outputs") }
      return [layer.outputs]
    case .dropout(let probability):
      guard probability >= 0, probability < 1 else {
        throw error("a probability of \(probability): it takes 0 up to below 1")
      }
      return input
    case .relu, .tanh, .sigmoid: return input
    case .flatten: return [input.count]
    case .softmaxCrossEntropy:
      guard input.rank == 1 else { throw error("logits of shape \(input): it takes one dimension, the classes") }
      return []
    }
  }

  private static func output(of layer: Convolution, from input: Shape) throws(NetworkError) -> Shape {
    func error(_ problem: String) -> NetworkError { NetworkError(layer: layer.name, problem: problem) }
    guard input.rank == 3 else { throw error("an input of shape \(input): it takes [channels, height, width]") }
    guard layer.channels > 0, layer.groups > 0, layer.channels.isMultiple(of: layer.groups),
      input[0].isMultiple(of: layer.groups)
    else { throw error("\(input[0]) channels to \(layer.channels) in \(layer.groups) groups: both must divide") }
    guard layer.kernel.height > 0, layer.kernel.width > 0, layer.stride.height > 0, layer.stride.width > 0,
      layer.dilation.height > 0, layer.dilation.width > 0, layer.padding.height >= 0, layer.padding.width >= 0
    else {
      throw error(
        "kernel \(layer.kernel), stride \(layer.stride), dilation \(layer.dilation), padding \(layer.padding): they must be positive, padding not negative"
      )
    }
    func extent(_ size: Int, _ kernel: Int, _ stride: Int, _ padding: Int, _ dilation: Int) -> Int {
      let reach = dilation * (kernel - 1) + 1
      return size + 2 * padding < reach ? 0 : (size + 2 * padding - reach) / stride + 1
    }
    let height = extent(input[1], layer.kernel.height, layer.stride.height, layer.padding.height, layer.dilation.height)
    let width = extent(input[2], layer.kernel.width, layer.stride.width, layer.padding.width, layer.dilation.width)
    guard height > 0, width > 0 else { throw error("a kernel of \(layer.kernel) does not fit an input of \(input)") }
    return [layer.channels, height, width]
  }

  private static func output(of pooling: Pooling, _ name: String, from input: Shape) throws(NetworkError) -> Shape {
    func error(_ problem: String) -> NetworkError { NetworkError(layer: name, problem: problem) }
    guard input.rank == 3 else { throw error("an input of shape \(input): it takes [channels, height, width]") }
    guard pooling.kernel.height > 0, pooling.kernel.width > 0, pooling.stride.height > 0, pooling.stride.width > 0,
      pooling.padding.height >= 0, pooling.padding.width >= 0, 2 * pooling.padding.height <= pooling.kernel.height,
      2 * pooling.padding.width <= pooling.kernel.width
    else {
      throw error(
        "window \(pooling.kernel), stride \(pooling.stride), padding \(pooling.padding): padding is at most half of the window"
      )
    }
    func extent(_ size: Int, _ kernel: Int, _ stride: Int, _ padding: Int) -> Int {
      guard size + 2 * padding >= kernel || pooling.rounding == .ceil else { return 0 }
      let room = max(0, size + 2 * padding - kernel)
      guard pooling.rounding == .ceil else { return room / stride + 1 }
      let windows = (room + stride - 1) / stride + 1
      // The last window begins within the plane or its left padding.
      return (windows - 1) * stride >= size + padding ? windows - 1 : windows
    }
    let height = extent(input[1], pooling.kernel.height, pooling.stride.height, pooling.padding.height)
    let width = extent(input[2], pooling.kernel.width, pooling.stride.width, pooling.padding.width)
    guard height > 0, width > 0 else { throw error("a window of \(pooling.kernel) does not fit an input of \(input)") }
    return [input[0], height, width]
  }
}

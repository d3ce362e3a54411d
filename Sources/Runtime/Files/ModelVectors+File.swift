import ModelFiles
import Networks
import Tensors

/// A model's file: the parameters, then the buffers, under PyTorch's names.
extension ModelVectors {
  /// Reads a network's parameters and buffers.
  init(_ file: SafetensorsFile, of network: Network) throws(ModelFileError) {
    let all = try file.flatVector(for: Self.layout(of: network))
    guard network.bufferLayout.count > 0 else {
      self.init(parameters: all, buffers: FlatVector(count: 0))
      return
    }
    let middle = network.parameterLayout.count
    self.init(parameters: FlatVector(count: middle), buffers: FlatVector(count: network.bufferLayout.count))
    all.withBytes(of: 0..<middle) { parameters.copy($0, to: 0..<middle) }
    all.withBytes(of: middle..<all.count) { buffers.copy($0, to: 0..<buffers.count) }
  }

  /// Writes a network's parameters and buffers to files.
  func write(of network: Network, metadata: [String: String], to paths: [String]) throws(ModelFileError) {
    var all = parameters
    if buffers.count > 0 {
      all = FlatVector(count: parameters.count + buffers.count)
      parameters.withBytes(of: 0..<parameters.count) { all.copy($0, to: 0..<parameters.count) }
      buffers.withBytes(of: 0..<buffers.count) { all.copy($0, to: parameters.count..<all.count) }
    }
    for path in paths {
      try Safetensors.write(layout: Self.layout(of: network), values: all, metadata: metadata, to: path)
    }
  }

  private static func layout(of network: Network) -> ParameterLayout {
    var layout = network.parameterLayout
    for entry in network.bufferLayout.entries { layout.append(entry.name, shape: entry.shape) }
    return layout
  }
}

import ModelFiles
import Tensors

/// Checkpoints of a few numbers.
enum SmallCheckpoint {
  static let network = Checkpoint.Identity(name: "small", digest: "ab12")
  static let layouts: (parameters: ParameterLayout, buffers: ParameterLayout) = {
    var parameters = ParameterLayout()
    parameters.append("conv1.weight", shape: [2, 1, 2, 2])
    parameters.append("conv1.bias", shape: [2])
    var buffers = ParameterLayout()
    buffers.append("bn1.running_mean", shape: [2])
    buffers.append("bn1.running_var", shape: [2])
    return (parameters, buffers)
  }()

  static func make(step: Int, value: Float = 1) -> Checkpoint {
    let numbers = (0..<10).map { Float($0) * value + Float(step) }
    return Checkpoint(
      step: step, version: UInt64(step) + 1 << 60, era: 3, network: network,
      data: Checkpoint.Identity(name: "digits", digest: "cd34"), metadata: ["job": "mode: sync\n", "π": "\"3\" / 1"],
      layout: layouts.parameters, bufferLayout: layouts.buffers, parameters: FlatVector(numbers),
      buffers: FlatVector([value, 2, 3, 4]),
      slots: [
        Checkpoint.Slot(name: "velocity/worker.1", vector: FlatVector(numbers.map { -$0 })),
        Checkpoint.Slot(name: "a", vector: FlatVector(numbers.map { $0 / 2 })),
      ],
      counters: ["applies": [1, .max, UInt64(step)], "covered": [], "position": [7]])
  }
}

/// All that a checkpoint holds, to compare.
struct CheckpointContent: Equatable {
  let numbers: [String]
  let metadata: [String: String]
  let vectors: [[UInt32]]
  let slots: [String]
  let counters: [String: [UInt64]]
  let layouts: [ParameterLayout]

  init(_ checkpoint: Checkpoint) {
    numbers = ["\(checkpoint.step) \(checkpoint.version) \(checkpoint.era) \(checkpoint.network) \(checkpoint.data)"]
    metadata = checkpoint.metadata
    vectors = ([checkpoint.parameters, checkpoint.buffers] + checkpoint.slots.map(\.vector)).map {
      $0.array.map(\.bitPattern)
    }
    slots = checkpoint.slots.map(\.name)
    counters = checkpoint.counters
    layouts = [checkpoint.layout, checkpoint.bufferLayout]
  }
}

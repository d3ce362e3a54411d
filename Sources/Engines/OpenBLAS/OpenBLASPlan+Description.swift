import Networks
import Tensors

/// What a layer took of the arena: its output, the gradient of that, and what it keeps or needs besides.
struct LayerFootprint {
  /// The layer.
  let node: Int
  /// Elements of the arena.
  let elements: Int
}

extension OpenBLASPlan: DescribedPlan where Scalar == Float {
  func describe() throws(EngineError) -> PlanDescription {
    let summary = network.summary
    let first = summary.firstIndex { $0.macs > 0 }
    var forward: [PlanDescription.Pass] = []
    var backward: [PlanDescription.Pass] = []
    for footprint in footprints {
      let layer = summary[footprint.node]
      let output = batch * layer.outputShape.count
      let scale = MemoryLayout<Float>.stride
      func pass(_ kind: PlanDescription.Pass.Kind, _ name: String, operations: Int) -> PlanDescription.Pass {
        let besides = footprint.elements - output * (isForTraining ? 2 : 1)
        return PlanDescription.Pass(
          layer: layer.name, kind: kind, purpose: "\(layer.name) \(name)",
          implementation: implementation(of: network.nodes[footprint.node].layer.kind),
          layout: layout(of: layer.outputShape), outputBytes: output * scale,
          workspaceBytes: kind == .forward ? max(0, besides) * scale : 0, operations: operations)
      }
      let operations = 2 * layer.macs * batch
      forward.append(pass(.forward, "forward", operations: operations))
      if isForTraining {
        // Nobody needs the gradient of the network's input.
        backward.append(pass(.backward, "gradient", operations: footprint.node == first ? operations : 2 * operations))
      }
    }
    return PlanDescription(
      passes: forward + backward.reversed(), arenaBytes: arenaBytes, peakBytes: arenaBytes, recomputedLayers: 0,
      partSamples: batch)
  }

  private func implementation(of kind: LayerKind) -> String {
    switch kind {
    case .convolution, .transposedConvolution: "im2col sgemm"
    case .fullyConnected: "sgemm"
    default: "convoy"
    }
  }

  /// Spatial activations are channel-major: all samples' planes of a channel lie next to each other.
  private func layout(of shape: Shape) -> String {
    switch shape.rank {
    case 1: "ab"
    case 2: "bac"
    case 3: "bacd"
    default: "bacde"
    }
  }
}

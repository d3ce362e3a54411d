import Networks
import Tensors

/// What a layer took of the arena: its output, the gradient of that, and what it keeps or needs besides.
struct LayerFootprint {
  /// The layer.
  let node: Int
  /// Elements of the arena.
  let elements: Int
  /// Its operations.
  let operations: Range<Int>
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

  fileprivate func implementation(of kind: LayerKind) -> String {
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

extension OpenBLASPlan: ProfiledPlan where Scalar == Float {
  func profiledStep(
    _ batch: Batch, parameters: FlatVector, gradient: FlatVector
  ) throws(EngineError) -> [PlanPart] {
    let clock = ContinuousClock()
    var forward = [Duration](repeating: .zero, count: operations.count)
    var backward = forward
    _ = try step(
      inputs: UnsafePointer(batch.inputs.pointer), batch: batch, parameters: UnsafePointer(parameters.pointer),
      gradient: gradient.pointer, onFinal: { _ in }
    ) { index, isForward, body in
      let begin = clock.now
      body()
      if isForward { forward[index] = clock.now - begin } else { backward[index] = clock.now - begin }
    }
    func parts(_ name: String, _ durations: [Duration]) -> [PlanPart] {
      footprints.map { footprint in
        let layer = network.nodes[footprint.node].layer
        return PlanPart(
          layer: layer.name, purpose: "\(layer.name) \(name)", implementation: implementation(of: layer.kind),
          duration: durations[footprint.operations].reduce(.zero, +))
      }
    }
    return parts("forward", forward) + parts("gradient", backward).reversed()
  }

  /// There are no primitives of a library here.
  func bareStep(_ batch: Batch, parameters: FlatVector, gradient: FlatVector) throws(EngineError) -> Bool { false }
}

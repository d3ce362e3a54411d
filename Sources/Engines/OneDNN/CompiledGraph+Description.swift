#if OneDNN
  import Networks
  import Tensors

  extension CompiledGraph {
    /// What the graph of a network consists of.
    func description(of network: Network, samples: Int) -> PlanDescription {
      let summary = network.summary
      var counted: Set<String> = []
      let passes = zip(commands, marks).map { command, mark in
        let layer = summary[mark.node]
        let kind = Self.kind(mark.pass)
        // A layer's products are counted once for each pass, not for the reorders around them.
        let isProduct =
          Self.products.contains { command.purpose == "\(layer.name) \($0)" }
          && counted.insert("\(kind) \(command.purpose)").inserted
        return PlanDescription.Pass(
          layer: layer.name, kind: kind, purpose: command.purpose, implementation: command.implementation,
          layout: command.result?.layout.name ?? "a",
          outputBytes: command.result?.layout.bytes ?? layer.parameters * MemoryLayout<Float>.stride,
          workspaceBytes: command.workspaceBytes, operations: isProduct ? 2 * layer.macs * samples : 0)
      }
      let recomputed = Set(marks.lazy.filter { $0.pass == .recomputation }.map(\.node))
      return PlanDescription(
        passes: passes, arenaBytes: arenaBytes, peakBytes: peakBytes, recomputedLayers: recomputed.count,
        partSamples: samples)
    }

    private static let products = ["forward", "weights' gradient", "input's gradient"]

    private static func kind(_ pass: CommandMark.Pass) -> PlanDescription.Pass.Kind {
      switch pass {
      case .forward: .forward
      case .recomputation: .recomputation
      case .backward: .backward
      }
    }
  }
#endif

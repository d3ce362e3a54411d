public import Engines
import Networks

/// What a layer takes of a step, over its passes.
public struct LayerTime: Hashable, Sendable {
  /// The layer's name.
  public let layer: String
  /// Its passes and the reorders and loops around them, in the order of the step.
  public let parts: [PlanPart]
  /// Floating-point operations of all.
  public let operations: Int

  /// What all of its parts took.
  public var duration: Duration { parts.reduce(.zero) { $0 + $1.duration } }

  /// Gathers the parts of a step by layer, in the order of the layers' first parts.
  public static func gather(_ parts: [PlanPart], _ description: PlanDescription?) -> [LayerTime] {
    var order: [String] = []
    var gathered: [String: [PlanPart]] = [:]
    for part in parts {
      let name = part.layer.isEmpty ? part.purpose : part.layer
      if gathered[name] == nil { order.append(name) }
      gathered[name, default: []].append(part)
    }
    var operations: [String: Int] = [:]
    for pass in description?.passes ?? [] { operations[pass.layer, default: 0] += pass.operations }
    return order.map { LayerTime(layer: $0, parts: gathered[$0] ?? [], operations: operations[$0] ?? 0) }
  }
}

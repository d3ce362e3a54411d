import Engines
import Networks
import Observability

/// What `convoy models show --plan` shows, as JSON and as text.
struct PlanReport: Encodable {
  struct Pass: Encodable {
    let layer: String
    let pass: String
    let purpose: String
    let implementation: String
    let layout: String
    let output_bytes: Int
    let workspace_bytes: Int
    let flop: Int
  }

  let name: String
  let batch: Int
  let engine: String
  let precision: String
  let threads: Int
  /// Samples that are computed at once: fewer than the batch where that would not fit the limit. The passes are theirs.
  let samples_at_once: Int
  let passes: [Pass]
  let flop: Int
  let recomputed_layers: Int
  let arena_bytes: Int
  let peak_bytes: Int

  init(_ network: Network, batch: Int, engine: String, options: CompileOptions, _ description: PlanDescription) {
    name = network.name
    self.batch = batch
    self.engine = engine
    precision = options.precision.rawValue
    threads = options.threads
    samples_at_once = description.partSamples
    passes = description.passes.map {
      Pass(
        layer: $0.layer, pass: $0.kind.rawValue, purpose: $0.purpose, implementation: $0.implementation,
        layout: $0.layout, output_bytes: $0.outputBytes, workspace_bytes: $0.workspaceBytes, flop: $0.operations)
    }
    flop = description.passes.reduce(0) { $0 + $1.operations }
    recomputed_layers = description.recomputedLayers
    arena_bytes = description.arenaBytes
    peak_bytes = description.peakBytes
  }

  /// The table for a person.
  var text: String {
    var lines = [
      "\(name), batch \(batch), \(engine) \(precision), \(threads == 1 ? "1 thread" : "\(threads) threads")",
      row("pass", "implementation", "layout", "output bytes", "workspace", "MFLOP"),
    ]
    for pass in passes {
      let again = pass.pass == "recomputation" ? " again" : ""
      lines.append(
        row(
          pass.purpose + again, pass.implementation, pass.layout, grouped(pass.output_bytes),
          pass.workspace_bytes == 0 ? "" : grouped(pass.workspace_bytes),
          pass.flop == 0 ? "" : ProgressLine.decimals(Double(pass.flop) * 1e-6, 1)))
    }
    lines.append("arena \(MemorySize(arena_bytes)), of which \(MemorySize(peak_bytes)) are in use at once at most")
    if recomputed_layers > 0 { lines.append("\(recomputed_layers) layers are computed twice to fit the memory limit") }
    if samples_at_once < batch {
      lines.append(
        "computed in parts of at most \(samples_at_once) samples to fit the limit; the passes are those of a part")
    }
    lines.append("\(ProgressLine.decimals(Double(flop) * 1e-9, 2)) GFLOP for \(samples_at_once) samples")
    return lines.joined(separator: "\n")
  }

  private func row(
    _ purpose: String, _ implementation: String, _ layout: String, _ bytes: String, _ workspace: String,
    _ operations: String
  ) -> String {
    "\(padded(purpose, 44))\(padded(implementation, 26))\(padded(layout, 16))\(padded(bytes, 14, right: true))\(padded(workspace, 14, right: true))\(padded(operations, 12, right: true))"
  }
}

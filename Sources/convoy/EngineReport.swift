import Benchmarks
import Engines
import Networks
import Observability
import Runtime

/// What `convoy benchmark engine` found, as JSON and as text.
struct EngineReport: Encodable {
  struct Pass: Encodable {
    let purpose: String
    let implementation: String
    let milliseconds: Double
  }

  struct Layer: Encodable {
    let name: String
    let milliseconds: Double
    let gflops_per_second: Double
    let passes: [Pass]
  }

  let model: String
  let batch: Int
  let engine: String
  let precision: String
  let threads: Int
  let images_per_second: Double
  let best_images_per_second: Double
  let gflops_per_second: Double
  /// Fused multiply-adds in registers on as many threads, fp32.
  let peak_gflops_per_second: Double
  let share_of_peak: Double
  let steps: Int
  let bare_images_per_second: Double?
  let share_of_bare: Double?
  let arena_bytes: Int
  let recomputed_layers: Int
  let samples_at_once: Int
  let peak_memory_bytes: Int
  let layers: [Layer]?

  init(
    network: Network, batch: Int, engine: String, options: CompileOptions, result: EngineBenchmark.Result,
    peak: PeakMeasurement, hasLayers: Bool
  ) {
    // Forward once and backward twice, but for the gradient of the network's input. What is computed again is no gain.
    let macs = 3 * network.forwardMACs - (network.summary.first { $0.macs > 0 }?.macs ?? 0)
    let rate = 2 * Double(macs) * result.imagesPerSecond
    model = network.name
    self.batch = batch
    self.engine = engine
    precision = options.precision.rawValue
    threads = options.threads
    images_per_second = result.imagesPerSecond.rounded(toPlaces: 2)
    best_images_per_second = result.bestImagesPerSecond.rounded(toPlaces: 2)
    gflops_per_second = (rate * 1e-9).rounded(toPlaces: 2)
    peak_gflops_per_second = (peak.operationsPerSecond * 1e-9).rounded(toPlaces: 2)
    share_of_peak = (rate / peak.operationsPerSecond).rounded(toPlaces: 4)
    steps = result.steps
    bare_images_per_second = result.bareImagesPerSecond?.rounded(toPlaces: 2)
    share_of_bare = result.bareImagesPerSecond.map { (result.imagesPerSecond / $0).rounded(toPlaces: 4) }
    arena_bytes = result.description.arenaBytes
    recomputed_layers = result.description.recomputedLayers
    samples_at_once = result.description.partSamples
    peak_memory_bytes = ProcessMemory.peakResidentBytes
    layers = hasLayers ? result.layers.map(Self.layer) : nil
  }

  private static func layer(_ time: LayerTime) -> Layer {
    Layer(
      name: time.layer, milliseconds: (time.duration.seconds * 1000).rounded(toPlaces: 4),
      gflops_per_second: (Double(time.operations) / max(time.duration.seconds, 1e-12) * 1e-9).rounded(toPlaces: 2),
      passes: time.parts.map {
        Pass(
          purpose: $0.purpose, implementation: $0.implementation,
          milliseconds: ($0.duration.seconds * 1000).rounded(toPlaces: 4))
      })
  }

  /// The report for a person: the layers where they were asked for, then the whole.
  var text: String {
    var lines = (layers ?? []).flatMap(lines)
    let threads = threads == 1 ? "1 thread" : "\(threads) threads"
    lines.append(
      "\(model), batch \(batch), \(engine) \(precision), \(threads): \(decimals(images_per_second)) images/s (best step \(decimals(best_images_per_second)))"
    )
    lines.append(
      "\(decimals(gflops_per_second)) GFLOP/s, \(decimals(100 * share_of_peak)) % of the peak of \(decimals(peak_gflops_per_second)) (fp32 multiply-adds in registers)"
    )
    if let bare_images_per_second, let share_of_bare {
      lines.append(
        "the primitives alone: \(decimals(bare_images_per_second)) images/s, of which whole steps reach \(decimals(100 * share_of_bare)) %"
      )
    }
    lines.append(
      "memory: \(MemorySize(arena_bytes)) for activations and their gradients, \(MemorySize(peak_memory_bytes)) resident at most"
    )
    if recomputed_layers > 0 { lines.append("\(recomputed_layers) layers are computed twice to fit the memory limit") }
    if samples_at_once < batch {
      lines.append("\(samples_at_once) samples at most are computed at once to fit the limit")
    }
    return lines.joined(separator: "\n")
  }

  private func lines(_ layer: Layer) -> [String] {
    let rate = layer.gflops_per_second > 0 ? "\(decimals(layer.gflops_per_second)) GFLOP/s" : ""
    let time = ProgressLine.decimals(layer.milliseconds, 3)
    let head = "\(padded(layer.name, 66))\(padded(time, 10, right: true)) ms \(padded(rate, 16, right: true))"
    let passes = layer.passes.map { pass in
      let time = ProgressLine.decimals(pass.milliseconds, 3)
      return "  \(padded(pass.purpose, 40))\(padded(pass.implementation, 24))\(padded(time, 10, right: true)) ms"
    }
    return [head] + (passes.count > 1 ? passes : [])
  }

  private func decimals(_ value: Double) -> String { ProgressLine.decimals(value, 1) }
}

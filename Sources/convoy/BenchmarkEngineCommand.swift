import ArgumentParser
import Benchmarks
import Engines
import Networks
import Observability
import Runtime
import Tensors

/// `convoy benchmark engine`.
struct BenchmarkEngineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "engine", abstract: "Time a network's training steps: forward, backward, SGD with momentum.")

  @Option(help: ArgumentHelp("the network", valueName: "name")) var model = "lenet"
  @Option(help: ArgumentHelp("samples of a step", valueName: "count")) var batch = 64
  @Option(help: ArgumentHelp("what computes", valueName: "name")) var engine = Engines.defaultName
  @Option(help: ArgumentHelp("threads", valueName: "count")) var threads = 1
  @Option(help: ArgumentHelp("how long to time steps", valueName: "seconds")) var seconds = 5.0
  @Flag(help: "show what each part of a step takes, and what computes it") var layers = false
  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  private struct Report: Encodable {
    struct Part: Encodable {
      let purpose: String
      let implementation: String
      let milliseconds: Double
    }

    let model: String
    let batch: Int
    let engine: String
    let precision: String
    let threads: Int
    let images_per_second: Double
    let best_images_per_second: Double
    let gflops_per_second: Double
    let steps: Int
    let layers: [Part]?
  }

  func validate() throws {
    guard (1...65_536).contains(batch) else { throw ValidationError("--batch \(batch): it takes 1 to 65536") }
    guard (1...256).contains(threads) else { throw ValidationError("--threads \(threads): it takes 1 to 256") }
    guard seconds > 0, seconds <= 3600 else {
      throw ValidationError("--seconds \(seconds): it takes more than 0, at most 3600")
    }
  }

  func run() throws {
    guard let network = Catalogue.network(named: model) else {
      throw ConvoyError(
        .usage, "there is no model \(model); \(NearestName.hint(for: model, in: Catalogue.networks.map(\.name)))")
    }
    guard let chosen = Engines.engine(named: engine) else {
      throw ConvoyError(.usage, "there is no engine \(engine); \(NearestName.hint(for: engine, in: Engines.names))")
    }
    let result: EngineBenchmark.Result
    do throws(EngineError) {
      result = try EngineBenchmark(network, engine: chosen, batch: batch, threads: threads)
        .run(for: .seconds(seconds), profiled: layers)
    } catch {
      throw ConvoyError(.failed, error.description)
    }
    let report = report(network, result)
    if json { return Terminal.result(JSONText.line(report)) }
    show(report)
  }

  private func report(_ network: Network, _ result: EngineBenchmark.Result) -> Report {
    let parts = result.parts.map {
      Report.Part(
        purpose: $0.purpose, implementation: $0.implementation,
        milliseconds: ($0.duration.seconds * 1000).rounded(toPlaces: 4))
    }
    // Forward once and backward twice, but for the gradient of the network's input.
    let macs = 3 * network.forwardMACs - (network.summary.first { $0.macs > 0 }?.macs ?? 0)
    return Report(
      model: model, batch: batch, engine: engine, precision: "fp32", threads: threads,
      images_per_second: result.imagesPerSecond.rounded(toPlaces: 2),
      best_images_per_second: result.bestImagesPerSecond.rounded(toPlaces: 2),
      gflops_per_second: (2 * Double(macs) * result.imagesPerSecond * 1e-9).rounded(toPlaces: 2), steps: result.steps,
      layers: layers ? parts : nil)
  }

  private func show(_ report: Report) {
    for part in report.layers ?? [] {
      let time = ProgressLine.decimals(part.milliseconds, 3)
      Terminal.result(
        "\(padded(part.purpose, 36))\(padded(part.implementation, 28))\(padded(time, 10, right: true)) ms")
    }
    let rates = [report.images_per_second, report.best_images_per_second].map { ProgressLine.decimals($0, 1) }
    Terminal.result(
      "\(report.model), batch \(report.batch), \(report.engine) \(report.precision), \(report.threads == 1 ? "1 thread" : "\(report.threads) threads"): \(rates[0]) images/s (best step \(rates[1])), \(ProgressLine.decimals(report.gflops_per_second, 1)) GFLOP/s"
    )
  }
}

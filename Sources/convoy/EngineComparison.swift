import Benchmarks
import Engines
import Foundation
import Launch
import Observability
import Runtime

/// `convoy benchmark engine --torch`: the same networks on an engine and in PyTorch, each side in processes of its own, so
/// that neither holds threads or memory of the other.
struct EngineComparison {
  let python: String
  let engine: any Engine
  let options: EngineOptions
  let seconds: Double
  private let stop = StopRequest()

  init(python: String, engine: any Engine, options: EngineOptions, seconds: Double) {
    (self.python, self.engine, self.options, self.seconds) = (python, engine, options, seconds)
  }

  /// What one process measured.
  private struct Measured: Decodable {
    let images_per_second: Double
    let peak_memory_bytes: Int
    let precision: String?
    let version: String?
  }

  /// A network's line of the table. What was not measured is not in it.
  struct Line: Encodable {
    let network: String
    let batch: Int
    var convoy_fp32: Double?
    var torch_fp32: Double?
    var torch_fp32_layout: String?
    var fp32_ratio: Double?
    let fp32_target: Double
    var convoy_bf16: Double?
    var torch_bf16: Double?
    var bf16_ratio: Double?
    let bf16_target: Double
    /// The format that the engine computed in where bf16 was asked for.
    var bf16_precision: String?
    var convoy_fp32_memory_bytes: Int?
    var torch_fp32_memory_bytes: Int?
    var convoy_bf16_memory_bytes: Int?
    var torch_bf16_memory_bytes: Int?
  }

  private struct Report: Encodable {
    let engine: String
    let threads: Int
    let torch: String
    let comparisons: [Line]
  }

  /// Measures network after network, and shows each line when it is there. A signal ends the process that measures.
  func run(_ networks: [ComparedNetwork], json: Bool) throws {
    SignalThread.start(stop, underLauncher: false) { signal in Foundation.exit(signal.exitCode.rawValue) }
    let version = try torchVersion()
    let precisions = self.precisions
    if !json { showHead(version) }
    var lines: [Line] = []
    for network in networks {
      let line = try compare(network, in: precisions)
      lines.append(line)
      if !json { show(line) }
    }
    if json {
      let report = Report(engine: engine.name, threads: options.threads, torch: version, comparisons: lines)
      Terminal.result(JSONText.line(report))
    }
  }

  /// The formats that are compared: the one that was asked for, or both. One that the processor only emulates takes
  /// minutes, and says nothing of it.
  private var precisions: [Precision] {
    if let stated = options.statedPrecision { return [stated] }
    if engine.supports(.bf16) { return [.fp32, .bf16] }
    Terminal.note(
      "bf16 is left out: this processor has no instructions for it that the \(engine.name) engine uses; --precision bf16 measures it all the same"
    )
    return [.fp32]
  }

  private func torchVersion() throws(ConvoyError) -> String {
    let outcome: CommandOutput
    do throws(ConvoyError) {
      outcome = try CommandOutput.run(python, ["-c", "import torch; print(torch.__version__)"], stop: stop)
    } catch  where error.code == .configuration {
      throw ConvoyError(error.code, "--torch: \(error.message): give the path of a Python with PyTorch")
    }
    guard outcome.ending == .exit(0) else {
      throw ConvoyError(
        .configuration, "--torch \(python): this Python has no PyTorch (\(outcome.problem)): give one that has it")
    }
    return outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private func compare(_ network: ComparedNetwork, in precisions: [Precision]) throws(ConvoyError) -> Line {
    var line = Line(
      network: network.name, batch: network.batch, fp32_target: network.target, bf16_target: network.bfloat16Target)
    func ratio(_ own: Measured, _ other: Measured) -> Double {
      (own.images_per_second / other.images_per_second).rounded(toPlaces: 3)
    }
    if precisions.contains(.fp32) {
      let own = try convoy(network, .fp32)
      let torch = try self.torch(network, .fp32)
      let channelsLast = try self.torch(network, .fp32ChannelsLast)
      let isPlainBest = torch.images_per_second >= channelsLast.images_per_second
      let best = isPlainBest ? torch : channelsLast
      line.convoy_fp32 = own.images_per_second.rounded(toPlaces: 2)
      line.torch_fp32 = best.images_per_second.rounded(toPlaces: 2)
      line.torch_fp32_layout = isPlainBest ? "NCHW" : "channels_last"
      line.fp32_ratio = ratio(own, best)
      (line.convoy_fp32_memory_bytes, line.torch_fp32_memory_bytes) = (own.peak_memory_bytes, best.peak_memory_bytes)
    }
    if precisions.contains(.bf16) {
      let own = try convoy(network, .bf16)
      let torch = try self.torch(network, .bf16ChannelsLast)
      line.convoy_bf16 = own.images_per_second.rounded(toPlaces: 2)
      line.torch_bf16 = torch.images_per_second.rounded(toPlaces: 2)
      line.bf16_ratio = ratio(own, torch)
      line.bf16_precision = own.precision
      (line.convoy_bf16_memory_bytes, line.torch_bf16_memory_bytes) = (own.peak_memory_bytes, torch.peak_memory_bytes)
    }
    return line
  }

  private func convoy(_ network: ComparedNetwork, _ precision: Precision) throws(ConvoyError) -> Measured {
    var arguments = [
      "benchmark", "engine", "--model", network.name, "--batch", String(network.batch), "--engine", engine.name,
      "--threads", String(options.threads), "--precision", precision.rawValue, "--seconds", String(seconds), "--json",
    ]
    if let limit = options.memoryLimit { arguments += ["--memory-limit", limit] }
    return try measured("/proc/self/exe", arguments, "\(network.name) in \(precision.rawValue)")
  }

  private func torch(_ network: ComparedNetwork, _ variant: TorchScript.Variant) throws(ConvoyError) -> Measured {
    let arguments = [
      "-c", TorchScript.text, network.name, String(network.batch), String(options.threads), variant.rawValue,
      String(seconds),
    ]
    return try measured(python, arguments, "PyTorch's \(network.name), \(variant.rawValue)")
  }

  private func measured(_ program: String, _ arguments: [String], _ what: String) throws(ConvoyError) -> Measured {
    Terminal.note("timing \(what)")
    var environment = ProcessInfo.processInfo.environment
    environment[Lifeline.environmentName] = "1"
    let outcome = try CommandOutput.run(program, arguments, environment: environment, stop: stop)
    guard outcome.ending == .exit(0) else {
      throw ConvoyError(.failed, "\(what) could not be timed: \(outcome.problem)")
    }
    do {
      return try JSONDecoder().decode(Measured.self, from: Data(outcome.output.utf8))
    } catch {
      throw ConvoyError(.failed, "\(what): its process printed no measurement: \(outcome.output.prefix(100))")
    }
  }

  // MARK: The table

  private static let columns = [14, 6, 12, 12, 8, 8, 12, 12, 8, 8, 22, 22]

  private func row(_ cells: [String]) {
    let filled = zip(cells, Self.columns).enumerated().map { index, cell in padded(cell.0, cell.1, right: index > 0) }
    Terminal.result(filled.joined())
  }

  private func showHead(_ version: String) {
    let threads = options.threads == 1 ? "1 thread" : "\(options.threads) threads"
    Terminal.result(
      "images/s of whole steps, \(engine.name) and PyTorch \(version), \(threads); peak memory of each process")
    row([
      "network", "batch", "fp32", "PyTorch", "ratio", "target", "bf16", "PyTorch", "ratio", "target",
      "fp32 / PyTorch MiB",
      "bf16 / PyTorch MiB",
    ])
  }

  private func show(_ line: Line) {
    func memory(_ own: Int?, _ torch: Int?) -> String {
      [own, torch].map { $0.map { "\($0 >> 20)" } ?? "-" }.joined(separator: " / ")
    }
    func number(_ value: Double?, _ places: Int) -> String { value.map { ProgressLine.decimals($0, places) } ?? "-" }
    row([
      line.network, "\(line.batch)", number(line.convoy_fp32, 1), number(line.torch_fp32, 1),
      number(line.fp32_ratio, 2),
      number(line.fp32_target, 1), number(line.convoy_bf16, 1), number(line.torch_bf16, 1), number(line.bf16_ratio, 2),
      number(line.bf16_target, 1), memory(line.convoy_fp32_memory_bytes, line.torch_fp32_memory_bytes),
      memory(line.convoy_bf16_memory_bytes, line.torch_bf16_memory_bytes),
    ])
    if line.bf16_precision == Precision.fp32.rawValue {
      Terminal.result("  this processor has no bf16 instructions: fp32 was computed in its place")
    }
  }
}

import Benchmarks
import Engines
import Foundation
import Observability
import Runtime

/// `convoy benchmark engine --torch`: the same networks on an engine and in PyTorch, each side in processes of its own, so
/// that neither holds threads or memory of the other.
struct EngineComparison {
  let python: String
  let engine: any Engine
  let options: EngineOptions
  let seconds: Double

  /// What one process measured.
  private struct Measured: Decodable {
    let images_per_second: Double
    let peak_memory_bytes: Int
    let precision: String?
    let version: String?
  }

  /// A network's line of the table.
  struct Line: Encodable {
    let network: String
    let batch: Int
    let convoy_fp32: Double
    let torch_fp32: Double
    let torch_fp32_layout: String
    let fp32_ratio: Double
    let fp32_target: Double
    let convoy_bf16: Double?
    let torch_bf16: Double
    let bf16_ratio: Double?
    let bf16_target: Double
    /// The format that the engine computed in where bf16 was asked for; nil where it refused.
    let bf16_precision: String?
    let convoy_fp32_memory_bytes: Int
    let torch_fp32_memory_bytes: Int
    let convoy_bf16_memory_bytes: Int?
    let torch_bf16_memory_bytes: Int
  }

  private struct Report: Encodable {
    let engine: String
    let threads: Int
    let torch: String
    let comparisons: [Line]
  }

  /// Measures network after network, and shows each line when it is there.
  func run(_ networks: [ComparedNetwork], json: Bool) throws {
    let version = try torchVersion()
    if !json { showHead(version) }
    var lines: [Line] = []
    for network in networks {
      let line = try compare(network)
      lines.append(line)
      if !json { show(line) }
    }
    if json {
      let report = Report(engine: engine.name, threads: options.threads, torch: version, comparisons: lines)
      Terminal.result(JSONText.line(report))
    }
  }

  private func torchVersion() throws(ConvoyError) -> String {
    let outcome = try ChildProcess.run(python, ["-c", "import torch; print(torch.__version__)"])
    guard outcome.exitCode == 0 else {
      throw ConvoyError(
        .configuration, "--torch \(python): this Python has no PyTorch (\(outcome.lastError)): give one that has it")
    }
    return outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private func compare(_ network: ComparedNetwork) throws(ConvoyError) -> Line {
    let own = try convoy(network, .fp32)
    let torch = try self.torch(network, .fp32)
    let channelsLast = try self.torch(network, .fp32ChannelsLast)
    let best = torch.images_per_second >= channelsLast.images_per_second ? torch : channelsLast
    let ownHalf = try? convoy(network, .bf16)
    let torchHalf = try self.torch(network, .bf16ChannelsLast)
    func ratio(_ own: Measured, _ other: Measured) -> Double {
      (own.images_per_second / other.images_per_second).rounded(toPlaces: 3)
    }
    return Line(
      network: network.name, batch: network.batch, convoy_fp32: own.images_per_second.rounded(toPlaces: 2),
      torch_fp32: best.images_per_second.rounded(toPlaces: 2),
      torch_fp32_layout: torch.images_per_second >= channelsLast.images_per_second ? "NCHW" : "channels_last",
      fp32_ratio: ratio(own, best), fp32_target: network.target,
      convoy_bf16: ownHalf?.images_per_second.rounded(toPlaces: 2),
      torch_bf16: torchHalf.images_per_second.rounded(toPlaces: 2), bf16_ratio: ownHalf.map { ratio($0, torchHalf) },
      bf16_target: network.bfloat16Target, bf16_precision: ownHalf?.precision,
      convoy_fp32_memory_bytes: own.peak_memory_bytes, torch_fp32_memory_bytes: best.peak_memory_bytes,
      convoy_bf16_memory_bytes: ownHalf?.peak_memory_bytes, torch_bf16_memory_bytes: torchHalf.peak_memory_bytes)
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
    let outcome = try ChildProcess.run(program, arguments)
    guard outcome.exitCode == 0 else {
      let error = ConvoyError(.failed, "\(what) could not be timed: \(outcome.lastError)")
      Terminal.error(error.message)
      throw error
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
    func memory(_ own: Int?, _ torch: Int) -> String { "\(own.map { "\($0 >> 20)" } ?? "-") / \(torch >> 20)" }
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

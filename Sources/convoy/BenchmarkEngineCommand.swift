import ArgumentParser
import Benchmarks
import Engines
import Foundation
import Networks
import Observability
import Runtime
import Tensors

/// `convoy benchmark engine`.
struct BenchmarkEngineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "engine", abstract: "Time a network's training steps: forward, backward, SGD with momentum.",
    discussion: """
      With --torch the same network is timed in PyTorch too, the faster of its two layouts counting; without --model all \
      networks of the comparison are. Each side runs in a process of its own, one after the other. Both formats are \
      compared, bf16 where the processor has it, unless --precision states one.
      """)

  @Option(help: ArgumentHelp("the network (default: lenet)", valueName: "name")) var model: String?
  @Option(help: ArgumentHelp("samples of a step (default: the comparison's, or 64)", valueName: "count"))
  var batch: Int?
  @OptionGroup var options: EngineOptions
  @Option(help: ArgumentHelp("how long to time steps", valueName: "seconds")) var seconds = 5.0
  @Flag(help: "show what each layer's passes take, and what computes them") var layers = false
  @Flag(help: "time the library's primitives alone as well, one after the other") var bare = false
  @Option(help: ArgumentHelp("a Python with PyTorch, to compare with", valueName: "python")) var torch: String?
  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  func validate() throws {
    if let batch, !(1...65_536).contains(batch) { throw ValidationError("--batch \(batch): it takes 1 to 65536") }
    guard seconds > 0, seconds <= 3600 else {
      throw ValidationError("--seconds \(seconds): it takes more than 0, at most 3600")
    }
    if torch != nil, layers || bare {
      throw ValidationError("--torch compares whole steps: leave out \(layers ? "--layers" : "--bare")")
    }
  }

  func run() throws {
    // A comparison runs this command for its own side; where that is killed, nobody waits for the result.
    if ProcessInfo.processInfo.environment[Lifeline.environmentName] == "1" {
      let stop = StopRequest()
      stop.listen { _exit($0.exitCode.rawValue) }
      Lifeline.watch(stop)
    }
    let engine = try options.chosenEngine()
    if let torch {
      let comparison = EngineComparison(python: torch, engine: engine, options: options, seconds: seconds)
      return try comparison.run(comparedNetworks(), json: json)
    }
    let name = model ?? "lenet"
    let network = try EngineOptions.network(name)
    let compileOptions = options.compileOptions(engine)
    var extras: EngineBenchmark.Extras = []
    if layers { extras.insert(.layers) }
    if bare { extras.insert(.bare) }
    let count = batch ?? ComparedNetwork.named(name, batch: nil)?.batch ?? 64
    let peak = PeakMeasurement.run(threads: options.threads)
    let result: EngineBenchmark.Result
    do throws(EngineError) {
      result = try EngineBenchmark(network, engine: engine, batch: count, options: compileOptions)
        .run(for: .seconds(seconds), extras: extras)
    } catch {
      throw EngineOptions.failure(error)
    }
    let report = EngineReport(
      network: network, batch: count, engine: engine.name, options: compileOptions, result: result, peak: peak,
      hasLayers: layers)
    Terminal.result(json ? JSONText.line(report) : report.text)
  }

  private func comparedNetworks() throws -> [ComparedNetwork] {
    guard let model else {
      if batch != nil { throw ConvoyError(.usage, "--batch: without --model each network has its own") }
      return ComparedNetwork.all
    }
    _ = try EngineOptions.network(model)
    guard let known = ComparedNetwork.named(model, batch: batch) else {
      let names = ComparedNetwork.all.map(\.name)
      throw ConvoyError(
        .usage, "\(model) is not among the networks that are compared with PyTorch: \(names.joined(separator: ", "))")
    }
    return [known]
  }
}

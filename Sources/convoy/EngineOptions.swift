import ArgumentParser
import Engines
import Networks
import Observability
import Runtime

/// The options of commands that compile a network for an engine.
struct EngineOptions: ParsableArguments {
  @Option(help: ArgumentHelp("what computes", valueName: "name")) var engine = Engines.defaultName
  @Option(
    help: ArgumentHelp(
      "number format of activations and weights: fp32 or bf16 (default: fp32)", valueName: "format"))
  var precision: String?
  @Option(help: ArgumentHelp("threads", valueName: "count")) var threads = 1
  @Option(
    help: ArgumentHelp(
      "most memory for activations, as in 2GiB: what does not fit is computed again", valueName: "size"))
  var memoryLimit: String?

  func validate() throws {
    guard (1...256).contains(threads) else { throw ValidationError("--threads \(threads): it takes 1 to 256") }
    if let memoryLimit, MemorySize(memoryLimit) == nil {
      throw ValidationError("--memory-limit \(memoryLimit): it takes a number and a unit, as in 512MiB or 2GiB")
    }
    if let precision, Precision(rawValue: precision) == nil {
      let names = Precision.allCases.map(\.rawValue)
      throw ValidationError("--precision \(precision): it takes \(names.joined(separator: " or "))")
    }
  }

  /// The number format, where one was stated.
  var statedPrecision: Precision? { precision.flatMap(Precision.init(rawValue:)) }

  /// The engine of the name.
  func chosenEngine() throws(ConvoyError) -> any Engine {
    guard let chosen = Engines.engine(named: engine) else {
      throw ConvoyError(.usage, "there is no engine \(engine); \(NearestName.hint(for: engine, in: Engines.names))")
    }
    return chosen
  }

  /// What a plan for training is compiled with; fp32 where the processor has no instructions for the format.
  func compileOptions(_ engine: any Engine) -> CompileOptions {
    var format = statedPrecision ?? .fp32
    if !engine.supports(format) {
      Terminal.note(
        "convoy: this processor has no instructions for \(format.rawValue) that the \(engine.name) engine uses: computing in fp32"
      )
      format = .fp32
    }
    return CompileOptions(
      threads: threads, purpose: .training(seed: 1), precision: format,
      memoryLimit: memoryLimit.flatMap { MemorySize($0)?.bytes })
  }

  /// The catalogue's network of a name.
  static func network(_ name: String) throws(ConvoyError) -> Network {
    guard let network = Catalogue.network(named: name) else {
      throw ConvoyError(
        .usage, "there is no model \(name); \(NearestName.hint(for: name, in: Catalogue.networks.map(\.name)))")
    }
    return network
  }

  /// The exit code and the line for what an engine cannot do.
  static func failure(_ error: EngineError) -> ConvoyError {
    ConvoyError(error)
  }
}

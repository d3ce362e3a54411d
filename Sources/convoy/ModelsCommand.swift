import ArgumentParser
import Engines
import Networks
import Observability
import Runtime
import Tensors

/// `convoy models`: the networks that are known by name.
struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models", abstract: "List the networks, or show one.",
    subcommands: [ModelsListCommand.self, ModelsShowCommand.self], defaultSubcommand: ModelsListCommand.self)
}

/// A network in the list.
private struct ListedModel: Encodable {
  let name: String
  let parameters: Int
  let forward_macs: Int
  let input_shape: [Int]

  init(_ network: Network) {
    name = network.name
    parameters = network.parameterLayout.count
    forward_macs = network.forwardMACs
    input_shape = network.inputShape.extents
  }
}

/// `convoy models`.
struct ModelsListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "List the networks.")

  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  private struct List: Encodable {
    let models: [ListedModel]
  }

  func run() throws {
    let models = Catalogue.networks.map(ListedModel.init)
    if json { return Terminal.result(JSONText.line(List(models: models))) }
    for model in models {
      let shape = Shape(model.input_shape).description
      Terminal.result(
        "\(padded(model.name, 16))\(padded(shape, 12))\(padded(grouped(model.parameters), 14, right: true)) parameters\(padded(grouped(model.forward_macs), 16, right: true)) MACs"
      )
    }
  }
}

/// `convoy models show NAME`.
struct ModelsShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show a network's layers.")

  @Argument(help: ArgumentHelp("the network", valueName: "name")) var name: String
  @Flag(help: "show what computes each layer of a training step, and what memory it takes") var plan = false
  @Option(help: ArgumentHelp("with --plan, samples of a step (default: 64)", valueName: "count")) var batch: Int?
  @OptionGroup(title: "With --plan") var options: EngineOptions
  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  func validate() throws {
    if let batch, !(1...65_536).contains(batch) { throw ValidationError("--batch \(batch): it takes 1 to 65536") }
    if batch != nil || options.memoryLimit != nil, !plan {
      throw ValidationError("\(batch != nil ? "--batch" : "--memory-limit") is an option of --plan: add --plan")
    }
  }

  private struct Shown: Encodable {
    struct Layer: Encodable {
      let name: String
      let type: String
      let output_shape: [Int]
      let parameters: Int
    }

    let name: String
    let parameters: Int
    let forward_macs: Int
    let input_shape: [Int]
    let layers: [Layer]
  }

  func run() throws {
    let network = try EngineOptions.network(name)
    if plan { return try showPlan(network) }
    let summary = network.summary
    if json {
      let layers = summary.map {
        Shown.Layer(name: $0.name, type: $0.type, output_shape: $0.outputShape.extents, parameters: $0.parameters)
      }
      return Terminal.result(
        JSONText.line(
          Shown(
            name: network.name, parameters: network.parameterLayout.count, forward_macs: network.forwardMACs,
            input_shape: network.inputShape.extents, layers: layers)))
    }
    Terminal.result("\(network.name), input \(network.inputShape)")
    Terminal.result(
      "\(padded("layer", 24))\(padded("type", 28))\(padded("output", 14))\(padded("parameters", 14, right: true))\(padded("MACs", 16, right: true))"
    )
    for layer in summary {
      Terminal.result(
        "\(padded(layer.name, 24))\(padded(layer.type, 28))\(padded(layer.outputShape.description, 14))\(padded(grouped(layer.parameters), 14, right: true))\(padded(grouped(layer.macs), 16, right: true))"
      )
    }
    Terminal.result(
      "\(padded("in all", 66))\(padded(grouped(network.parameterLayout.count), 14, right: true))\(padded(grouped(network.forwardMACs), 16, right: true))"
    )
  }
}

extension ModelsShowCommand {
  private func showPlan(_ network: Network) throws {
    let engine = try options.chosenEngine()
    let compileOptions = options.compileOptions(engine)
    let count = batch ?? 64
    let description: PlanDescription
    do throws(EngineError) {
      description = try engine.compile(network, batch: count, options: compileOptions).description()
    } catch {
      throw EngineOptions.failure(error)
    }
    let report = PlanReport(network, batch: count, engine: engine.name, options: compileOptions, description)
    Terminal.result(json ? JSONText.line(report) : report.text)
  }
}

/// A text filled with spaces to a width.
func padded(_ text: String, _ width: Int, right: Bool = false) -> String {
  let spaces = String(repeating: " ", count: max(0, width - text.count))
  return right ? spaces + text : text + spaces
}

/// A number with commas between thousands.
func grouped(_ value: Int) -> String {
  var digits = String(value)
  var groups: [String] = []
  while digits.count > 3 {
    groups.insert(String(digits.suffix(3)), at: 0)
    digits = String(digits.dropLast(3))
  }
  return ([digits] + groups).joined(separator: ",")
}

import ArgumentParser
import Engines
import Observability
import Runtime

/// `convoy evaluate`: a stored model on a data set's test split.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Evaluate a stored model on a data set's test split.")

  @Option(help: ArgumentHelp("run folder, checkpoint, or safetensors file", valueName: "folder"))
  var checkpoint: String
  @Option(help: ArgumentHelp("data set", valueName: "name"))
  var data: String
  @Option(help: ArgumentHelp("folder of the data set's files", valueName: "folder"))
  var dataDir: String?
  @Option(help: ArgumentHelp("network, where the file does not say it", valueName: "name"))
  var model: String?
  @Option(help: ArgumentHelp("what computes (default: \(Engines.defaultName))", valueName: "name"))
  var engine: String = Engines.defaultName
  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  func run() throws {
    // The same checks and suggestions as a job's.
    var flags = ["data": data, "engine": engine]
    if let model { flags["model"] = model }
    _ = try Job.resolve(flags: flags, environment: [:], file: nil)
    let summary = try evaluate(
      checkpoint: checkpoint, model: model, data: data, dataDirectory: dataDir, engine: engine)
    if json { return Terminal.result(JSONText.line(summary)) }
    Terminal.result(
      "test accuracy  \(ProgressLine.decimals(summary.testAccuracy, 4))   (loss \(ProgressLine.decimals(summary.testLoss, 4)), \(summary.samples) samples of \(summary.data), \(summary.model) from \(summary.checkpoint))"
    )
  }
}

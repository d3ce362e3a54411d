import ArgumentParser
import ModelFiles
import Observability
import Runtime

/// `convoy checkpoints`: what a run has stored.
struct CheckpointsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoints", abstract: "List or verify a run's checkpoints.",
    subcommands: [CheckpointsListCommand.self, CheckpointsVerifyCommand.self])
}

/// What is asked of both.
struct CheckpointsOptions: ParsableArguments {
  @Argument(help: ArgumentHelp("run folder, or its folder of checkpoints", valueName: "folder")) var folder: String
  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false
}

/// `convoy checkpoints list DIR`.
struct CheckpointsListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the checkpoints, looking at manifests and sizes.")

  @OptionGroup var options: CheckpointsOptions

  func run() throws {
    try CheckpointsReport(options.folder, reading: false).show(json: options.json)
  }
}

/// `convoy checkpoints verify DIR`.
struct CheckpointsVerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read every byte of the checkpoints and compare it with what was written.")

  @OptionGroup var options: CheckpointsOptions

  func run() throws {
    try CheckpointsReport(options.folder, reading: true).show(json: options.json)
  }
}

/// What was found, as JSON and as text.
private struct CheckpointsReport: Encodable {
  struct Checkpoint: Encodable {
    let name: String
    let step: Int
    /// good, damaged or unfinished.
    let state: String
    let reason: String?
    let model: String?
    let data: String?
    let bytes: Int
    /// On the samples that were held out; nil where none were, or it was not evaluated.
    let validationAccuracy: Double?
    let validationLoss: Double?
    /// Whether no other is better on them; nil where it has no score.
    let isBest: Bool?

    enum CodingKeys: String, CodingKey {
      case name, step, state, reason, model, data, bytes
      case validationAccuracy = "validation_accuracy"
      case validationLoss = "validation_loss"
      case isBest = "best"
    }
  }

  let folder: String
  let newest: String?
  let good: Int
  let damaged: Int
  let unfinished: Int
  let checkpoints: [Checkpoint]

  init(_ folder: String, reading: Bool) throws(ConvoyError) {
    let store = try RunFolder.checkpoints(at: folder)
    let entries: [CheckpointStore.Entry]
    do throws(ModelFileError) {
      entries = reading ? try store.verify() : try store.list()
    } catch {
      throw ConvoyError(.badData, error.description)
    }
    self.folder = store.folder
    let best = ValidationScore.best(entries.compactMap { ValidationScore($0) })
    checkpoints = entries.map { Self.checkpoint($0, best: best) }
    newest = checkpoints.last { $0.state == "good" }?.name
    good = checkpoints.count { $0.state == "good" }
    damaged = checkpoints.count { $0.state == "damaged" }
    unfinished = checkpoints.count { $0.state == "unfinished" }
  }

  private static func checkpoint(_ entry: CheckpointStore.Entry, best: ValidationScore?) -> Checkpoint {
    let (state, reason): (String, String?) =
      switch entry.state {
      case .good: ("good", nil)
      case .damaged(let error): ("damaged", error.description)
      case .unfinished:
        ("unfinished", "it has no \(CheckpointStore.manifestName): it was not finished, and does not count")
      }
    let score = ValidationScore(entry)
    return Checkpoint(
      name: entry.name, step: entry.step, state: state, reason: reason, model: entry.network, data: entry.data,
      bytes: entry.bytes, validationAccuracy: score?.accuracy, validationLoss: score?.loss,
      isBest: score.map { $0 == best })
  }

  /// Prints the report, and ends with what is wrong.
  func show(json: Bool) throws(ConvoyError) {
    if json {
      Terminal.result(JSONText.line(self))
    } else {
      for checkpoint in checkpoints { Terminal.result(Self.line(checkpoint)) }
      if let newest { Terminal.result("the newest good checkpoint is \(newest)") }
    }
    if damaged > 0 {
      let use = newest.map { "use \($0)" } ?? "there is no good one"
      throw ConvoyError(.badData, "\(damaged) of \(checkpoints.count) checkpoints in \(folder) are damaged: \(use)")
    }
    if newest == nil { throw ConvoyError(.badData, "\(folder) holds no good checkpoint") }
  }

  private static func line(_ checkpoint: Checkpoint) -> String {
    let start = "\(padded(checkpoint.name, 24))\(padded(checkpoint.state, 12))"
    if let reason = checkpoint.reason { return start + reason }
    let line =
      "\(start)\(padded(checkpoint.model ?? "", 16))\(padded(grouped(checkpoint.bytes), 14, right: true)) bytes"
    guard let accuracy = checkpoint.validationAccuracy, let loss = checkpoint.validationLoss else { return line }
    let score = "validation accuracy \(ProgressLine.decimals(accuracy, 4)), loss \(ProgressLine.decimals(loss, 4))"
    return "\(line)   \(score)\(checkpoint.isBest == true ? ", the best" : "")"
  }
}

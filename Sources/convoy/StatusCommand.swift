import ArgumentParser
import Foundation
import Observability
import ParameterServer
import Runtime

/// `convoy status`: how a running job does, and changes to it.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show how a running job does, or change when its pushes are applied.")

  @Argument(help: ArgumentHelp("run folder, or the coordinator's address", valueName: "run-dir|address"))
  var job: String
  @Option(help: ArgumentHelp("file of the job's token (default: the run folder's)", valueName: "file"))
  var tokenFile: String?
  @OptionGroup(title: "Other machines") var network: ClientFlags
  @Option(
    help: ArgumentHelp("switch at a coming step: sync, ssp:S, async, backup:K or local:H", valueName: "mode"))
  var setMode: String?
  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  func run() throws {
    var mode: Consistency?
    if let setMode {
      guard let known = Consistency(setMode) else {
        throw ConvoyError(
          .usage, "--set-mode: there is no mode \(setMode); there are sync, ssp:S, async, backup:K and local:H")
      }
      mode = known
    }
    let status = try StatusClient(job, tokenFile: tokenFile, network: network.options).ask(settingMode: mode)
    if json { return Terminal.result(JSONText.line(status)) }
    if let mode { Terminal.note("\(mode) from a coming step on") }
    Terminal.result(
      "\(status.state)  step \(status.step) of \(status.steps)  mode \(status.mode)  view \(status.view)  era \(status.era)  \(status.refused) messages refused"
    )
    if let refused = status.refusalsText { Terminal.result("  messages refused: \(refused)") }
    if let refused = status.connectionsText { Terminal.result("  \(refused)") }
    if let staleness = status.staleness {
      Terminal.result(
        "  staleness  mean \(ProgressLine.decimals(staleness.mean, 2))  max \(staleness.max)  of \(staleness.pushes) pushes"
      )
    }
    for member in status.members {
      let name = member.name == member.place ? "" : " (\(member.name))"
      let shards =
        member.chunks.map { "  serves \($0) chunks, keeps \(member.replicas ?? 0) replicas" }
        ?? "  \(member.shards) shards"
      Terminal.result(
        "  \(member.place)\(name)  \(member.state)  step \(member.steps)\(shards)  heard \(member.silentMilliseconds) ms ago"
      )
    }
    for wait in status.waits ?? [] { Terminal.result("  \(wait.text)") }
    if !status.missing.isEmpty { Terminal.result("  missing: \(status.missing.joined(separator: ", "))") }
  }
}

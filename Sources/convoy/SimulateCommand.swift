import ArgumentParser
import ConvoySimulation
import Foundation
import Runtime

/// `convoy simulate`: whole clusters on one thread, with faults, checked against what must hold.
struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate", abstract: "Simulate a cluster with faults, and check what must hold.",
    discussion: """
      The state machines are those of real jobs; time, network, disk and processes are simulated, and follow from the \
      seed. A seed that breaks an invariant leaves a file with the smallest schedule of faults that does: --replay runs it \
      again. With --model the workers train a real network on real samples, and a synchronous job has the bytes of \
      convoy train, whatever fails.
      """)

  @Option(help: ArgumentHelp("the seed, or the first of several", valueName: "number")) var seed: UInt64 = 1
  @Option(help: ArgumentHelp("how many seeds to run, one after the other", valueName: "count")) var seeds = 1
  @Option(help: ArgumentHelp("workers of the job", valueName: "count")) var workers = 8
  @Option(help: ArgumentHelp("servers of the job", valueName: "count")) var servers = 3
  @Option(help: ArgumentHelp("steps of the job", valueName: "count")) var steps = 50
  @Option(help: ArgumentHelp("sync, ssp:S, async, backup:K or local:H", valueName: "mode")) var mode = "sync"
  @Option(
    help: ArgumentHelp("all, none, or kinds between commas (default: all, with --model none)", valueName: "kinds"))
  var faults: String?
  @Option(help: ArgumentHelp("1 to keep each chunk on a second server, or 0", valueName: "count")) var replicas = 0
  @Option(help: ArgumentHelp("run the schedule of this file again", valueName: "file")) var replay: String?
  @Option(help: ArgumentHelp("where schedules that fail are written (default: here)", valueName: "folder"))
  var output = "."
  @OptionGroup(title: "A real network") var training: SimulatedJobFlags
  @Flag(help: "print a line for everything that happens") var trace = false
  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  func validate() throws {
    if !(1...1_000_000).contains(seeds) { throw ValidationError("--seeds \(seeds): it takes 1 to 1000000") }
    if !(1...64).contains(workers) { throw ValidationError("--workers \(workers): it takes 1 to 64") }
    if !(1...16).contains(servers) { throw ValidationError("--servers \(servers): it takes 1 to 16") }
    if !(1...100_000).contains(steps) { throw ValidationError("--steps \(steps): it takes 1 to 100000") }
    if !(0...1).contains(replicas) { throw ValidationError("--replicas \(replicas): it takes 0 or 1") }
    if replicas == 1, servers == 1 {
      throw ValidationError("--replicas 1 keeps each chunk on a second server: it takes --servers 2 or more")
    }
    guard let known = Mode(mode) else {
      throw ValidationError("--mode \(mode): it takes sync, ssp:S, async, backup:K or local:H, as in ssp:3")
    }
    if case .backup(let spared) = known, spared > 63 {
      throw ValidationError("--mode \(mode): it takes 1 to 63 shards")
    }
    if case .failure(let unknown) = FaultPlan.parse(plannedFaults) { throw ValidationError("--faults: \(unknown)") }
    if replay != nil, seeds > 1 { throw ValidationError("--replay runs one schedule: leave out --seeds") }
    if training.model != nil, replay != nil || seeds > 1 {
      throw ValidationError("--model trains one job: leave out \(replay == nil ? "--seeds" : "--replay")")
    }
    if trace, json || seeds > 1 {
      throw ValidationError("--trace prints one run: leave out \(json ? "--json" : "--seeds")")
    }
  }

  private var plannedFaults: String { faults ?? (training.model == nil ? "all" : "none") }

  func run() throws {
    if let replay { return try runAgain(replay) }
    guard let mode = Mode(mode), case .success(let plan) = FaultPlan.parse(plannedFaults) else { return }
    var cluster = Cluster(seed: seed)
    cluster.workers = workers
    cluster.servers = servers
    cluster.replicas = replicas
    cluster.tracing = trace
    if training.model != nil { return try train(cluster, plan) }
    let campaign = Campaign(cluster, ToyJob(steps: steps, mode: mode), faults: plan)
    var total = CampaignReport()
    var failures: [Failure] = []
    let began = ContinuousClock.now
    for offset in 0..<UInt64(seeds) {
      let report = campaign.run(seed: seed &+ offset)
      total.add(report)
      for line in report.trace { Terminal.result(line) }
      guard let violation = report.violations.first else { continue }
      // One failure is looked into closely: the others are named.
      let file = try failures.isEmpty ? save(campaign, report) : nil
      failures.append(Failure(seed: report.seed, violation: violation.description, replay: file))
      Terminal.note(
        "seed \(report.seed): \(violation)\(file.map { "; run it again: convoy simulate --replay \($0)" } ?? "")")
    }
    let seconds = (ContinuousClock.now - began) / .seconds(1)
    let report = SimulationReport(total, campaign, failures, seconds: seconds)
    Terminal.result(json ? JSONText.line(report) : report.text)
    if !failures.isEmpty { throw ExitCode(1) }
  }

  private func train(_ cluster: Cluster, _ plan: FaultPlan) throws {
    var values = training.values
    // As many epochs as the steps take.
    values.merge([
      "workers": "\(workers)", "servers": "\(servers)", "replicas": "\(replicas)", "mode": mode, "seed": "\(seed)",
      "max-steps": "\(steps)", "epochs": "\(steps)",
    ]) { $1 }
    let job = try Job.resolve(flags: values, environment: ProcessInfo.processInfo.environment, file: nil)
    var cluster = cluster
    cluster.slowdowns = try training.slowdowns(workers: workers)
    try SimulatedTraining(cluster: cluster, job: job, faults: plan).run(json: json)
  }

  /// Writes down the smallest schedule that fails.
  private func save(_ campaign: Campaign, _ report: RunReport) throws -> String {
    let file = campaign.replay(report, faults: campaign.shrink(report))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let path = URL(fileURLWithPath: output).appendingPathComponent("seed-\(report.seed).json").path
    do {
      try encoder.encode(file).write(to: URL(fileURLWithPath: path))
    } catch {
      throw ConvoyError(.failed, "\(path) cannot be written: choose another folder with --output")
    }
    return path
  }

  private func runAgain(_ path: String) throws {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ConvoyError(
        .badData, "\(path) cannot be read: \(ErrorText.reading(path)); give a file that convoy simulate has written")
    }
    let replay: Replay
    do {
      replay = try JSONDecoder().decode(Replay.self, from: data)
    } catch {
      throw ConvoyError(.badData, "\(path) is no schedule of convoy simulate: \(ErrorText.line(error))")
    }
    guard replay.isSound else {
      throw ConvoyError(
        .badData, "\(path): its format, or a count of workers, servers or steps, is not one of this program")
    }
    var cluster = replay.cluster
    cluster.tracing = trace
    let report = cluster.run(replay.job, faults: replay.faults)
    for line in report.trace { Terminal.result(line) }
    if json {
      Terminal.result(JSONText.line(report))
    } else {
      for fault in replay.faults { Terminal.result("fault at \(fault)") }
      for violation in report.violations { Terminal.result("violation: \(violation)") }
      Terminal.result(
        "seed \(report.seed): \(report.violations.count) violations, \(report.steps) steps, trace \(report.hash)")
    }
    if !report.violations.isEmpty { throw ExitCode(1) }
  }
}

/// A seed that broke an invariant.
private struct Failure: Encodable {
  let seed: UInt64
  let violation: String
  let replay: String?
}

/// What `convoy simulate` prints.
private struct SimulationReport: Encodable {
  let runs: Int
  let completed: Int
  let failures: [Failure]
  let seconds: Double
  let seeds_per_second: Double
  let simulated_seconds: Double
  let events: UInt64
  let faults: [String: Int]
  let rare_branches: [String: Int]
  let occurrences: [String: Int]
  let refusals: [String: Int]
  let passed_over: [String: Int]
  let never: [String]
  let trace_hash: String

  init(_ total: CampaignReport, _ campaign: Campaign, _ failures: [Failure], seconds: Double) {
    runs = total.runs
    completed = total.completed
    self.failures = failures
    self.seconds = seconds
    seeds_per_second = Double(total.runs) / max(seconds, 1e-9)
    simulated_seconds = Double(total.simulatedTime) / 1e6
    events = total.eventCount
    faults = Dictionary(uniqueKeysWithValues: total.coverage.faults.map { ($0.key.rawValue, $0.value) })
    rare_branches = Dictionary(uniqueKeysWithValues: total.coverage.branches.map { ($0.key.rawValue, $0.value) })
    occurrences = Dictionary(uniqueKeysWithValues: total.coverage.events.map { ($0.key.rawValue, $0.value) })
    refusals = total.coverage.refusals
    passed_over = total.coverage.drops
    never = total.missing(campaign)
    trace_hash = total.hash
  }

  /// Lines for a person.
  var text: String {
    func table(_ title: String, _ counts: [String: Int]) -> String {
      "\(title): " + counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
    var lines = [
      "\(runs) runs, \(completed) jobs completed, \(failures.count) with a violation",
      String(
        format: "%.0f seeds/s, %.0f s simulated in %.1f s, %llu events", seeds_per_second, simulated_seconds, seconds,
        events),
    ]
    if !faults.isEmpty { lines.append(table("faults", faults)) }
    if !rare_branches.isEmpty { lines.append(table("rare branches", rare_branches)) }
    lines.append(table("occurrences", occurrences))
    if !refusals.isEmpty { lines.append(table("refused", refusals)) }
    if !passed_over.isEmpty { lines.append(table("passed over", passed_over)) }
    if runs > 1, !never.isEmpty { lines.append("never: " + never.joined(separator: ", ")) }
    lines.append("trace \(trace_hash)")
    return lines.joined(separator: "\n")
  }
}

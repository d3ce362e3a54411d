import ArgumentParser
import ConvoySimulation
import Foundation
import Runtime

/// What `convoy simulate --model` takes of a job's settings: the rest comes from the environment, or is the default.
struct SimulatedJobFlags: ParsableArguments {
  @Option(help: ArgumentHelp("train this network, with real gradients (default: toy numbers)", valueName: "name"))
  var model: String?
  @Option(help: JobFlags.help("data")) var data: String?
  @Option(help: JobFlags.help("data-dir")) var dataDir: String?
  @Option(help: JobFlags.help("batch")) var batch: String?
  @Option(help: JobFlags.help("shards")) var shards: String?
  @Option(help: JobFlags.help("engine")) var engine: String?
  @Option(help: JobFlags.help("precision")) var precision: String?
  @Option(help: JobFlags.help("optimizer")) var optimizer: String?
  @Option(help: JobFlags.help("learning-rate")) var learningRate: String?
  @Option(help: JobFlags.help("momentum")) var momentum: String?
  @Option(help: JobFlags.help("weight-decay")) var weightDecay: String?
  @Option(help: JobFlags.help("schedule")) var schedule: String?
  @Option(help: JobFlags.help("warmup-steps")) var warmupSteps: String?
  @Option(help: JobFlags.help("checkpoint-every")) var checkpointEvery: String?
  @Option(help: JobFlags.help("rebalance")) var rebalance: String?
  @Option(help: JobFlags.help("max-staleness")) var maxStaleness: String?
  @Option(help: JobFlags.help("staleness-scaling")) var stalenessScaling: String?
  @Option(help: JobFlags.help("delay-compensation")) var delayCompensation: String?
  @Option(
    help: ArgumentHelp(
      "a worker that computes so many times as long as the others, as in worker.3:5; may be given again",
      valueName: "worker:n"))
  var straggler: [String] = []

  /// The texts that were given, by option name.
  var values: [String: String] {
    let all: [String: String?] = [
      "model": model, "data": data, "data-dir": dataDir, "batch": batch, "shards": shards, "engine": engine,
      "precision": precision, "optimizer": optimizer, "learning-rate": learningRate, "momentum": momentum,
      "weight-decay": weightDecay, "schedule": schedule, "warmup-steps": warmupSteps,
      "checkpoint-every": checkpointEvery, "rebalance": rebalance, "max-staleness": maxStaleness,
      "staleness-scaling": stalenessScaling, "delay-compensation": delayCompensation,
    ]
    return all.compactMapValues { $0 }
  }

  func validate() throws {
    guard model == nil, let name = values.keys.min() ?? (straggler.isEmpty ? nil : "straggler") else { return }
    throw ValidationError("--\(name) is of a real network: name it with --model")
  }

  /// How many times as long as others which workers compute.
  func slowdowns(workers: Int) throws(ConvoyError) -> [Int: Int] {
    var slowdowns: [Int: Int] = [:]
    for text in straggler {
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, case .worker(let number)? = ProcessName(parts[0]), let times = Int(parts[1]),
        (1...1000).contains(times)
      else {
        throw ConvoyError(.usage, "--straggler: \(text) names no worker and number up to 1000, as worker.3:5 does")
      }
      guard number < workers else {
        throw ConvoyError(.usage, "--straggler: there is no \(parts[0]) among \(workers) workers")
      }
      slowdowns[number] = times
    }
    return slowdowns
  }
}

/// `convoy simulate --model`: a real network's job in a simulated cluster.
struct SimulatedTraining {
  let cluster: Cluster
  let job: Job
  let faults: FaultPlan

  /// Runs the job and prints what came of it.
  func run(json: Bool) throws {
    Terminal.note(
      "simulating \(job.model) on \(job.data): \(cluster.servers) servers, \(cluster.workers) workers, \(job.mode), \(job.maxSteps ?? 0) steps of \(job.batch) samples, seed \(job.seed)"
    )
    let began = MonotonicClock.seconds
    let report = try cluster.train(job, faults: faults) { point in
      Terminal.note("step \(point.step) of \(job.maxSteps ?? 0): loss \(decimals(point.loss, 4))")
    }
    let seconds = MonotonicClock.seconds - began
    for line in report.run.trace { Terminal.result(line) }
    for violation in report.run.violations { Terminal.note("violation: \(violation)") }
    Terminal.result(
      json ? JSONText.line(SimulatedTrainingReport(report, self, seconds: seconds)) : text(report, seconds: seconds))
    if !report.run.isCompleted || !report.run.violations.isEmpty { throw ExitCode(1) }
  }

  private func text(_ report: TrainingReport, seconds: Double) -> String {
    var lines: [String] = []
    if let accuracy = report.testAccuracy, let loss = report.testLoss {
      lines.append("test accuracy  \(decimals(accuracy, 4))   (loss \(decimals(loss, 4)))")
    }
    lines += [
      "trained        \(report.run.steps) steps, \(report.samples) samples, \(Int(report.imagesPerSecond.rounded())) images/s of simulated time",
      "time           \(decimals(Double(report.run.simulatedTime) / 1e6, 2)) s simulated in \(decimals(seconds, 1)) s, \(report.run.eventCount) events",
      "loss by step   \(report.curve(points: 10).map { "\($0.step): \(decimals($0.loss, 4))" }.joined(separator: ", "))",
    ]
    if !report.staleness.isEmpty { lines.append("staleness      \(Self.histogram(report.staleness))") }
    if !report.run.coverage.faults.isEmpty {
      let counts = report.run.coverage.faults.map { "\($0.key.rawValue) \($0.value)" }.sorted()
      lines.append("faults         \(counts.joined(separator: ", "))")
    }
    if let digest = report.parametersSHA256 { lines.append("parameters     \(report.parameters), sha256 \(digest)") }
    lines.append("trace          \(report.run.hash)")
    return lines.joined(separator: "\n")
  }

  /// Shares of the updates by staleness, from one power of two to the next.
  private static func histogram(_ counts: [Int]) -> String {
    let all = Double(counts.reduce(0, +))
    let mean = counts.enumerated().reduce(0.0) { $0 + Double($1.offset * $1.element) } / all
    var parts: [String] = []
    var first = 0
    while first < counts.count {
      let end = first == 0 ? 1 : 2 * first
      let share = Double(counts[first..<min(end, counts.count)].reduce(0, +)) / all * 100
      parts.append("\(end == first + 1 ? "\(first)" : "\(first)-\(end - 1)"): \(decimals(share, 1)) %")
      first = end
    }
    return "\(parts.joined(separator: ", ")); mean \(decimals(mean, 1))"
  }
}

private func decimals(_ value: Double, _ places: Int) -> String { String(format: "%.\(places)f", value) }

/// What `convoy simulate --model --json` prints; names that `convoy train --json` has too mean the same.
private struct SimulatedTrainingReport: Encodable {
  let test_accuracy: Double?
  let test_loss: Double?
  let curve: [TrainingReport.Point]
  let staleness: [Int]
  let steps: Int
  let samples: Int
  let seconds: Double
  let simulated_seconds: Double
  let images_per_simulated_second: Double
  let events: UInt64
  let parameters: Int
  let parameters_sha256: String?
  let buffers_sha256: String?
  let model: String
  let data: String
  let mode: String
  let shards: Int
  let workers: Int
  let servers: Int
  let engine: String
  let completed: Bool
  let violations: [String]
  let faults: [String: Int]
  let trace_hash: String

  init(_ report: TrainingReport, _ training: SimulatedTraining, seconds: Double) {
    test_accuracy = report.testAccuracy
    test_loss = report.testLoss
    curve = report.curve
    staleness = report.staleness
    steps = report.run.steps
    samples = report.samples
    self.seconds = seconds
    simulated_seconds = Double(report.run.simulatedTime) / 1e6
    images_per_simulated_second = report.imagesPerSecond
    events = report.run.eventCount
    parameters = report.parameters
    parameters_sha256 = report.parametersSHA256
    buffers_sha256 = report.buffersSHA256
    model = training.job.model
    data = training.job.data
    mode = "\(training.job.mode)"
    shards = training.job.shards
    workers = training.cluster.workers
    servers = training.cluster.servers
    engine = training.job.engine
    completed = report.run.isCompleted
    violations = report.run.violations.map(\.description)
    faults = Dictionary(uniqueKeysWithValues: report.run.coverage.faults.map { ($0.key.rawValue, $0.value) })
    trace_hash = report.run.hash
  }
}

import ArgumentParser
import Foundation
import Runtime

/// A job's settings as flags: one for each line of the table in `JobOption`.
struct JobFlags: ParsableArguments {
  @Option(help: help("model")) var model: String?
  @Option(help: help("data")) var data: String?
  @Option(help: help("data-dir")) var dataDir: String?
  @Option(help: help("servers")) var servers: String?
  @Option(help: help("workers")) var workers: String?
  @Option(help: help("transport")) var transport: String?
  @Option(help: help("mode")) var mode: String?
  @Option(help: help("replicas")) var replicas: String?
  @Option(help: help("stall-timeout")) var stallTimeout: String?
  @Option(help: help("checkpoint-every")) var checkpointEvery: String?
  @Option(help: help("checkpoint-minutes")) var checkpointMinutes: String?
  @Option(help: help("keep")) var keep: String?
  @Option(help: help("validation")) var validation: String?
  @Option(help: help("rebalance")) var rebalance: String?
  @Option(help: help("max-staleness")) var maxStaleness: String?
  @Option(help: help("staleness-scaling")) var stalenessScaling: String?
  @Option(help: help("delay-compensation")) var delayCompensation: String?
  @Option(help: help("epochs")) var epochs: String?
  @Option(help: help("max-steps")) var maxSteps: String?
  @Option(help: help("seed")) var seed: String?
  @Option(help: help("batch")) var batch: String?
  @Option(help: help("shards")) var shards: String?
  @Option(help: help("engine")) var engine: String?
  @Option(help: help("precision")) var precision: String?
  @Option(help: help("threads")) var threads: String?
  @Option(help: help("memory-limit")) var memoryLimit: String?
  @Option(help: help("optimizer")) var optimizer: String?
  @Option(help: help("learning-rate")) var learningRate: String?
  @Option(help: help("momentum")) var momentum: String?
  @Flag(inversion: .prefixedNo, help: help("nesterov")) var nesterov: Bool?
  @Option(help: help("beta1")) var beta1: String?
  @Option(help: help("beta2")) var beta2: String?
  @Option(help: help("rho")) var rho: String?
  @Option(help: help("epsilon")) var epsilon: String?
  @Option(help: help("weight-decay")) var weightDecay: String?
  @Option(help: help("clip-norm")) var clipNorm: String?
  @Option(help: help("schedule")) var schedule: String?
  @Option(help: help("warmup-steps")) var warmupSteps: String?

  /// The texts that were given, by option name.
  var values: [String: String] {
    let all: [String: String?] = [
      "model": model, "data": data, "data-dir": dataDir, "servers": servers, "workers": workers,
      "transport": transport, "mode": mode, "epochs": epochs, "max-steps": maxSteps, "seed": seed, "batch": batch,
      "shards": shards, "engine": engine, "precision": precision, "threads": threads,
      "memory-limit": memoryLimit, "optimizer": optimizer,
      "learning-rate": learningRate, "momentum": momentum, "nesterov": nesterov.map { "\($0)" },
      "beta1": beta1, "beta2": beta2, "rho": rho, "epsilon": epsilon, "weight-decay": weightDecay,
      "clip-norm": clipNorm, "schedule": schedule,
      "warmup-steps": warmupSteps, "replicas": replicas, "stall-timeout": stallTimeout,
      "checkpoint-every": checkpointEvery,
      "checkpoint-minutes": checkpointMinutes, "keep": keep, "rebalance": rebalance, "max-staleness": maxStaleness,
      "validation": validation, "staleness-scaling": stalenessScaling, "delay-compensation": delayCompensation,
    ]
    return all.compactMapValues { $0 }
  }

  /// A setting's help, with its default.
  static func help(_ name: String) -> ArgumentHelp {
    guard let option = JobOption.all.first(where: { $0.name == name }) else {
      preconditionFailure("there is no setting \(name)")
    }
    let standard = option.defaultText.map { " (default: \($0))" } ?? ""
    return ArgumentHelp("\(option.help)\(standard)", valueName: option.valueName)
  }
}

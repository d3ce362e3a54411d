import Datasets
import Engines
import Foundation
import ParameterServer
import Runtime
import Testing

/// Settings from four places, and what is said of wrong ones.
@Suite struct JobResolveTests {
  private func resolve(
    flags: [String: String] = [:], environment: [String: String] = [:], file text: String? = nil
  ) throws -> Job {
    guard let text else { return try Job.resolve(flags: flags, environment: environment, file: nil) }
    return try withJobFile(Data(text.utf8)) {
      try Job.resolve(flags: flags, environment: environment, file: $0)
    }
  }

  private func failure(
    flags: [String: String] = [:], environment: [String: String] = [:], file: String? = nil
  ) throws -> ConvoyError {
    try #require(throws: ConvoyError.self) { try resolve(flags: flags, environment: environment, file: file) }
  }

  @Test("The defaults are those of the command line's page")
  func defaults() throws {
    let job = try resolve()
    #expect(job == Job())
    #expect(job.model == "lenet" && job.data == "fashion-mnist" && job.servers == 1 && job.workers == 2)
    #expect(job.mode == .sync && job.epochs == 2 && job.maxSteps == nil && job.seed == 1 && job.shards == 2)
    #expect(job.batch == 128 && job.engine == Engines.defaultName && job.precision == "fp32" && job.threads == 1)
    #expect(job.optimizer == "sgd" && job.learningRate == 0.03 && job.momentum == 0.9 && !job.nesterov)
    #expect(job.weightDecay == 0 && job.schedule == "cosine" && job.warmupSteps == 0 && job.transport == .auto)
  }

  @Test("Asynchronous jobs warm up unless told otherwise")
  func asynchronousWarmup() throws {
    #expect(try resolve(flags: ["mode": "async"]).warmupSteps == 100)
    #expect(try resolve(flags: ["mode": "async", "warmup-steps": "0"]).warmupSteps == 0)
    #expect(try resolve(flags: ["mode": "sync"]).warmupSteps == 0)
  }

  @Test("Flags come before the environment, the environment before the file, the file before the defaults")
  func precedence() throws {
    let file = "epochs: 3\nbatch: 30\nseed: 300\n"
    let environment = ["CONVOY_BATCH": "40", "CONVOY_SEED": "400", "CONVOY_TOKEN_FILE": "/x", "BATCH": "1"]
    let job = try resolve(flags: ["seed": "500"], environment: environment, file: file)
    #expect(job.seed == 500)
    #expect(job.batch == 40)
    #expect(job.epochs == 3)
    #expect(job.threads == 1)
  }

  @Test("Every option is read from each place, under its own name")
  func everyOption() throws {
    let texts = [
      "model": "lenet-5", "data": "fashion-mnist", "data-dir": "/some where", "servers": "3", "workers": "5",
      "transport": "tcp", "mode": "async", "epochs": "7", "max-steps": "11", "seed": "18446744073709551615",
      "batch": "64", "shards": "16", "engine": "openblas", "precision": "bf16", "threads": "2",
      "memory-limit": "1.5GiB", "optimizer": "sgd", "learning-rate": "0.125", "momentum": "0.5", "nesterov": "true",
      "weight-decay": "0.0005",
      "schedule": "step:1000:0.1", "warmup-steps": "13", "replicas": "1", "checkpoint-every": "200",
      "checkpoint-minutes": "2.5", "keep": "5", "stall-timeout": "12.5", "rebalance": "off", "max-staleness": "9",
      "staleness-scaling": "inverse", "validation": "0.1",
      "delay-compensation": "0.04", "clip-norm": "0.5",
    ]
    #expect(Set(texts.keys).union(["beta1", "beta2", "rho", "epsilon"]) == Set(JobOption.all.map(\.name)))
    var expected = Job()
    expected.model = "lenet-5"
    expected.dataDirectory = "/some where"
    expected.servers = 3
    expected.workers = 5
    expected.transport = .tcp
    expected.mode = .async
    expected.epochs = 7
    expected.maxSteps = 11
    expected.seed = .max
    expected.batch = 64
    expected.shards = 16
    expected.engine = "openblas"
    expected.precision = "bf16"
    expected.threads = 2
    expected.memoryLimit = 3 << 29
    expected.learningRate = 0.125
    expected.momentum = 0.5
    expected.nesterov = true
    expected.weightDecay = 0.0005
    expected.schedule = "step:1000:0.1"
    expected.warmupSteps = 13
    expected.replicas = 1
    expected.checkpointEvery = 200
    expected.checkpointMinutes = 2.5
    expected.keep = 5
    expected.stallTimeout = 12.5
    expected.validation = .share(0.1)
    expected.rebalance = false
    expected.maxStaleness = 9
    expected.stalenessScaling = "inverse"
    expected.delayCompensation = 0.04
    expected.clipNorm = 0.5

    let names = Dictionary(uniqueKeysWithValues: JobOption.all.map { ($0.name, $0.environmentName) })
    #expect(names["learning-rate"] == "CONVOY_LEARNING_RATE")
    let environment = Dictionary(uniqueKeysWithValues: texts.map { (names[$0.key] ?? "", $0.value) })
    #expect(try resolve(flags: texts) == expected)
    #expect(try resolve(environment: environment) == expected)
    #expect(try resolve(file: texts.map { "\($0.key): \($0.value)\n" }.joined()) == expected)
  }

  @Test(
    "Modes are read with their arguments, and written so that they read back",
    arguments: [
      ("sync", Consistency.sync), ("async", .async), ("ssp:3", .ssp(3)), ("backup:1", .backup(1)),
      ("local:8", .local(8)),
    ])
  func modes(text: String, mode: Consistency) throws {
    let job = try resolve(flags: ["mode": text])
    #expect(job.mode == mode)
    #expect(try resolve(file: job.yaml) == job)
    // Late gradients are warmed up to; what is summed is not late.
    #expect((job.warmupSteps > 0) == (mode == .async || mode == .ssp(3)))
  }

  @Test("A mode that is none says what is wrong with it")
  func wrongModes() throws {
    #expect(try failure(flags: ["mode": "asinc"]).message == "--mode: there is no mode asinc; did you mean async?")
    #expect(
      try failure(flags: ["mode": "ssp"]).message
        == "--mode: ssp is no mode: ssp takes a number from 1 to 1024, as in ssp:3")
    #expect(try failure(flags: ["mode": "sync:2"]).message == "--mode: sync:2 is no mode: sync takes no number")
    for text in ["ssp:0", "local:1025", "backup:x", "local:"] {
      #expect(try failure(flags: ["mode": text]).code == .usage)
    }
    let spared = try failure(flags: ["mode": "backup:4", "shards": "4"])
    #expect(spared.code == .configuration)
    #expect(
      spared.message == "--mode: backup:4 spares 4 of 4 shards: state more --shards or spare fewer")
  }

  @Test("A replica needs a second server")
  func replicas() throws {
    let error = try failure(flags: ["replicas": "1"])
    #expect(error.code == .configuration)
    #expect(error.message == "--replicas: a replica needs a second server, and there is 1: add --servers 2")
    #expect(try resolve(flags: ["replicas": "1", "servers": "2"]).replicas == 1)
    #expect(try failure(flags: ["replicas": "2", "servers": "3"]).code == .usage)
  }

  @Test("Shards are the power of two at or above the workers", arguments: [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8)])
  func shards(workers: Int, shards: Int) throws {
    #expect(try resolve(flags: ["workers": "\(workers)"]).shards == shards)
    #expect(try resolve(flags: ["workers": "\(workers)", "shards": "64"]).shards == 64)
  }

  @Test("A wrong text is refused with its place, what was written and what may be")
  func places() throws {
    let flag = try failure(flags: ["shards": "6"])
    #expect(flag.message == "--shards: 6 is no power of two; the nearest are 4 and 8")
    #expect(flag.code == .usage)
    let environment = try failure(environment: ["CONVOY_MODEL": "lenett"])
    #expect(environment.message == "CONVOY_MODEL: there is no model lenett; did you mean lenet?")
    #expect(environment.code == .configuration)
    let file = try failure(file: "# a job\nmodel: lenet\n\nworkers: two\n")
    #expect(file.message.hasSuffix("job.yaml:4: workers: two is no whole number from 1 to 1024"))
    #expect(file.code == .configuration)
  }

  @Test(
    "Values out of their range, and texts that are no value, are refused in one line",
    arguments: [
      ("servers", "0"), ("workers", "-1"), ("workers", "1025"), ("epochs", "2.5"), ("epochs", "99999999999999999999"),
      ("max-steps", "0"), ("seed", "-1"), ("seed", "18446744073709551616"), ("batch", "1e3"), ("shards", "131072"),
      ("threads", ""), ("learning-rate", "nan"), ("learning-rate", "inf"), ("learning-rate", "-0.1"),
      ("momentum", "1.5"), ("weight-decay", "x"), ("nesterov", "yes"), ("schedule", "cosin"), ("schedule", "step:0:1"),
      ("warmup-steps", "-5"), ("data", "fashion"), ("data-dir", ""), ("engine", "openblass"), ("precision", "fp16"),
      ("memory-limit", "much"), ("memory-limit", "0"),
      ("optimizer", "adamm"), ("optimizer", "lars"), ("beta1", "1"), ("beta2", "0.999999999"), ("rho", "-0.1"),
      ("epsilon", "0"),
      ("epsilon", "2"), ("clip-norm", "0"), ("clip-norm", "-1"), ("clip-norm", "nan"), ("clip-norm", "inf"),
      ("mode", "ssp:3:1"), ("transport", "shm"),
      ("validation", "1.0"), ("validation", "-1"), ("validation", "-0.1"), ("validation", "some"),
      ("validation", "nan"),
    ])
  func refused(name: String, text: String) throws {
    let message = try failure(flags: [name: text]).message
    #expect(message.hasPrefix("--\(name): "))
    #expect(!message.contains("\n"))
  }

  @Test(
    "Samples that are held out are a number or a share, and written so that they read back",
    arguments: [
      ("0", ValidationSize.none), ("0.0", .none), ("5000", .count(5000)), ("1", .count(1)), ("0.25", .share(0.25)),
      ("1e-3", .share(0.001)),
    ])
  func validation(text: String, size: ValidationSize) throws {
    let job = try resolve(flags: ["validation": text])
    #expect(job.validation == size)
    #expect(try resolve(file: job.yaml) == job)
  }

  @Test("A job must have samples left to train on")
  func validationOfAll() throws {
    for (text, held) in [("60000", nil), ("59999", 59_999), ("0.1", 6000), ("1e-9", 1), ("0", 0)] as [(String, Int?)] {
      let job = try resolve(flags: ["validation": text])
      guard let held else {
        let error = #expect(throws: ConvoyError.self) { try PreparedJob(job: job, text: job.yaml) }
        #expect(error?.code == .configuration)
        #expect(
          error?.message
            == "validation: 60000 samples are to be held out, and fashion-mnist has 60000 to train on: hold out fewer")
        continue
      }
      let holdout = try PreparedJob(job: job, text: job.yaml).holdout
      #expect(holdout.count == held && holdout.trainingCount == 60_000 - held)
    }
  }

  @Test("Nesterov's look ahead needs a momentum, and says where it was asked for")
  func nesterov() throws {
    let error = try failure(environment: ["CONVOY_NESTEROV": "true"], file: "momentum: 0\n")
    #expect(error.message == "CONVOY_NESTEROV: it needs a momentum above 0")
  }

  @Test(
    "Each optimizer takes its own settings, PyTorch's by default, and writes them into the job's file",
    arguments: [
      ("adagrad", 0.01, ["epsilon": "1e-10"]), ("adadelta", 1, ["rho": "0.9", "epsilon": "1e-06"]),
      ("rmsprop", 0.01, ["rho": "0.99", "epsilon": "1e-08"]),
      ("adam", 0.001, ["beta1": "0.9", "beta2": "0.999", "epsilon": "1e-08"]),
      ("adamw", 0.001, ["beta1": "0.9", "beta2": "0.999", "epsilon": "1e-08"]),
      ("sgd", 0.03, ["momentum": "0.9", "nesterov": "false"]),
    ] as [(String, Double, [String: String])])
  func optimizers(name: String, rate: Double, settings: [String: String]) throws {
    let job = try resolve(flags: ["optimizer": name])
    #expect(job.optimizer == name && job.learningRate == rate)
    let written = job.yaml.split(separator: "\n").filter { line in
      ["momentum", "nesterov", "beta1", "beta2", "rho", "epsilon"].contains { line.hasPrefix($0 + ":") }
    }
    #expect(Set(written.map(String.init)) == Set(settings.map { "\($0.key): \($0.value)" }))
    #expect(try resolve(file: job.yaml) == job)
    let stated = try resolve(flags: ["optimizer": name, "learning-rate": "0.5"], environment: [:], file: job.yaml)
    #expect(stated.learningRate == 0.5)
  }

  @Test("Settings of an optimizer are read from each place, under their own names")
  func optimizerSettings() throws {
    let texts = ["beta1": "0.8", "beta2": "0.99", "epsilon": "0.001", "optimizer": "adam"]
    let job = try resolve(flags: texts)
    #expect(job.beta1 == 0.8 && job.beta2 == 0.99 && job.epsilon == 0.001 && job.rho == nil)
    #expect(
      try resolve(environment: Dictionary(uniqueKeysWithValues: texts.map { ("CONVOY_" + $0.uppercased(), $1) })) == job
    )
    #expect(try resolve(file: texts.map { "\($0.key): \($0.value)\n" }.joined()) == job)
    #expect(try resolve(flags: ["optimizer": "rmsprop", "rho": "0.5"]).rho == 0.5)
  }

  @Test("A setting that the optimizer has not is refused, unless a place of less precedence states it")
  func optimizerWithoutSetting() throws {
    #expect(
      try failure(flags: ["optimizer": "adam", "momentum": "0.5"]).message
        == "--momentum: the optimizer adam has none; it is for sgd")
    #expect(
      try failure(flags: ["beta1": "0.5"]).message == "--beta1: the optimizer sgd has none; it is for adam, adamw")
    #expect(
      try failure(file: "optimizer: adagrad\nrho: 0.5\n").message.hasSuffix(
        "job.yaml:2: rho: the optimizer adagrad has none; it is for adadelta, rmsprop"))
    let sgd = try resolve(flags: ["momentum": "0.5", "nesterov": "true"])
    let adam = try resolve(flags: ["optimizer": "adam"], file: sgd.yaml)
    #expect(adam.momentum == 0.9 && !adam.nesterov && adam.beta1 == 0.9)
    #expect(
      try failure(flags: ["optimizer": "adan"]).message == "--optimizer: there is no optimizer adan; did you mean adam?"
    )
  }
}

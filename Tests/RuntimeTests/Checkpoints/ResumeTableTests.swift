import Foundation
import Logging
import ModelFiles
import ParameterServer
import Runtime
import Tensors
import Testing
import Transport

/// Jobs that go on from another's checkpoint with other settings: each ends well, or is refused before anything is
/// written.
@Suite(.serialized) final class ResumeTableTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("convoy-\(UUID().uuidString)").path

  init() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// A small job: eight steps of 32 samples in four shards. The learning rate does not depend on the last step.
  private func job(_ settings: [String: String] = [:]) throws -> Job {
    let standard = [
      "workers": "2", "shards": "4", "batch": "32", "max-steps": "8", "schedule": "fixed", "checkpoint-every": "4",
    ]
    return try Job.resolve(flags: standard.merging(settings) { $1 }, environment: [:], file: nil)
  }

  /// What a run left: the last checkpoint, and what was told meanwhile.
  private struct Trained {
    let step: Int
    let sha256: String
    let notices: [String]
  }

  /// Runs a job until its last checkpoint is stored; what follows, the model's evaluation, is given up.
  private func train(_ job: Job, in name: String, resuming path: String? = nil) throws -> Trained {
    let run = "\(folder)/\(name)"
    let checkpoints = "\(run)/\(CheckpointStore.folderName)"
    let (stop, told) = (StopRequest(), Notices())
    do throws(ConvoyError) {
      _ = try runInProcess(
        job: job, runDirectory: run, resume: path, stop: stop, transport: InProcessTransport(),
        logger: { Logger(label: $0) { _ in SwiftLogNoOpLogHandler() } }
      ) { event in
        switch event {
        case .notice(let text): told.add(text)
        case .progress(let progress):
          guard progress.step == progress.steps else { break }
          if (try? CheckpointStore(folder: checkpoints).newest())??.step == progress.steps { stop.request(.terminate) }
        default: break
        }
      }
    } catch {
      guard error.code == .terminated else { throw error }
    }
    let store = CheckpointStore(folder: checkpoints)
    let newest = try #require(try store.newest())
    let checkpoint = try store.read(newest.name)
    return Trained(step: newest.step, sha256: checkpoint.parameters.sha256().description, notices: told.all)
  }

  private func copy(_ name: String, to other: String) throws -> String {
    let path = "\(folder)/\(other)"
    try? FileManager.default.removeItem(atPath: path)
    try FileManager.default.copyItem(atPath: "\(folder)/\(name)", toPath: path)
    return path
  }

  // MARK: Right

  /// A job before, the settings of the one that goes on, and what becomes of it.
  private struct Row {
    let base: String
    let settings: [String: String]
    let steps: Int
    /// Whether the bytes are those of the undisturbed job.
    var isUndisturbed = false
    /// What is told.
    var notice = ""

    init(_ base: String, _ settings: [String: String], to steps: Int, undisturbed: Bool = false, _ notice: String = "")
    {
      (self.base, self.settings, self.steps) = (base, settings, steps)
      (isUndisturbed, self.notice) = (undisturbed, notice)
    }
  }

  private static let right: [Row] = [
    Row("sync", [:], to: 16, undisturbed: true),
    Row(
      "sync",
      [
        "servers": "2", "workers": "3", "replicas": "1", "checkpoint-every": "3", "keep": "1", "rebalance": "off",
        "transport": "inproc",
      ], to: 16, undisturbed: true),
    Row("sync", [:], to: 8, "the job's last step, 8, is applied already: nothing is left to train"),
    Row("sync", ["mode": "async"], to: 12, "in brackets: mode async (sync)"),
    Row("sync", ["mode": "ssp:2", "shards": "2"], to: 12, "mode ssp:2 (sync), shards 2 (4)"),
    Row("sync", ["mode": "backup:1", "shards": "8"], to: 12, "mode backup:1 (sync), shards 8 (4)"),
    Row("sync", ["mode": "local:3"], to: 13, "mode local:3 (sync)"),
    Row("sync", ["optimizer": "adam"], to: 12, "the checkpoint has no state of adam: it begins anew"),
    Row(
      "sync",
      [
        "engine": "openblas", "threads": "2", "learning-rate": "0.01", "momentum": "0.5", "nesterov": "true",
        "weight-decay": "0.001", "clip-norm": "1", "schedule": "cosine", "warmup-steps": "10",
      ], to: 12, "engine openblas (onednn), threads 2 (1)"),
    Row("async", ["mode": "sync", "shards": "1", "workers": "1"], to: 12, "mode sync (async), shards 1 (4)"),
    Row("async", ["shards": "2"], to: 14, "in brackets: shards 2 (4)"),
    Row("async", ["mode": "local:4", "shards": "8"], to: 12, "mode local:4 (async), shards 8 (4)"),
    Row("parts", ["mode": "sync"], to: 12, "mode sync (async)"),
    Row(
      "parts", ["mode": "ssp:1", "max-staleness": "9", "staleness-scaling": "inverse"], to: 12, "mode ssp:1 (async)"),
    Row("parts", ["delay-compensation": "0.1"], to: 10),
    Row("local", [:], to: 16),
    Row("local", ["mode": "local:8"], to: 20, "mode local:8 (local:3)"),
    Row("adam", ["optimizer": "adamw", "beta1": "0.8", "epsilon": "1e-7"], to: 12, "optimizer adamw (adam)"),
    Row("adam", ["optimizer": "rmsprop", "mode": "async"], to: 12, "the checkpoint has no state of rmsprop"),
  ]

  @Test("A job goes on from another's checkpoint to its last step, also where mode, shards or optimizer are others")
  func right() throws {
    try makeBases()
    let undisturbed = try train(try job(["max-steps": "16"]), in: "undisturbed")
    for (number, row) in Self.right.enumerated() {
      let flags = row.settings.merging(["max-steps": "\(row.steps)"]) { own, _ in own }
      let job = try job((row.base == "sync" ? [:] : Self.bases[row.base] ?? [:]).merging(flags) { $1 })
      // In a folder of its own, in that of the run, and from a checkpoint that is named, in turn.
      let run = try copy(row.base, to: "run")
      let trained: Trained
      switch number % 3 {
      case 0: trained = try train(job, in: "run", resuming: run)
      case 1: trained = try train(job, in: "fresh-\(number)", resuming: run)
      default:
        let step = row.base == "local" ? "10" : "08"
        trained = try train(job, in: "fresh-\(number)", resuming: "\(run)/checkpoints/step-000000\(step)")
      }
      #expect(trained.step == row.steps, "\(row)")
      #expect(!row.isUndisturbed || trained.sha256 == undisturbed.sha256, "\(row)")
      #expect(row.notice.isEmpty || trained.notices.contains { $0.contains(row.notice) }, "\(row) \(trained.notices)")
    }
  }

  /// Jobs that others go on from, by the settings that they state.
  private static let bases: [String: [String: String]] = [
    "sync": [:], "async": ["mode": "async"], "parts": ["mode": "async"],
    "local": ["mode": "local:3", "max-steps": "10"], "adam": ["optimizer": "adam"],
  ]

  private func makeBases() throws {
    for (name, settings) in Self.bases.sorted(by: { $0.key < $1.key }) where name != "parts" {
      _ = try train(try job(settings), in: name)
    }
    try makeParts()
  }

  /// A run of an async job whose checkpoint holds a unit of step 8, and two of step 9.
  private func makeParts() throws {
    let run = try copy("async", to: "parts")
    let store = CheckpointStore(folder: "\(run)/\(CheckpointStore.folderName)")
    var checkpoint = try store.read("step-00000008")
    let job = try job(["mode": "async"])
    let plan = try CoordinatorRole.plan(PreparedJob(job: job, text: job.yaml))
    var longer = plan
    longer.maximumSteps = 100
    let mark = CheckpointMark(
      step: 8, version: 35, rules: try #require(longer.rules(samples: 60_000)),
      covered: UnitSet(ranges: [33..<34, 36..<38])!)
    checkpoint.version = 35
    checkpoint.counters = LoadedCut.counters(mark, updates: 35)
    _ = try store.write(checkpoint)
  }

  // MARK: Refused

  private static let refused: [(base: String, settings: [String: String], says: String)] = [
    (
      "sync", ["max-steps": "7"],
      "the checkpoint of step 8 has steps up to 8, and the job ends after 7: resume with --max-steps 8 or more"
    ),
    ("parts", ["max-steps": "9"], "has steps up to 10, and the job ends after 9: resume with --max-steps 10 or more"),
    (
      "parts", ["max-steps": "20", "shards": "2"],
      "holds parts of steps in 4 shards, the job has 2: resume with --shards 4"
    ),
    (
      "parts", ["max-steps": "20", "shards": "8"],
      "holds parts of steps in 4 shards, the job has 8: resume with --shards 4"
    ),
    ("sync", ["max-steps": "20", "batch": "64"], "counts steps of 32 samples, the job of 64: resume with --batch 32"),
    ("sync", ["max-steps": "20", "batch": "16"], "counts steps of 32 samples, the job of 16: resume with --batch 32"),
    ("sync", ["max-steps": "20", "validation": "100"], "the job holds out 100: resume with --validation 0"),
    (
      "sync", ["max-steps": "20", "seed": "2"],
      "is within an epoch, whose order follows from seed 1, the job's from 2: resume with --seed 1"
    ),
    ("sync", ["max-steps": "20", "model": "lenet-5"], "is of lenet, the job of lenet-5: resume with --model lenet"),
  ]

  @Test("A job that cannot go on from a checkpoint is refused with what to do, and nothing is written")
  func refused() throws {
    _ = try train(try job(), in: "sync")
    _ = try train(try job(["mode": "async"]), in: "async")
    try makeParts()
    for (base, settings, says) in Self.refused {
      let job = try job((Self.bases[base] ?? [:]).merging(settings) { $1 })
      let run = "\(folder)/\(base)"
      try Data("another job's".utf8).write(to: URL(filePath: "\(run)/address"))
      let before = try Self.contents(folder)
      for (name, path) in [
        (base, run), ("fresh", run), ("fresh", "\(run)/checkpoints/step-00000008"),
      ] {
        let error = #expect(throws: ConvoyError.self) { try train(job, in: name, resuming: path) }
        #expect(error?.code == .configuration && error?.message.contains(says) == true, "\(error?.message ?? "")")
        #expect(try Self.contents(folder) == before, "\(settings) \(path)")
      }
    }
  }

  /// Every file below a folder, and when it was changed.
  private static func contents(_ folder: String) throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
      contents[name] = FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data()
    }
    return contents
  }

  @Test("The epochs' last step, too, is one that the checkpoint may not be beyond")
  func epochs() throws {
    let job = try job(["max-steps": "1000000", "epochs": "1"])
    let prepared = try PreparedJob(job: job, text: job.yaml)
    var plan = try CoordinatorRole.plan(prepared)
    plan.epochs = 3
    let rules = try #require(plan.rules(samples: 60_000))
    func refusal(_ step: Int, _ network: String = "lenet", data: String = "fashion-mnist", seed: Int = 1) throws
      -> String?
    {
      let mark = CheckpointMark(step: step, version: UInt64(step), rules: rules, covered: UnitSet())
      let text = job.yaml.replacing("seed: 1\n", with: "seed: \(seed)\n")
      let origin = ResumeOrigin(step: step, network: network, data: data, metadata: ["job": text], mark: mark)
      return try ResumeCheck(prepared).refusal(of: origin)?.message
    }
    #expect(try refusal(3751)?.hasSuffix("and the job ends after 1875: resume with --epochs 3 or more") == true)
    #expect(try refusal(1875) == nil)
    #expect(try refusal(1875, seed: 7) == nil, "at an epoch's end another order may follow")
    #expect(try refusal(1874, seed: 7)?.hasSuffix("resume with --seed 7") == true)
    #expect(try refusal(10, data: "mnist")?.hasSuffix("resume with --data mnist") == true)
  }
}

/// What a job tells the person, from its coordinator's thread.
private final class Notices: @unchecked Sendable {
  private let lock = NSLock()
  private var lines: [String] = []

  func add(_ text: String) { lock.withLock { lines.append(text) } }

  var all: [String] { lock.withLock { lines } }
}

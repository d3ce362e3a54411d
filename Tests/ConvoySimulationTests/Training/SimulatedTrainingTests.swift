import ConvoySimulation
import Foundation
import Logging
import Runtime
import Testing

/// Real networks in the simulator, against the jobs of threads and sockets that they stand for.
@Suite struct SimulatedTrainingTests {
  /// Few steps, with a last batch of an epoch nowhere near.
  private static func job(_ mode: String = "sync", steps: Int = 4, _ settings: [String: String] = [:]) throws -> Job {
    var flags = [
      "model": "lenet-5", "mode": mode, "max-steps": "\(steps)", "batch": "24", "shards": "4", "workers": "2",
      "servers": "2", "seed": "5", "engine": "openblas",
    ]
    flags.merge(settings) { $1 }
    return try Job.resolve(flags: flags, environment: [:], file: nil)
  }

  private static func cluster(_ seed: UInt64 = 7, workers: Int = 3) -> Cluster {
    var cluster = Cluster(seed: seed)
    cluster.workers = workers
    cluster.servers = 2
    return cluster
  }

  /// The job as threads that exchange messages over sockets.
  private static func trained(_ job: Job) throws -> JobSummary {
    let folder = NSTemporaryDirectory() + "convoy-test-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let quiet: @Sendable (String) -> Logger = { Logger(label: $0, factory: { _ in SwiftLogNoOpLogHandler() }) }
    return try runInProcess(job: job, runDirectory: folder, logger: quiet, report: { _ in })
  }

  @Test(
    "Without faults the bytes are those of a real job",
    arguments: [["mode": "sync"], ["mode": "local:2"], ["mode": "sync", "optimizer": "adam"]])
  func sameBytesAsARealJob(_ settings: [String: String]) throws {
    let job = try Self.job(settings["mode"]!, settings)
    let real = try Self.trained(job)
    let report = try Self.cluster().train(job)
    #expect(report.run.violations == [])
    #expect(report.run.isCompleted && report.run.steps == 4)
    #expect(report.parametersSHA256 == real.parametersSHA256)
    #expect(report.buffersSHA256 == real.buffersSHA256)
    #expect(report.testAccuracy == real.testAccuracy && report.testLoss == real.testLoss)
    #expect(report.parameters == real.parameters && report.samples == 4 * 24)
  }

  /// A job that takes seconds of virtual time, so that faults find it at work.
  private static func slow(_ seed: UInt64, replicas: Int) -> Cluster {
    var cluster = cluster(seed)
    cluster.replicas = replicas
    cluster.computingSpeed = 30
    return cluster
  }

  @Test("Whatever fails, a synchronous job has the bytes of the run without faults", arguments: [0, 1])
  func sameBytesWhateverFails(replicas: Int) throws {
    let job = try Self.job(steps: 6, ["checkpoint-every": "2"])
    let calm = try Self.cluster(workers: 2).train(job, evaluates: false)
    let wanted = try #require(calm.parametersSHA256)
    for seed in 1...3 as ClosedRange<UInt64> {
      let report = try Self.slow(seed, replicas: replicas).train(job, faults: .all, evaluates: false)
      #expect(report.run.violations == [], "seed \(seed)")
      #expect(report.parametersSHA256 == wanted, "seed \(seed)")
      #expect(report.run.coverage.faults.isEmpty == false, "seed \(seed)")
    }
    let lost = Fault(.crash, of: .server(0), at: 1_500_000, lasting: 20_000_000)
    let doubled = Fault(.duplicates, of: .worker(1), at: 0, lasting: 60_000_000, amount: 30)
    let report = try Self.slow(9, replicas: replicas).train(job, faults: [doubled, lost], evaluates: false)
    #expect(report.run.violations == [])
    #expect(report.parametersSHA256 == wanted)
    // What was lost came from the replica, or from the last checkpoint.
    let event: Event = replicas > 0 ? .replicaApplied : .stateRestored
    #expect(report.run.coverage.events[event] ?? 0 > 0)
    #expect(report.curve.map(\.step) == Array(1...6) && report.samples == 6 * 24)
  }

  @Test("The same seed gives the same run, and another cluster another")
  func sameSeedSameRun() throws {
    let job = try Self.job("async", steps: 5, ["warmup-steps": "0", "delay-compensation": "0.5"])
    var points: [TrainingReport.Point] = []
    let first = try Self.cluster().train(job, faults: FaultPlan([.loss]), evaluates: false) { points.append($0) }
    let second = try Self.cluster().train(job, faults: FaultPlan([.loss]), evaluates: false)
    #expect(first == second && first.run.violations == [])
    #expect(points.last?.step == 5 && points.map(\.step) == points.map(\.step).sorted())
    let other = try Self.cluster(8).train(job, evaluates: false)
    #expect(other.run.hash != first.run.hash)
    #expect(other.parametersSHA256 != first.parametersSHA256)
  }

  @Test("Asynchronous jobs count how late every gradient is, and a slow worker's are the latest")
  func staleness() throws {
    let job = try Self.job("async", steps: 10)
    let even = try Self.cluster(workers: 1).train(job, evaluates: false)
    // One worker alone is never late: four shards of ten steps, for each of nine chunks.
    #expect(even.run.violations == [])
    #expect(even.staleness == [4 * 10 * 9])
    #expect(even.samples == 10 * 24 && even.curve.count == 10)
    var cluster = Self.cluster()
    cluster.computingSpeed = 300
    cluster.slowdowns = [2: 6]
    let uneven = try cluster.train(job, evaluates: false)
    #expect(uneven.run.violations == [])
    #expect(uneven.staleness.reduce(0, +) == 4 * 10 * 9)
    #expect(uneven.staleness.count > 6, "\(uneven.staleness)")
    #expect(uneven.trainingTime > even.trainingTime && uneven.imagesPerSecond > 0)
  }

  @Test("A job learns: the loss at its end is well below that at its beginning")
  func learns() throws {
    let job = try Self.job("ssp:2", steps: 40, ["warmup-steps": "5"])
    let report = try Self.cluster().train(job, evaluates: false)
    #expect(report.run.violations == [])
    let curve = report.curve(points: 4)
    #expect(curve.count == 4 && curve[3].step == 40)
    #expect(curve[3].loss < curve[0].loss - 0.3, "\(curve.map(\.loss))")
  }

  @Test("Floats that are not those of their version are found, though the toy numbers beside them are right")
  func wrongFloatsAreFound() throws {
    var cluster = Self.cluster()
    cluster.spoilsFloats = true
    let report = try cluster.train(Self.job(steps: 2), evaluates: false)
    #expect(report.run.violations.first?.invariant == .synchronousSteps)
    #expect(report.run.violations.allSatisfy { $0.text.hasPrefix("chunk 1: a worker reads other floats than version") })
    cluster.invariants.remove(.synchronousSteps)
    #expect(try cluster.train(Self.job(steps: 2), evaluates: false).run.violations == [])
  }

  @Test("What cannot be simulated is refused with a line")
  func refused() throws {
    let wide = try Self.job("sync", steps: 4, ["shards": "128"])
    #expect(throws: ConvoyError(.configuration, "a simulated job has up to 64 shards, not 128: state fewer")) {
      try Self.cluster().train(wide)
    }
    var unknown = try Self.job()
    unknown.model = "lenet-9"
    #expect(throws: ConvoyError.self) { try Self.cluster().train(unknown) }
  }
}

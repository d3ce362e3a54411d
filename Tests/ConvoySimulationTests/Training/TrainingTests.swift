import ConvoySimulation
import Foundation
import Logging
import Runtime
import Testing

/// Real networks in the simulator, against the jobs of threads and sockets that they stand for.
@Suite struct TrainingTests {
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
}

public import Logging
@_exported public import Runtime

/// Trains a network inside this process: coordinator, servers and workers as threads, over ZeroMQ's `inproc` transport.
///
/// The result has the same bytes as a job of processes with the same settings.
///
/// ```swift
/// var job = Job()
/// job.model = "lenet"
/// job.workers = 2
/// let summary = try Trainer(job: job, runDirectory: "runs/first").run()
/// print(summary.testAccuracy)
/// ```
public struct Trainer: Sendable {
  private let job: Job
  private let runDirectory: String

  /// A trainer of a job; `runDirectory` must be empty or not be there.
  public init(job: Job, runDirectory: String) {
    self.job = job
    self.runDirectory = runDirectory
  }

  /// Runs the job to its end.
  ///
  /// - Parameters:
  ///   - logger: makes the logger of each role.
  ///   - report: told of what happens, on a thread of the job's.
  /// - Returns: what came of it; `notStored` says what of the run is not on disk, the model being there.
  /// - Throws: `ConvoyError`, one line that says what was wrong and what to do. A run that fails before its first step
  ///   leaves nothing.
  public func run(
    logger: @escaping @Sendable (String) -> Logger = { Logger(label: $0) },
    report: @escaping @Sendable (JobEvent) -> Void = { _ in }
  ) throws(ConvoyError) -> JobSummary {
    try PreparedJob.requireGoodData(of: job)
    let claim = try RunClaim.take(runDirectory)
    do throws(ConvoyError) {
      return try runInProcess(
        job: job, runDirectory: runDirectory, logger: logger,
        report: { event in
          claim.follow(event)
          report(event)
        })
    } catch {
      _ = claim.abandon()
      throw error
    }
  }
}

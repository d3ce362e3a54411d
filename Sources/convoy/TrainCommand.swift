import ArgumentParser
import Foundation
import Launch
import Logging
import Observability
import Runtime
import Synchronization

/// `convoy train`: a whole job, on this machine or on several hosts.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Train a network: starts the coordinator, the servers and the workers.")

  @OptionGroup var job: JobFlags
  @Option(name: .customLong("job"), help: ArgumentHelp("job file: settings in YAML", valueName: "file"))
  var jobFile: String?
  @Option(help: ArgumentHelp("folder of the run (default: runs/MODEL-DATE-TIME)", valueName: "folder"))
  var runDir: String?
  @Option(
    help: ArgumentHelp(
      "go on from a run folder's newest good checkpoint, in that folder, or from one checkpoint in a new one",
      valueName: "folder"))
  var resume: String?
  @OptionGroup(title: "Processes") var processes: LaunchFlags
  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  func run() throws {
    let launchedAt = MonotonicClock.seconds
    let environment = ProcessInfo.processInfo.environment
    let resumed = resume.flatMap(RunFolder.run(of:))
    let file = try jobFile ?? resume.map { path throws(ConvoyError) in try RunFolder.jobFile(resuming: path) }
    var job = try Job.resolve(flags: self.job.values, environment: environment, file: file)
    let hosts = try processes.place(&job)
    let folder = runDir ?? resumed ?? Self.defaultRunDirectory(job)
    let isNamed = runDir ?? resumed != nil
    if isNamed { try RunFolder.requireFree(folder, resuming: resume) }
    try PreparedJob.requireGoodData(of: job)
    if hosts == nil { try PreparedJob.requireThreads(of: job) }
    // A run that another process has is not even looked at; and where the job is refused, nothing is made.
    let running = try isNamed ? RunClaim.existing(folder) : nil
    try ResumeCheck.require(job, from: resume, in: folder)
    // From here on a signal has the folder cleared away, too.
    let stop = StopRequest()
    let repeated = RepeatedSignal()
    SignalThread.start(stop, underLauncher: false) { repeated.act($0) }
    let claim: RunClaim
    if let running {
      claim = running
    } else {
      claim = try isNamed ? RunClaim.take(folder, resuming: resume) : RunClaim.takeNext(folder)
    }
    defer { withExtendedLifetime(claim) {} }
    let presenter = Presenter(style: .standardError(environment: environment), job: job, runDirectory: claim.path)
    presenter.begin()
    for line in hosts?.lines ?? [] { presenter.note(line) }
    let summary: JobSummary
    do throws(ConvoyError) {
      summary = try train(job, hosts, claim, launchedAt: launchedAt, stop: stop, repeated, presenter)
    } catch {
      presenter.endLine()
      let remark = claim.abandon() ? "before the first step: the run is not kept" : "logs: \(claim.path)/logs"
      throw ConvoyError(error.code, "\(error.message) (\(remark))")
    }
    presenter.finish(summary, json: json)
    try summary.requireStored()
  }

  private func train(
    _ job: Job, _ hosts: RemoteHosts?, _ claim: RunClaim, launchedAt: Double, stop: StopRequest,
    _ repeated: RepeatedSignal, _ presenter: Presenter
  ) throws(ConvoyError) -> JobSummary {
    let folder = claim.path
    let report: @Sendable (JobEvent) -> Void = { event in
      claim.follow(event)
      presenter.show(event)
    }
    if job.transport == .inproc {
      let logs = try LogFiles(folder: "\(folder)/logs")
      stop.listen { presenter.note("stopped by \($0.name): ending the job") }
      return try runInProcess(
        job: job, runDirectory: folder, claim: claim, resume: resume, stop: stop, logger: { logs.logger($0) },
        report: report)
    }
    let jobFile = try RunFolder(path: folder).prepare(job)
    let cluster = Cluster(
      job: job, runDirectory: folder, launchedAt: launchedAt, restarts: processes.restartPolicy,
      listen: processes.listen, hosts: hosts, network: processes.network.options, jobFile: jobFile,
      resume: resume, report: report, notice: { presenter.note($0) })
    repeated.set(cluster.again)
    return try cluster.run(stop: stop)
  }

  /// The name of a run's folder where none is stated: see `RunClaim.takeNext` for a second run in the same second.
  static func defaultRunDirectory(_ job: Job) -> String {
    var now = time(nil)
    var calendar = tm()
    localtime_r(&now, &calendar)
    var buffer = [CChar](repeating: 0, count: 32)
    strftime(&buffer, buffer.count, "%Y%m%d-%H%M%S", &calendar)
    let stamp = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return "runs/\(job.model)-\(stamp)"
  }
}

/// What a signal after the first does: where nothing else is set, what this process made for others is removed and it ends.
private final class RepeatedSignal: Sendable {
  private let action = Mutex<(@Sendable (StopRequest.Signal) -> Void)?>(nil)

  func set(_ action: @escaping @Sendable (StopRequest.Signal) -> Void) {
    self.action.withLock { $0 = action }
  }

  func act(_ signal: StopRequest.Signal) {
    if let action = action.withLock({ $0 }) { return action(signal) }
    Leftovers.removeAll()
    Foundation.exit(signal.exitCode.rawValue)
  }
}

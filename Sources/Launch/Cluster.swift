import Foundation
package import Runtime
import Transport

/// A job's processes: the coordinator on this machine, servers and workers here or on other hosts.
///
/// One thread reads what they write, watches for their end, and starts again what ends unexpectedly. Whatever ends the
/// job, no process, socket file or temporary folder is left: each process watches its standard input, a pipe whose other
/// end only this process holds, directly or by way of `ssh`, and leaves when it closes.
package final class Cluster {
  let job: Job
  let runDirectory: String
  let executable: String
  let launchedAt: Double
  let restarts: RestartPolicy
  let listen: String?
  let hosts: RemoteHosts?
  let network: NetworkOptions
  let jobFile: String
  let resume: String?
  let report: (JobEvent) -> Void
  let notice: (String) -> Void
  let log: LauncherLog

  /// The coordinator's first, once it was started.
  var slots: [Slot] = []
  var lifeline: ChildProcess.Pipe?
  var socketFolder: String?
  var secrets: JobSecrets?
  let signals = SignalPipe()
  /// What stops the job from outside.
  var stop = StopRequest()
  /// Where the coordinator listens, once it has said so: members know no other address.
  var address: String?
  /// Whether it listens on every interface, and each host is told its own address of it.
  var isEverywhere = false
  /// The coordinator's address for each host, by destination, where it is another than `address`.
  var ways: [String: String] = [:]
  /// Whether training has begun: what ends before that would end the same way again.
  var hasStarted = false
  var summary: JobSummary?
  var isWarnedOfLogs = false
  var failure: ConvoyError?
  /// When what is still there is killed.
  var killAt: Double?
  /// What a coordinator that is away will be told.
  var untold: [LauncherWord] = []
  /// When processes on other hosts were last told that this one lives.
  var beatAt = 0.0

  /// Seconds that processes have to leave after they were told.
  package static let graceSeconds = 3.0
  /// Seconds that members have to leave by themselves after a job that went well.
  static let leavingSeconds = 10.0
  /// How often it looks who has ended, whatever the pipes say.
  static let pollSeconds = 0.5
  /// The same while a child has closed its pipes, which is nearly always its end.
  static let closedPollSeconds = 0.01
  /// Reads of 64 KiB that empty a pipe, which holds 64 KiB or, at most, a mebibyte.
  static let drainReads = 17

  /// A cluster that has not started.
  ///
  /// - Parameters:
  ///   - executable: the program that plays the roles on this machine: `convoy`.
  ///   - launchedAt: when the command was given, in seconds of the monotonic clock.
  ///   - restarts: what is done about processes that end unexpectedly.
  ///   - listen: the coordinator's address; nil for one that its members reach.
  ///   - hosts: where servers and workers run; nil for this machine.
  ///   - network: the job's keys, where others than the launcher's own are wanted, and the coordinator's interface.
  ///   - jobFile: the job's file; nil for the run folder's.
  ///   - resume: what the job goes on from.
  ///   - report: told of what the coordinator tells.
  ///   - notice: told of what the person should know at once.
  package init(
    job: Job, runDirectory: String, executable: String = "/proc/self/exe", launchedAt: Double,
    restarts: RestartPolicy = RestartPolicy(), listen: String? = nil, hosts: RemoteHosts? = nil,
    network: NetworkOptions = NetworkOptions(), jobFile: String? = nil, resume: String? = nil,
    report: @escaping (JobEvent) -> Void, notice: @escaping (String) -> Void
  ) {
    self.job = job
    self.runDirectory = runDirectory
    self.executable = executable
    self.launchedAt = launchedAt
    self.restarts = restarts
    self.listen = listen
    self.hosts = hosts
    self.network = network
    self.jobFile = jobFile ?? "\(runDirectory)/job.yaml"
    self.resume = resume
    self.report = report
    self.notice = notice
    log = LauncherLog(path: "\(runDirectory)/logs/launcher.log")
  }

  /// Runs the job to its end; takes as long as the job.
  package func run(stop: StopRequest) throws(ConvoyError) -> JobSummary {
    // A child that ends while something is written to it is seen by its end.
    signal(SIGPIPE, SIG_IGN)
    // Else nobody would see it.
    signal(SIGCHLD, SIG_DFL)
    self.stop = stop
    stop.listen { [signals] in signals.put($0) }
    defer { cleanUp() }
    let address = try coordinatorAddress()
    isEverywhere = (try? Address(parsing: address))?.isEveryInterface ?? false
    secrets = try JobSecrets.make(for: job, runDirectory: runDirectory, address: address, network: network)
    do throws(SpawnFailure) {
      lifeline = try ChildProcess.Pipe()
      try start("coordinator", coordinatorArguments(address), on: nil)
      while !isOver { try turn() }
    } catch {
      throw ConvoyError(.failed, error.text)
    }
    if let failure { throw failure }
    guard let summary else { throw ConvoyError(.failed, "the coordinator left without a result") }
    return summary
  }

  /// What is to be told of a signal after the first: everything is killed at once.
  package var again: @Sendable (StopRequest.Signal) -> Void {
    { [signals] in signals.put($0) }
  }

  private var isOver: Bool { !slots.isEmpty && slots.allSatisfy(\.isOver) }

  // MARK: Stopping

  func stopped(by signal: StopRequest.Signal) {
    if killAt != nil { return killAll() }
    let running = slots.count { $0.isRunning }
    notice("stopped by \(signal.name): ending \(running) processes")
    fail(ConvoyError(signal.exitCode, "the job was stopped by \(signal.name)"))
  }

  /// Ends the job: everyone is told, and killed when the grace is over.
  func fail(_ error: ConvoyError) {
    if failure == nil {
      failure = error
      log.warning("the job ends: \(error.message)")
    }
    guard killAt == nil else { return }
    killAt = MonotonicClock.seconds + Self.graceSeconds
    for slot in slots {
      slot.restartAt = nil
      slot.askToLeave()
    }
  }

  func killAll() {
    for slot in slots { slot.process.send(SIGKILL) }
    killAt = .infinity
  }

  private func cleanUp() {
    for slot in slots where slot.isRunning {
      slot.process.send(SIGKILL)
      slot.process.reap(waiting: true)
    }
    if let lifeline {
      close(lifeline.reading)
      close(lifeline.writing)
    }
    if let socketFolder { try? FileManager.default.removeItem(atPath: socketFolder) }
    secrets?.remove()
    // A coordinator that was killed had no time to.
    unlink("\(runDirectory)/\(RunFolder.addressName)")
  }
}

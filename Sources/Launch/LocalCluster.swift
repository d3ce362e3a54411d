import Foundation
package import Runtime

/// A job on this machine: coordinator, servers and workers as child processes of this one.
///
/// One thread reads what they write and watches for their end. Whatever ends the job, no process, socket file or
/// temporary folder is left: children also watch a pipe that only this process holds open, and leave when it closes.
package final class LocalCluster {
  private struct Child {
    let process: ChildProcess
    var log: ChildLog
    /// The same file, for what comes by the other pipe: lines of two pipes are not mixed.
    var output: ChildLog
  }

  private let job: Job
  private let runDirectory: String
  private let executable: String
  private let launchedAt: Double
  private let report: (JobEvent) -> Void
  private let notice: (String) -> Void

  private var children: [Child] = []
  private var lifeline: ChildProcess.Pipe?
  private var socketFolder: String?
  private let signals = SignalPipe()
  private var summary: JobSummary?
  private var failure: ConvoyError?
  /// Whether the failure is the coordinator's word.
  private var isExplained = false
  /// When what is still there is killed.
  private var killAt: Double?

  /// Seconds that processes have to leave after they were told.
  package static let graceSeconds = 3.0
  /// Seconds that members have to leave by themselves after a job that went well.
  private static let leavingSeconds = 10.0
  /// How often it looks who has ended, whatever the pipes say.
  private static let pollMilliseconds: Int32 = 500
  /// The same while a child has closed its pipes, which is nearly always its end.
  private static let closedPollMilliseconds: Int32 = 10
  /// Reads of 64 KiB that empty a pipe, which holds 64 KiB or, at most, a mebibyte.
  private static let drainReads = 17

  /// A cluster that has not started.
  ///
  /// - Parameters:
  ///   - executable: the program that plays the roles: `convoy`.
  ///   - report: told of what the coordinator tells.
  ///   - notice: told of what the person should know at once.
  package init(
    job: Job, runDirectory: String, executable: String = "/proc/self/exe", launchedAt: Double,
    report: @escaping (JobEvent) -> Void, notice: @escaping (String) -> Void
  ) {
    self.job = job
    self.runDirectory = runDirectory
    self.executable = executable
    self.launchedAt = launchedAt
    self.report = report
    self.notice = notice
  }

  /// Runs the job to its end.
  package func run(stop: StopRequest) throws(ConvoyError) -> JobSummary {
    stop.listen { [signals] in signals.put($0) }
    defer { cleanUp() }
    do throws(SpawnFailure) {
      lifeline = try ChildProcess.Pipe()
      try startCoordinator()
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

  // MARK: Starting

  private func startCoordinator() throws(SpawnFailure) {
    let address: String
    switch job.transport {
    case .tcp: address = "tcp://127.0.0.1:0"
    case .ipc, .auto:
      var template = Array("\(NSTemporaryDirectory())convoy-XXXXXX".utf8CString)
      guard mkdtemp(&template) != nil else {
        throw SpawnFailure(
          text: "no temporary folder can be made in \(NSTemporaryDirectory()): \(String(cString: strerror(errno)))")
      }
      let folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
      socketFolder = folder
      address = "ipc://\(folder)/coordinator"
    case .inproc: preconditionFailure("an inproc job has no processes")
    }
    try start(
      "coordinator",
      ["coordinator", "--job", "\(runDirectory)/job.yaml", "--listen", address, "--run-dir", runDirectory])
  }

  private func startMembers(_ address: String) throws(SpawnFailure) {
    for (role, count) in [("server", job.servers), ("worker", job.workers)] {
      for number in 0..<count {
        try start("\(role).\(number)", [role, "--coordinator", address, "--name", "\(role).\(number)"])
      }
    }
  }

  private func start(_ name: String, _ arguments: [String]) throws(SpawnFailure) {
    guard let lifeline else { return }
    let path = "\(runDirectory)/logs/\(name).log"
    let process = try ChildProcess(
      name: name, executable: executable, arguments: arguments, environment: environment(name), input: lifeline.reading)
    children.append(
      Child(process: process, log: ChildLog(name: name, path: path), output: ChildLog(name: name, path: path)))
  }

  /// The environment without settings of this job: the job file has them all, and flags came before them.
  private func environment(_ name: String) -> [String: String] {
    var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("CONVOY_") }
    environment["OPENBLAS_NUM_THREADS"] = "1"
    environment["OMP_WAIT_POLICY"] = "passive"
    environment["CONVOY_TOKEN_FILE"] = "\(runDirectory)/token"
    environment["CONVOY_LIFELINE"] = "1"
    environment["CONVOY_LAUNCHED_AT"] = "\(launchedAt)"
    return environment
  }

  // MARK: Watching

  private var isOver: Bool {
    !children.isEmpty && children.allSatisfy { $0.process.ending != nil }
  }

  /// Waits for something to happen and deals with it.
  private func turn() throws(SpawnFailure) {
    var watched: [pollfd] = [pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)]
    for child in children {
      watched.append(pollfd(fd: child.process.output, events: Int16(POLLIN), revents: 0))
      watched.append(pollfd(fd: child.process.errors, events: Int16(POLLIN), revents: 0))
    }
    let isClosing = children.contains { $0.process.ending == nil && $0.process.output < 0 && $0.process.errors < 0 }
    poll(&watched, nfds_t(watched.count), isClosing ? Self.closedPollMilliseconds : Self.pollMilliseconds)
    for signal in signals.take() { stopped(by: signal) }
    for index in children.indices {
      if watched.count > 2 * index + 1, watched[2 * index + 1].revents != 0 { try readOutput(index) }
      if watched.count > 2 * index + 2, watched[2 * index + 2].revents != 0 { readErrors(index) }
      let process = children[index].process
      guard process.ending == nil else { continue }
      process.reap(waiting: false)
      if process.ending != nil { try ended(index) }
    }
    if let killAt, MonotonicClock.seconds >= killAt { killAll() }
  }

  private func readOutput(_ index: Int) throws(SpawnFailure) {
    guard let bytes = Self.read(children[index].process.output) else { return children[index].process.closeOutput() }
    // Only the coordinator tells events; what is none goes to the log, whoever says it.
    let isEvent: (String) -> Bool = { index == 0 && JobEvent(line: $0) != nil }
    for line in children[index].output.take(bytes[...], unless: isEvent) {
      if index == 0, let event = JobEvent(line: line) { try took(event) }
    }
  }

  private func readErrors(_ index: Int) {
    guard let bytes = Self.read(children[index].process.errors) else { return children[index].process.closeErrors() }
    _ = children[index].log.take(bytes[...])
  }

  /// What a pipe holds now; nil at its end.
  private static func read(_ descriptor: Int32) -> [UInt8]? {
    var isEnd = false
    let bytes = [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
      let result = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      isEnd = result == 0 || (result < 0 && errno != EAGAIN && errno != EINTR)
      count = max(0, result)
    }
    return isEnd ? nil : bytes
  }

  private func took(_ event: JobEvent) throws(SpawnFailure) {
    switch event {
    case .listening(let address):
      // Not for a job that was stopped meanwhile: nobody would end them.
      if killAt == nil { try startMembers(address) }
    case .finished(let summary): self.summary = summary
    case .failed(let message, let exitCode):
      isExplained = failure == nil
      fail(ConvoyError(ExitCode(rawValue: exitCode) ?? .failed, message))
    default: break
    }
    report(event)
  }

  /// A child has ended: the job goes on only where it was its time.
  private func ended(_ index: Int) throws(SpawnFailure) {
    let process = children[index].process
    // What it wrote before its end is there by now; a grandchild that holds the pipes is not waited for.
    for _ in 0..<Self.drainReads where process.output >= 0 { try readOutput(index) }
    for _ in 0..<Self.drainReads where process.errors >= 0 { readErrors(index) }
    process.closeOutput()
    process.closeErrors()
    children[index].log.finish()
    children[index].output.finish()
    // The coordinator may have said before that the job is done, or why it failed.
    if index != 0, children[0].process.output >= 0 { try readOutput(0) }
    guard let ending = process.ending else { return }
    if let failure, isExplained, failure.code == .failed, ending != .exit(0) {
      // The coordinator tells what a member said; the member's exit code tells what kind of failure it was.
      self.failure = ConvoyError(Self.exitCode(of: ending), failure.message)
    }
    guard killAt == nil, failure == nil else { return }
    if summary != nil {
      // The job is done: whoever has not followed the coordinator by then has lost its way.
      if index == 0 { killAt = MonotonicClock.seconds + Self.leavingSeconds }
      return
    }
    if ending == .exit(0) {
      if index == 0 { fail(ConvoyError(.failed, "the coordinator left without a result\(lastWords(of: 0))")) }
      return
    }
    fail(ConvoyError(Self.exitCode(of: ending), "\(process.name) \(ending.text)\(lastWords(of: index))"))
  }

  /// A child's own exit code says what kind of failure it was, where it is one of ours.
  private static func exitCode(of ending: ChildProcess.Ending) -> ExitCode {
    guard case .exit(let code) = ending, let known = ExitCode(rawValue: code) else { return .failed }
    return known == .interrupted || known == .terminated ? .failed : known
  }

  private func lastWords(of index: Int) -> String {
    let child = children[index]
    guard let line = (child.output.newest + child.log.newest).last(where: { !$0.isEmpty }) else {
      return "; it said nothing"
    }
    return "; its last words: \(line)"
  }

  // MARK: Stopping

  private func stopped(by signal: StopRequest.Signal) {
    if killAt != nil { return killAll() }
    let running = children.count { $0.process.ending == nil }
    notice("stopped by \(signal.name): ending \(running) processes")
    fail(ConvoyError(signal.exitCode, "the job was stopped by \(signal.name)"))
  }

  /// Ends the job: everyone is told, and killed when the grace is over.
  private func fail(_ error: ConvoyError) {
    if failure == nil { failure = error }
    guard killAt == nil else { return }
    killAt = MonotonicClock.seconds + Self.graceSeconds
    for child in children { child.process.send(SIGTERM) }
  }

  private func killAll() {
    for child in children { child.process.send(SIGKILL) }
    killAt = .infinity
  }

  private func cleanUp() {
    for child in children where child.process.ending == nil {
      child.process.send(SIGKILL)
      child.process.reap(waiting: true)
    }
    if let lifeline {
      close(lifeline.reading)
      close(lifeline.writing)
    }
    if let socketFolder { try? FileManager.default.removeItem(atPath: socketFolder) }
    try? FileManager.default.removeItem(atPath: "\(runDirectory)/token")
  }
}

import ArgumentParser
import Foundation
import Logging
import Observability
import Runtime

/// How a role's process is set up: signals, the launcher's pipe, the log.
struct RoleProcess {
  let stop = StopRequest()
  let isLaunched: Bool
  let environment: [String: String]
  /// What the launcher says while this process runs.
  let words = LauncherWords()
  /// What came by standard input where the launcher is on another host.
  let secrets: LaunchSecrets?

  /// - Parameter readsSecrets: whether a launcher on another host writes secrets to standard input, and then holds it
  ///   open for as long as it lives.
  init(readsSecrets: Bool = false) throws(ConvoyError) {
    environment = ProcessInfo.processInfo.environment
    DescriptorLimit.raise()
    isLaunched = readsSecrets || environment[Lifeline.environmentName] == "1"
    SignalThread.start(stop, underLauncher: isLaunched) { [isLaunched] signal in
      // A launcher that stops says so to a process that whoever stopped the launcher may have told before; it kills what
      // does not leave.
      guard !isLaunched else { return }
      Leftovers.removeAll()
      Foundation.exit(signal.exitCode.rawValue)
    }
    secrets = readsSecrets ? try LaunchSecrets(readingFrom: STDIN_FILENO) : nil
    guard isLaunched else { return }
    Lifeline.watch(stop, silenceSeconds: readsSecrets ? Lifeline.silenceSeconds : nil) { [words] line in
      if let word = LauncherWord(line: line) { words.put(word) }
    }
  }

  func logger(_ name: String) -> Logger {
    Logger(label: name) { LineLogHandler(label: $0) }
  }

  /// After a launcher that was killed: takes away the folder that it had made for sockets, once all are gone.
  func leave(_ address: String) {
    guard isLaunched, stop.signal == .orphaned, address.hasPrefix("ipc://") else { return }
    rmdir(URL(filePath: String(address.dropFirst(6))).deletingLastPathComponent().path)
  }

  var tokenFile: String? { environment[EnvironmentNames.tokenFile] }
  var launchedAt: Double? { environment[EnvironmentNames.launchedAt].flatMap(Double.init) }
}

/// `convoy coordinator`: the coordinator of a job whose members are started by hand.
struct CoordinatorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "coordinator", abstract: "Coordinate a job: servers and workers connect to this process.")

  @Option(name: .customLong("job"), help: ArgumentHelp("job file: settings in YAML", valueName: "file"))
  var jobFile: String
  @Option(help: ArgumentHelp("address that members reach, as in tcp://127.0.0.1:5555", valueName: "address"))
  var listen: String
  @Option(help: ArgumentHelp("folder of the run (default: runs/MODEL-DATE-TIME)", valueName: "folder"))
  var runDir: String?
  @Option(
    help: ArgumentHelp(
      "go on from a run folder's newest good checkpoint, or from one checkpoint; a run's own folder goes on with that run",
      valueName: "folder"))
  var resume: String?
  @Option(help: ArgumentHelp("file of the job's token (default: token in the run's folder)", valueName: "file"))
  var tokenFile: String?
  @OptionGroup(title: "Other machines") var network: NetworkFlags
  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  func validate() throws {
    if tokenFile != nil, network.keys != nil {
      throw ValidationError("--keys holds the job's token: leave out --token-file")
    }
  }

  func run() throws {
    let process = try RoleProcess()
    defer { process.leave(listen) }
    let job = try Job.resolve(flags: [:], environment: process.environment, file: jobFile)
    let named = runDir ?? resume.flatMap(RunFolder.run(of:))
    var folder = named ?? TrainCommand.defaultRunDirectory(job)
    var claim: RunClaim?
    if !process.isLaunched {
      if named != nil { try RunFolder.requireFree(folder, resuming: resume) }
      try PreparedJob.requireGoodData(of: job)
      let running = try named.flatMap { name in try RunClaim.existing(name) }
      try ResumeCheck.require(job, from: resume, in: folder)
      let taken = try running ?? (named == nil ? RunClaim.takeNext(folder) : RunClaim.take(folder, resuming: resume))
      (claim, folder) = (taken, taken.path)
    }
    var options = CoordinatorOptions(
      job: job, listen: listen, runDirectory: folder, tokenFile: tokenFile ?? process.tokenFile,
      sharesToken: !process.isLaunched, launchedAt: process.launchedAt, resume: resume)
    options.words = process.words
    options.network = network.options
    defer { withExtendedLifetime(claim) {} }
    let presenter = Presenter(
      style: .standardError(environment: process.environment), job: job, runDirectory: folder)
    let logger = process.logger("coordinator")
    let isLaunched = process.isLaunched
    do throws(ConvoyError) {
      let summary = try runCoordinator(options, stop: process.stop, logger: logger) { [claim] event in
        claim?.follow(event)
        if isLaunched { Terminal.event(event) } else { presenter.show(event) }
      }
      if !isLaunched {
        presenter.finish(summary, json: json)
        try summary.requireStored()
      }
    } catch {
      if isLaunched {
        Terminal.event(.failed(message: error.message, exitCode: error.code.rawValue))
      }
      logger.error("\(error.message)")
      _ = claim?.abandon()
      throw isLaunched ? ArgumentParser.ExitCode(error.code.rawValue) : error
    }
  }
}

/// What servers and workers are started with.
struct MemberFlags: ParsableArguments {
  @Option(help: ArgumentHelp("the coordinator's address", valueName: "address"))
  var coordinator: String
  @Option(help: ArgumentHelp("name to join with, as in worker.1 (default: the first free number)", valueName: "name"))
  var name: String?
  @Option(
    help: ArgumentHelp(
      "file of the job's token (default: where a coordinator on this machine leaves it)", valueName: "file"))
  var tokenFile: String?
  @Option(help: ArgumentHelp("seconds to wait for the coordinator (default: 30)", valueName: "seconds"))
  var joinTimeout: Double?
  @OptionGroup(title: "Other machines") var network: NetworkFlags
  @Flag(help: "read the job's secrets from standard input, and leave when it closes: what a launcher does over ssh")
  var secretsStdin = false

  func validate() throws {
    if secretsStdin, tokenFile != nil {
      throw ValidationError("--secrets-stdin holds the job's token: leave out --token-file")
    }
    if secretsStdin, network.keys != nil {
      throw ValidationError("--secrets-stdin holds the job's keys: leave out --keys")
    }
    if tokenFile != nil, network.keys != nil {
      throw ValidationError("--keys holds the job's token: leave out --token-file")
    }
  }

  func run(
    as role: String, threads: Int? = nil, _ body: (MemberOptions, StopRequest, Logger) throws(ConvoyError) -> Void
  ) throws {
    let process = try RoleProcess(readsSecrets: secretsStdin)
    // A launcher's processes on other hosts have the environment that they find there.
    if !process.isLaunched { try EnvironmentNames.requireKnown(process.environment) }
    defer { process.leave(coordinator) }
    let logger = process.logger(name ?? role)
    var options = MemberOptions(
      coordinator: coordinator, name: name, tokenFile: tokenFile ?? process.tokenFile, joinTimeoutSeconds: joinTimeout)
    options.network = network.options
    options.threads = threads
    options.secrets = process.secrets
    do throws(ConvoyError) {
      try body(options, process.stop, logger)
    } catch {
      logger.error("\(error.message)")
      throw ArgumentParser.ExitCode(error.code.rawValue)
    }
  }
}

/// `convoy server`: one parameter server.
struct ServerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "server", abstract: "Serve parameters: joins a coordinator, holds chunks, applies updates.")

  @OptionGroup var flags: MemberFlags

  func run() throws {
    try flags.run(as: "server") { options, stop, logger throws(ConvoyError) in
      try runServer(options, stop: stop, logger: logger)
    }
  }
}

/// `convoy worker`: one worker.
struct WorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "Compute gradients: joins a coordinator, reads the data, trains.")

  @OptionGroup var flags: MemberFlags
  @Option(help: ArgumentHelp("threads to compute with (default: the job's)", valueName: "n")) var threads: Int?

  func validate() throws {
    if let threads, !(1...256).contains(threads) {
      throw ValidationError("--threads: \(threads) is no whole number from 1 to 256")
    }
  }

  func run() throws {
    try flags.run(as: "worker", threads: threads) { options, stop, logger throws(ConvoyError) in
      try runWorker(options, stop: stop, logger: logger)
    }
  }
}

import Foundation
import Glibc
package import Logging
import ParameterServer
package import Transport

/// What a coordinator is started with.
public struct CoordinatorOptions: Sendable {
  /// The job.
  public var job: Job
  /// The address that members reach, as in `tcp://127.0.0.1:5555`.
  public var listen: String
  /// The run's folder.
  public var runDirectory: String
  /// The file of the job's token; nil for `token` in the run's folder.
  public var tokenFile: String?
  /// Whether members of the same person on this machine find the token by the address.
  public var sharesToken: Bool
  /// When the command that the person gave began, in seconds of the monotonic clock; nil for now.
  public var launchedAt: Double?
  /// A run folder, or a checkpoint, to go on from: the run's own folder, or another's.
  public var resume: String?
  /// Keys, and whether it does without.
  public var network = NetworkOptions()
  /// What a launcher says while the coordinator runs.
  package var words: LauncherWords?

  /// Options as stated.
  public init(
    job: Job, listen: String, runDirectory: String, tokenFile: String? = nil, sharesToken: Bool = true,
    launchedAt: Double? = nil, resume: String? = nil
  ) {
    self.job = job
    self.resume = resume
    self.listen = listen
    self.runDirectory = runDirectory
    self.tokenFile = tokenFile
    self.sharesToken = sharesToken
    self.launchedAt = launchedAt
  }
}

/// What a server or a worker is started with.
public struct MemberOptions: Sendable {
  /// The coordinator's address.
  public var coordinator: String
  /// The name that it asks for; nil takes any place.
  public var name: String?
  /// The file of the job's token; nil looks where a coordinator on this machine leaves it.
  public var tokenFile: String?
  /// Seconds until the coordinator must have answered.
  public var joinTimeoutSeconds: Double?
  /// Keys, the interface, and whether it does without keys.
  public var network = NetworkOptions()
  /// Threads of a worker; nil for the job's.
  public var threads: Int?
  /// What a launcher on another host has handed over; it comes before the file of the token.
  package var secrets: LaunchSecrets?

  /// Options as stated.
  public init(
    coordinator: String, name: String? = nil, tokenFile: String? = nil, joinTimeoutSeconds: Double? = nil
  ) {
    self.coordinator = coordinator
    self.name = name
    self.tokenFile = tokenFile
    self.joinTimeoutSeconds = joinTimeoutSeconds
  }

  /// How long it waits.
  func deadlines() throws(ConvoyError) -> Deadlines {
    var deadlines = Deadlines()
    if let seconds = joinTimeoutSeconds {
      guard seconds > 0, seconds <= 86_400 else {
        throw ConvoyError(.usage, "--join-timeout: \(seconds) is not a number of seconds up to a day")
      }
      deadlines.joining = UInt64(seconds * 1000)
    }
    return deadlines
  }
}

/// Runs a coordinator until its job is over.
///
/// - Parameters:
///   - stop: what stops it from outside.
///   - report: told of what happens, on the calling thread.
package func runCoordinator(
  _ options: CoordinatorOptions, stop: StopRequest, logger: Logger, report: @escaping (JobEvent) -> Void
) throws(ConvoyError) -> JobSummary {
  let keys = try options.network.keyFolder()
  let access = NetworkAccess(
    security: try keys?.security(for: Member.coordinator.description), isInsecure: options.network.isInsecure,
    interface: options.network.interface)
  let listen = try access.coordinatorAddress(try parseAddress(options.listen))
  // Before anything is made that would be left.
  try access.requireAllowed(listen)
  let folder = try RunFolder(path: options.runDirectory)
  let ownToken = "\(options.runDirectory)/token"
  let tokenFile = keys?.tokenFile ?? options.tokenFile ?? ownToken
  // A coordinator that takes another's place finds its token, and the members that know it.
  let token = if let keys { try keys.token() } else { try TokenFile.create(at: tokenFile) }
  let coordinator = try CoordinatorRole(
    job: options.job, transport: try access.makeTransport(towards: listen, token), access: access, folder: folder,
    token: token,
    resume: options.resume, launch: options.launchedAt.map { "\($0)" }, stop: stop, logger: logger,
    launchedAt: options.launchedAt ?? MonotonicClock.seconds, report: report)
  try folder.write(options.job)
  options.words?.listen { [ended = coordinator.ended] word in
    switch word {
    case .ended(let name): ended(name)
    }
  }
  let address = try coordinator.listen(on: listen)
  let shared =
    options.sharesToken && keys == nil
    ? try TokenFile.share(token, for: address.description, notice: { logger.warning("\($0)") }) : nil
  if let shared { Leftovers.add(shared) }
  // A token that somebody else made stays: a launcher's goes with the launcher.
  let isOwn = options.sharesToken && tokenFile == ownToken
  if isOwn { Leftovers.add(ownToken) }
  // While the address is still this coordinator's: whoever listens there next leaves its own.
  coordinator.beforeClosing = { if let shared { unlink(shared) } }
  defer {
    // The job is over, whichever way.
    if isOwn { unlink(ownToken) }
  }
  return try coordinator.run()
}

/// Runs a server until its job is over.
package func runServer(_ options: MemberOptions, stop: StopRequest, logger: Logger) throws(ConvoyError) {
  try ServerRole.serve(memberContext(options, .server, stop: stop, logger: logger))
}

/// Runs a worker until its job is over.
package func runWorker(_ options: MemberOptions, stop: StopRequest, logger: Logger) throws(ConvoyError) {
  try WorkerRole.work(memberContext(options, .worker, stop: stop, logger: logger))
}

private func memberContext(
  _ options: MemberOptions, _ role: PeerRole, stop: StopRequest, logger: Logger
) throws(ConvoyError) -> MemberContext {
  let address = try parseAddress(options.coordinator)
  if case .inproc = address {
    throw ConvoyError(.usage, "\(address) is inside another process: use tcp:// or ipc://")
  }
  let deadlines = try options.deadlines()
  if options.network.keys == nil, options.secrets == nil {
    // Before it waits for a token that would be of no use.
    try NetworkAccess(isInsecure: options.network.isInsecure).requireAllowed(address)
  }
  let (name, token, access) = try options.credentials(role) { () throws(ConvoyError) in
    if let file = options.tokenFile { return try TokenFile.read(file) }
    return try waitForSharedToken(address, deadlines, stop: stop)
  }
  try access.requireAllowed(address)
  return MemberContext(
    transport: try access.makeTransport(towards: address, token), coordinator: address, name: name, token: token,
    access: access,
    threads: options.threads, deadlines: deadlines, stop: stop, logger: logger)
}

/// A member may be started before its coordinator: it waits for the token as long as it would for an answer.
private func waitForSharedToken(
  _ address: Address, _ deadlines: Deadlines, stop: StopRequest
) throws(ConvoyError) -> JobToken {
  let path = TokenFile.shared(for: address.description)
  let deadline = MonotonicClock.now.advanced(milliseconds: deadlines.joining)
  while true {
    if let found = TokenFile.findShared(for: address.description) { return try TokenFile.read(found) }
    if let signal = stop.signal { throw ConvoyError(signal.exitCode, "stopped by \(signal.name)") }
    guard MonotonicClock.now < deadline else {
      throw ConvoyError(
        .tryAgain,
        "no coordinator at \(address) within \(deadlines.joining / 1000) s: none has left its token in \(path); start it, or name the token's file with --token-file"
      )
    }
    usleep(50_000)
  }
}

private func parseAddress(_ text: String) throws(ConvoyError) -> Address {
  do throws(TransportError) {
    return try Address(parsing: text)
  } catch {
    throw ConvoyError(.usage, error.description)
  }
}

/// Runs a whole job as threads of this process, over ZeroMQ's `inproc` transport or another.
///
/// - Parameter claim: the run folder's claim, where the caller has it.
package func runInProcess(
  job: Job, runDirectory: String, claim: RunClaim? = nil, resume: String? = nil, stop: StopRequest = StopRequest(),
  transport: (any Transport)? = nil,
  logger: @escaping @Sendable (String) -> Logger, report: @escaping @Sendable (JobEvent) -> Void
) throws(ConvoyError) -> JobSummary {
  let transport = transport ?? ZeroMQTransport()
  let launchedAt = MonotonicClock.seconds
  var own = try claim == nil ? RunClaim.existing(runDirectory) : claim
  try ResumeCheck.require(job, from: resume, in: runDirectory)
  if own == nil { own = try RunClaim.take(runDirectory) }
  defer { withExtendedLifetime(own) {} }
  let folder = try RunFolder(path: runDirectory)
  let token = try TokenFile.replace(at: "\(runDirectory)/token")
  defer { unlink("\(runDirectory)/token") }
  let coordinator = try CoordinatorRole(
    job: job, transport: transport, folder: folder, token: token, resume: resume,
    launch: "\(launchedAt)", stop: stop,
    logger: logger("coordinator"), launchedAt: launchedAt, report: report)
  try folder.write(job)
  let address = try coordinator.listen(on: .inproc(name: "convoy-\(UInt64.random(in: 0 ... .max))"))
  let members = MemberThreads()
  let memberStop = StopRequest()
  for (role, count) in [(Role.server, job.servers), (.worker, job.workers)] {
    for number in 0..<UInt32(count) {
      let name = Member(role, number).description
      let context = MemberContext(
        transport: transport, coordinator: address, name: name, token: token, stop: memberStop, logger: logger(name))
      members.start(role, context)
    }
  }
  defer { members.waitForAll() }
  do throws(ConvoyError) {
    return try coordinator.run()
  } catch {
    memberStop.request(.terminate)
    throw error
  }
}

/// The threads of a job inside one process.
private final class MemberThreads: Sendable {
  private let group = DispatchGroup()

  func start(_ role: Role, _ context: MemberContext) {
    group.enter()
    let thread = Thread { [group] in
      do throws(ConvoyError) {
        switch role {
        case .server: try ServerRole.serve(context)
        case .worker: try WorkerRole.work(context)
        case .coordinator, .client: break
        }
      } catch {
        context.logger.error("\(error.message)")
      }
      group.leave()
    }
    thread.name = context.name
    thread.stackSize = 8 << 20
    thread.start()
  }

  func waitForAll() {
    group.wait()
  }
}

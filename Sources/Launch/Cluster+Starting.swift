import Foundation
import Runtime

extension Cluster {
  /// Where the coordinator listens: what was stated, else the loopback interface, a socket in the file system, or the
  /// interface by which the first host is reached.
  func coordinatorAddress() throws(ConvoyError) -> String {
    if let listen { return try network.listenAddress(listen) }
    if let interface = network.interface { return try NetworkOptions.address(on: interface) }
    if let hosts { return try hosts.listenAddress(stop: stop) }
    switch job.transport {
    case .tcp: return "tcp://127.0.0.1:0"
    case .ipc, .auto: return try localAddress()
    case .inproc: preconditionFailure("an inproc job has no processes")
    }
  }

  /// A socket in a folder of its own, or where none can be the loopback interface, unless sockets were asked for.
  private func localAddress() throws(ConvoyError) -> String {
    do throws(SocketFolder.Failure) {
      let folder = try SocketFolder.make()
      socketFolder = folder.path
      if !folder.passedOver.isEmpty {
        tell("the job's sockets are in \(folder.path): \(folder.passedOver.joined(separator: "; "))")
      }
      return "ipc://\(folder.path)/coordinator"
    } catch {
      let reasons = error.reasons.joined(separator: "; ")
      guard job.transport == .auto else {
        throw ConvoyError(.configuration, "--transport ipc: \(reasons): set TMPDIR to a folder that can, or use tcp")
      }
      tell("the job's processes speak by tcp, on this machine alone: \(reasons)")
      return "tcp://127.0.0.1:0"
    }
  }

  /// Tells the person, and the log.
  private func tell(_ text: String) {
    log.info(text)
    notice(text)
  }

  func coordinatorArguments(_ address: String) -> [String] {
    ["coordinator", "--job", jobFile, "--listen", address, "--run-dir", runDirectory]
      + (resume.map { ["--resume", $0] } ?? [])
      + (secrets?.arguments(isLocal: true) ?? [])
  }

  /// Starts servers and workers for the coordinator's address.
  func startMembers() throws(SpawnFailure) {
    let names = [("server", job.servers), ("worker", job.workers)].flatMap { role, count in
      (0..<count).map { Member(role: role, number: $0) }
    }
    for member in names { try start(member.name, [], on: hosts?.host(of: member)) }
  }

  /// Finds the coordinator's address for each host where it listens on every interface: that on the interface by which
  /// the host is reached. Tells the person what members are told.
  func findWays(from address: String) throws(ConvoyError) {
    if hosts != nil, isEverywhere { ways = try hosts?.ways(to: address, stop: stop) ?? [:] }
    let keys = secrets?.keySummary.map { ", with keys of \($0)" } ?? ""
    if !keys.isEmpty || isEverywhere { notice("the coordinator listens on \(address)\(keys)") }
    for (host, way) in ways.sorted(by: { $0.key < $1.key }) where way != address {
      notice("\(host) reaches the coordinator at \(way)")
    }
  }

  /// Starts a process again under its name.
  func restart(_ slot: Slot) throws(SpawnFailure) {
    let (process, input) = try spawn(slot.name, arguments(of: slot.name, on: slot.host), on: slot.host)
    slot.replace(process: process, input: input)
    log.info("\(slot.title) is process \(process.identifier) now")
  }

  func start(_ name: String, _ arguments: [String], on host: Host?) throws(SpawnFailure) {
    let (process, input) = try spawn(name, arguments.isEmpty ? self.arguments(of: name, on: host) : arguments, on: host)
    let slot = Slot(name: name, host: host, logFolder: "\(runDirectory)/logs", process: process, input: input)
    slots.append(slot)
    log.info("\(slot.title) is process \(process.identifier)")
  }

  /// What a process is started with once the coordinator's address is known.
  private func arguments(of name: String, on host: Host?) -> [String] {
    let address = host.flatMap { ways[$0.destination] } ?? address ?? ""
    guard let member = Member(name: name) else { return coordinatorArguments(address) }
    let arguments =
      [member.role, "--coordinator", address, "--name", name] + (secrets?.arguments(isLocal: host == nil) ?? [])
    return host.map { arguments + $0.arguments(forRole: member.role) } ?? arguments
  }

  private func spawn(
    _ name: String, _ arguments: [String], on host: Host?
  ) throws(SpawnFailure) -> (ChildProcess, InputPipe?) {
    guard let lifeline else { throw SpawnFailure(text: "\(name) cannot be started: the job is over") }
    if host == nil, name != "coordinator" {
      let process = try ChildProcess(
        name: name, executable: executable, arguments: arguments, environment: environment, input: lifeline.reading)
      return (process, nil)
    }
    let (input, reading) = try InputPipe.make()
    defer { close(reading) }
    if let host, let hosts, let secrets {
      do throws(ConvoyError) { input.send(try secrets.block(for: name)) } catch {
        throw SpawnFailure(text: "\(name) cannot be started: \(error.message)")
      }
      // The first beat comes at once.
      beatAt = 0
      let process = try ChildProcess(
        name: name, executable: hosts.program, arguments: hosts.sshArguments(to: host, running: arguments),
        environment: ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("CONVOY_") }, input: reading,
        isApart: true)
      return (process, input)
    }
    // Before it begins, so that it reads them first.
    for word in untold { input.send(Array("\(word.line)\n".utf8)) }
    untold = []
    let process = try ChildProcess(
      name: name, executable: executable, arguments: arguments, environment: environment, input: reading)
    return (process, input)
  }

  /// The environment without settings of this job: the job file has them all, and flags came before them.
  private var environment: [String: String] {
    let kept = [EnvironmentNames.stateFolder, "CONVOY_TEST_SLOWDOWN"]
    var environment = ProcessInfo.processInfo.environment.filter {
      !$0.key.hasPrefix("CONVOY_") || kept.contains($0.key)
    }
    environment.merge(Self.mathEnvironment) { $1 }
    environment[EnvironmentNames.tokenFile] = secrets?.tokenFile(runDirectory: runDirectory)
    environment[Lifeline.environmentName] = "1"
    environment[EnvironmentNames.launchedAt] = "\(launchedAt)"
    return environment
  }

  /// Settings that libraries read before `main`.
  static let mathEnvironment = ["OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"]
}

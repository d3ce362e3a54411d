import ArgumentParser
import Launch
import Runtime

/// How `convoy train` starts a job's processes: where, and how often again.
struct LaunchFlags: ParsableArguments {
  @Option(help: ArgumentHelp("restarts of each process that ends unexpectedly, in the whole job", valueName: "n"))
  var restarts = RestartPolicy().budget
  @Option(help: ArgumentHelp("wait before a process's first restart; it doubles from there", valueName: "seconds"))
  var restartBackoff = RestartPolicy().firstWait
  @Option(help: ArgumentHelp("longest wait before a restart", valueName: "seconds"))
  var restartBackoffLimit = RestartPolicy().longestWait
  @Option(
    help: ArgumentHelp(
      "file of the machines that run servers and workers, reached by ssh: NAME [servers=N] [workers=N] on each line",
      valueName: "file"))
  var hosts: String?
  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("option for ssh, as in '-i key'; may be repeated", valueName: "option"))
  var sshOption: [String] = []
  @Option(
    help: ArgumentHelp(
      "the coordinator's address, as in tcp://192.0.2.1:5555 (default: one that the members reach)",
      valueName: "address"))
  var listen: String?
  @OptionGroup(title: "Other machines") var network: NetworkFlags

  func validate() throws {
    guard (0...1_000_000).contains(restarts) else {
      throw ValidationError("--restarts: \(restarts) is no whole number from 0 to 1000000")
    }
    for (name, value) in [("restart-backoff", restartBackoff), ("restart-backoff-limit", restartBackoffLimit)] {
      guard value > 0, value <= 3600 else {
        throw ValidationError("--\(name): \(value) is no number of seconds above 0, up to 3600")
      }
    }
    if let listen, network.interface != nil, !NetworkOptions.isEveryInterface(listen) {
      throw ValidationError("--listen states the interface: leave out --interface, or listen on tcp://*:PORT")
    }
    if hosts == nil, !sshOption.isEmpty { throw ValidationError("--ssh-option is for the machines of --hosts") }
  }

  var restartPolicy: RestartPolicy {
    RestartPolicy(budget: restarts, firstWait: restartBackoff, longestWait: restartBackoffLimit)
  }

  /// Who runs where; nil for this machine. A job on several hosts goes by TCP.
  func place(_ job: inout Job) throws(ConvoyError) -> RemoteHosts? {
    if listen != nil, job.transport == .inproc {
      throw ConvoyError(.usage, "--listen: an inproc job listens on no address that others reach")
    }
    if network.interface != nil {
      guard job.transport == .auto || job.transport == .tcp else {
        throw ConvoyError(.usage, "--interface: \(job.transport.rawValue) stays on one machine: leave out --transport")
      }
      job.transport = .tcp
    }
    guard let hosts else { return nil }
    guard job.transport == .auto || job.transport == .tcp else {
      throw ConvoyError(.usage, "--hosts: \(job.transport.rawValue) stays on one machine: leave out --transport")
    }
    job.transport = .tcp
    // `-i key` is two words for ssh, `-ikey` one.
    let words = sshOption.flatMap { option in
      option.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true).map(String.init)
    }
    return try RemoteHosts(HostsFile.read(hosts), servers: job.servers, workers: job.workers, options: words)
  }
}

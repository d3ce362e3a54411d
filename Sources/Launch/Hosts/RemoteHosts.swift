import Foundation
package import Runtime
import Transport

/// The hosts of a job: who runs where, and how they are reached.
package struct RemoteHosts: Sendable {
  /// The program that reaches them.
  package let program: String
  private let hosts: [Host]
  /// Further words for the program, before the host.
  private let options: [String]
  private let places: [Member: Int]

  /// Spreads servers and workers over hosts: first what hosts state, then the rest in turn over those that state no
  /// number of the role.
  ///
  /// - Parameters:
  ///   - options: words for `ssh`, as in `["-i", "key"]`.
  ///   - program: `ssh`, or what behaves like it.
  package init(
    _ hosts: [Host], servers: Int, workers: Int, options: [String] = [], program: String = "ssh"
  ) throws(ConvoyError) {
    self.hosts = hosts
    self.options = options
    self.program = program
    var places: [Member: Int] = [:]
    // Workers begin where servers ended, so that the first host does not get the odd one of each.
    var next = 0
    for (role, count, stated) in [("server", servers, hosts.map(\.servers)), ("worker", workers, hosts.map(\.workers))]
    {
      for (number, host) in try Self.spread(role, count, stated, &next).enumerated() {
        places[Member(role: role, number: number)] = host
      }
    }
    self.places = places
  }

  /// The host of each member of a role, by number.
  private static func spread(
    _ role: String, _ count: Int, _ stated: [Int?], _ next: inout Int
  ) throws(ConvoyError) -> [Int] {
    var result = stated.enumerated().flatMap { host, number in [Int](repeating: host, count: number ?? 0) }
    guard result.count <= count else {
      throw ConvoyError(
        .configuration, "the hosts run \(result.count) \(role)s, the job has \(count): give --\(role)s \(result.count)")
    }
    let open = stated.indices.filter { stated[$0] == nil }
    guard result.count == count || !open.isEmpty else {
      throw ConvoyError(
        .configuration,
        "the hosts run \(result.count) \(role)s, the job has \(count): give --\(role)s \(result.count), or leave \(role)s= away on a host"
      )
    }
    while result.count < count {
      result.append(open[next % open.count])
      next += 1
    }
    return result
  }

  /// Where a member runs.
  package func host(of member: Member) -> Host? {
    places[member].map { hosts[$0] }
  }

  /// Who runs where, a line each: `node1: server.0, worker.0`.
  package var lines: [String] {
    hosts.indices.map { index in
      let members = places.filter { $0.value == index }.map(\.key).sorted {
        ($0.role, $0.number) < ($1.role, $1.number)
      }
      return "\(hosts[index].destination): \(members.isEmpty ? "nothing" : members.map(\.name).joined(separator: ", "))"
    }
  }

  // MARK: ssh

  /// The words behind `ssh` that run a member on a host.
  package func sshArguments(to host: Host, running arguments: [String]) -> [String] {
    // Nobody is there to answer, no terminal, and a connection of its own: one that is shared would stay.
    var words = ["-T", "-a", "-x"]
    for option in ["BatchMode=yes", "ControlMaster=no", "ControlPath=none", "ClearAllForwardings=yes"] {
      words += ["-o", option]
    }
    words += options
    // What comes first counts, so the person's options may state these otherwise.
    for option in ["ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3"] { words += ["-o", option] }
    if let port = host.port { words += ["-p", "\(port)"] }
    return words + ["--", host.destination, Self.command(on: host, arguments)]
  }

  /// How the client ends where there is no connection, or none any more.
  static let connectionEnded = ProcessEnding.exit(255)

  /// The one line that the host's shell reads. Nothing in it is secret: secrets come by standard input.
  ///
  /// It says something first, by which the launcher sees that the host was reached.
  private static func command(on host: Host, _ arguments: [String]) -> String {
    let environment = Cluster.mathEnvironment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    let words = ["env"] + environment + [host.program] + arguments
    let folder = host.directory.map { "cd \(quoted($0)) && " } ?? ""
    return "echo connected && \(folder)exec \(words.map(quoted).joined(separator: " "))"
  }

  /// A word as a shell takes it literally.
  package static func quoted(_ word: String) -> String {
    let isPlain =
      !word.isEmpty
      && word.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
          || "_-./:=,@%+".utf8.contains(byte)
      }
    return isPlain
      ? word : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }

  /// An address of this machine that the hosts reach, with a free port.
  ///
  /// - Parameter stop: what gives up asking ssh.
  package func listenAddress(stop: StopRequest = StopRequest()) throws(ConvoyError) -> String {
    var found: [Address] = []
    for host in hosts {
      found.append(try ownAddress(towards: host, stop))
      // This machine reaches itself by any of its addresses; another does not reach its loopback interface.
      if let last = found.last, !last.isLoopback { break }
    }
    return found[found.count - 1].description
  }

  /// The address by which each host, by its destination, reaches a port of this machine that every interface leads to.
  package func ways(to address: String, stop: StopRequest = StopRequest()) throws(ConvoyError) -> [String: String] {
    guard case .tcp(_, let port) = try? Address(parsing: address) else { return [:] }
    var ways: [String: String] = [:]
    for host in hosts {
      guard case .tcp(let own, _) = try ownAddress(towards: host, stop) else { continue }
      ways[host.destination] = Address.tcp(host: own, port: port).description
    }
    return ways
  }

  /// This machine's address on the interface by which a host is reached, with a free port.
  private func ownAddress(towards host: Host, _ stop: StopRequest) throws(ConvoyError) -> Address {
    let name = try hostName(of: host, stop)
    do throws(TransportError) {
      return try Interfaces.listeningAddress(towards: .tcp(host: name, port: 0))
    } catch {
      throw ConvoyError(
        .configuration,
        "the host \(host.destination) is not reached by the name \(name): \(error.description); give its address, or state --listen"
      )
    }
  }

  /// The name or address behind a destination: ssh's configuration may know it by another.
  private func hostName(of host: Host, _ stop: StopRequest) throws(ConvoyError) -> String {
    let outcome: CommandOutput
    do throws(ConvoyError) {
      outcome = try CommandOutput.run(program, options + ["-G", "--", host.destination], stop: stop)
    } catch  where error.code == .configuration {
      throw ConvoyError(.configuration, "\(error.message): install an ssh client, or start the members by hand")
    }
    let line = outcome.output.split(separator: "\n").first { $0.hasPrefix("hostname ") }
    guard outcome.ending == .exit(0), let line else {
      throw ConvoyError(
        .configuration,
        "\(program) does not know what \(host.destination) is: it \(outcome.ending.text); see --ssh-option")
    }
    return String(line.dropFirst("hostname ".count))
  }
}

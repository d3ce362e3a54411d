import Foundation
import Glibc
import Synchronization

/// Hosts of a network of their own: namespaces of this machine's kernel, each with one interface `eth0` and an address,
/// joined by a bridge in a further namespace, for as long as this value lives. The machine's own network is not touched.
///
/// A host is cut off by taking down the bridge's end of its cable; what is under way is lost, and nobody is told.
package final class NetworkNamespaces: Sendable {
  /// Number of hosts.
  package let count: Int
  /// What the names of its namespaces begin with; no other value's do.
  package let prefix: String

  private static let program = "/usr/sbin/ip"
  private static let trafficProgram = "/usr/sbin/tc"
  private static let numbers = Atomic(0)

  /// Why there is no network: what was tried, and what it said.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// Whether this process may make namespaces, on this machine.
  package static let isAvailable: Bool = {
    guard getuid() == 0, FileManager.default.isExecutableFile(atPath: program) else { return false }
    return (try? NetworkNamespaces(hosts: 1)) != nil
  }()

  /// Why tests that need them are skipped.
  package static let requirement = "network namespaces need root, the kernel's support and /usr/sbin/ip (iproute2)"

  /// A network of hosts that reach one another.
  package init(hosts: Int) throws {
    count = hosts
    // Names say whose they are, so that those of a test that was killed are seen and cleared away.
    Self.clearAwayOrphans()
    prefix = "\(Self.mark)\(getpid())-\(Self.numbers.add(1, ordering: .relaxed).newValue)-"
    do {
      try Self.run(["netns", "add", hub])
      try Self.run(["-n", hub, "link", "add", "bridge", "type", "bridge"])
      try Self.run(["-n", hub, "link", "set", "bridge", "up"])
      for host in 0..<hosts { try plug(host) }
    } catch {
      remove()
      throw error
    }
  }

  deinit { remove() }

  private func plug(_ host: Int) throws {
    let (name, port) = (self.name(of: host), port(of: host))
    try Self.run(["netns", "add", name])
    try Self.run(["-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", hub])
    try Self.run(["-n", name, "address", "add", "\(address(of: host))/24", "dev", "eth0"])
    for device in ["lo", "eth0"] { try Self.run(["-n", name, "link", "set", device, "up"]) }
    try Self.run(["-n", hub, "link", "set", port, "master", "bridge", "up"])
  }

  // MARK: Using

  /// The address of a host.
  package func address(of host: Int) -> String { "10.77.0.\(host + 1)" }

  /// The words before a program's own that run it on a host, in the process that they are given to.
  package func command(on host: Int) -> [String] { [Self.program, "netns", "exec", name(of: host)] }

  /// Cuts a host off.
  package func cut(_ host: Int) throws {
    try Self.run(["-n", hub, "link", "set", port(of: host), "down"])
  }

  /// Plugs a host in again.
  package func heal(_ host: Int) throws {
    try Self.run(["-n", hub, "link", "set", port(of: host), "up"])
  }

  /// Drops what a host sends to another, as a firewall does: what the other sends arrives, and has no answer.
  package func drop(from host: Int, to other: Int) throws {
    try Self.run(["-n", name(of: host), "route", "add", "blackhole", "\(address(of: other))/32"])
  }

  /// Lets so many kilobits a second through to a host and no more.
  package func slow(_ host: Int, kilobitsPerSecond: Int) throws {
    try Self.run(
      [
        "-n", hub, "qdisc", "replace", "dev", port(of: host), "root", "tbf", "rate", "\(kilobitsPerSecond)kbit",
        "burst",
        "16kb", "latency", "400ms",
      ], program: Self.trafficProgram)
  }

  /// Packets to a slowed host that its cable has lost so far.
  package func lostPackets(_ host: Int) throws -> Int {
    let text = try Self.run(
      ["-n", hub, "-s", "qdisc", "show", "dev", port(of: host)], program: Self.trafficProgram)
    return text.firstMatch(of: /dropped (\d+)/).flatMap { Int($0.1) } ?? 0
  }

  // MARK: Making and clearing away

  private static let mark = "convoy-test-"

  private var hub: String { "\(prefix)hub" }

  private func name(of host: Int) -> String { "\(prefix)\(host)" }

  private func port(of host: Int) -> String { "port\(host)" }

  private func remove() {
    for name in [hub] + (0..<count).map({ self.name(of: $0) }) { Self.remove(name) }
  }

  /// Ends a namespace and what still runs in it, which would keep it alive.
  private static func remove(_ name: String) {
    guard let processes = try? run(["netns", "pids", name]) else { return }
    for process in processes.split(whereSeparator: \.isWhitespace).compactMap({ pid_t($0) }) { kill(process, SIGKILL) }
    _ = try? run(["netns", "delete", name])
  }

  /// Removes namespaces of tests that ended before they could.
  private static func clearAwayOrphans() {
    let lines = (try? run(["netns", "list"]))?.split(separator: "\n") ?? []
    for name in lines.compactMap({ $0.split(separator: " ").first }) where name.hasPrefix(mark) {
      let owner = name.dropFirst(mark.count).prefix { $0 != "-" }
      if let owner = pid_t(owner), kill(owner, 0) != 0, errno == ESRCH { remove(String(name)) }
    }
  }

  @discardableResult
  private static func run(_ words: [String], program: String = program) throws -> String {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: program)
    process.arguments = words
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failure(description: "\(program) \(words.joined(separator: " ")): \(text)")
    }
    return text
  }
}

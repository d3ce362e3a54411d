import Foundation
import Glibc
import TestSupport
import Testing

/// Hosts that are namespaces.
@Suite(
  .serialized, .timeLimit(.minutes(30)), .enabled(if: NetworkNamespaces.isAvailable, "\(NetworkNamespaces.requirement)")
)
struct NetworkNamespacesTests {
  /// What a program says on a host, and whether it ended well.
  private func run(_ words: [String], on host: Int, of network: NetworkNamespaces) throws -> (
    text: String, isGood: Bool
  ) {
    let all = network.command(on: host) + words
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: all[0])
    process.arguments = Array(all.dropFirst())
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (text, process.terminationStatus == 0)
  }

  private func reaches(_ target: Int, from host: Int, _ network: NetworkNamespaces) throws -> Bool {
    // Nobody listens there: a host that is reached says so at once. The tests' threads block softer signals.
    let words = ["timeout", "-s", "KILL", "1", "bash", "-c", "exec 3<>/dev/tcp/\(network.address(of: target))/9"]
    return try run(words, on: host, of: network).text.contains("refused")
  }

  /// The namespaces of one network. Other tests of this process make some at the same time.
  private func names(_ prefix: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "/run/netns").filter { $0.hasPrefix(prefix) }
  }

  @Test("Hosts have addresses of their own and reach one another, but not one that is cut off until it is healed")
  func cutAndHealed() throws {
    let network = try NetworkNamespaces(hosts: 3)
    for host in 0..<3 {
      let text = try run(["ip", "-o", "-4", "address", "show", "dev", "eth0"], on: host, of: network).text
      #expect(text.contains("\(network.address(of: host))/24"))
    }
    for host in [1, 2] { #expect(try (0..<30).contains { _ in try reaches(host, from: 0, network) }) }
    try network.cut(1)
    #expect(try !reaches(1, from: 0, network))
    #expect(try !reaches(0, from: 1, network))
    #expect(try reaches(2, from: 0, network))
    try network.heal(1)
    // A busy machine can need more than one try of a second.
    #expect(try (0..<30).contains { _ in try reaches(1, from: 0, network) })
  }

  @Test("A slow host's cable is limited")
  func slow() throws {
    let network = try NetworkNamespaces(hosts: 2)
    try network.slow(1, kilobitsPerSecond: 64)
    #expect(try reaches(1, from: 0, network))
    #expect(try network.lostPackets(1) == 0)
    // Seven seconds' worth, sent at once: what does not fit into the queue is lost.
    let packet = String(repeating: "x", count: 1400)
    let flood = "exec 3>/dev/udp/\(network.address(of: 1))/9; for i in {1..40}; do printf %s \(packet) >&3; done"
    _ = try run(["bash", "-c", flood], on: 0, of: network)
    #expect(try network.lostPackets(1) > 0)
  }

  @Test("Namespaces go with their value, and what runs in them too")
  func removed() throws {
    var network: NetworkNamespaces? = try NetworkNamespaces(hosts: 2)
    let prefix = try #require(network?.prefix)
    #expect(try names(prefix).count == 3)
    let words = try #require(network?.command(on: 0))
    let process = Process()
    process.executableURL = URL(filePath: words[0])
    process.arguments = Array(words.dropFirst()) + ["cat"]
    let input = Pipe()
    process.standardInput = input
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: Data("x".utf8))
    // It runs there by now.
    #expect(output.fileHandleForReading.availableData.count == 1)
    network = nil
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal)
    #expect(try names(prefix).isEmpty)
  }
}

import Foundation
import Glibc
import ParameterServer
import Runtime
import TestSupport
import Testing
import Transport
import WireFormat

/// A real job over tcp under attack: by those who hold nothing, and by those who hold its token and so its key.
@Suite(.serialized, .timeLimit(.minutes(30))) struct AttackTests {
  /// Steps of the job: enough of them that it still trains when all attacks are over.
  private static let steps = 1800
  private static let words = [
    "--transport", "tcp", "--servers", "1", "--workers", "2", "--batch", "32", "--learning-rate", "0.005",
    "--max-steps", "\(steps)",
  ]
  /// MiB that an attack may cost any process.
  private static let allowance = 64

  @Test("A job over tcp that is attacked in every way known ends with its bytes, and within its memory")
  func attacked() throws {
    let folder = TemporaryFolder()
    let calm = try LiveJob(Self.words, run: "\(folder.path)/calm")
    try calm.wait(forStep: Self.steps / 2)
    let usual = PeakMemory()
    usual.look(at: calm.members)
    let expected = try #require(calm.finish()["parameters_sha256"] as? String)

    let job = try LiveJob(Self.words, run: "\(folder.path)/attacked")
    try job.wait(forStep: 20)
    let members = job.members
    let addresses = try ["coordinator", "server.0"].map { name in
      try #require(
        job.log(name).firstMatch(of: /listens on (tcp:\/\/[0-9.:]+)/).map { String($0.1) }, "\(name) listens")
    }
    let token = try TokenFile.read("\(job.run)/token")
    let security = try token.sharedSecurity()
    for address in addresses {
      let port = try port(of: address)
      let silent = try halfOpen(port)
      try statedIdentities(port)
      try oversizedHandshakes(port)
      try withKey(security, address)
      withExtendedLifetime(silent) {}
    }
    try floods(token, addresses[0])
    let peaks = PeakMemory()
    peaks.look(at: job.members)
    #expect(job.members == members, "no process has ended")
    let outcome = try job.finish()
    #expect(outcome["parameters_sha256"] as? String == expected)
    for (name, peak) in peaks.mebibytes {
      let before = try #require(usual.mebibytes[name])
      #expect(peak <= before + Self.allowance, "\(name): \(peak) MiB beside \(before)")
    }
    // Fifty thousand refusals, and a log that a person can read.
    let log = job.log("coordinator")
    #expect(log.utf8.count < 200_000, "\(log.utf8.count) bytes")
    #expect(log.contains(/and [0-9]+ more since the line before/))
    let refused = log.matches(of: /([0-9]+) messages were refused/).last.flatMap { Int($0.1) }
    #expect(try #require(refused) >= 50_000)
  }

  private func port(of address: String) throws -> UInt16 {
    guard case .tcp(_, let port) = try Address(parsing: address) else { throw NoPort() }
    return port
  }

  private struct NoPort: Error {}

  /// Connections that say nothing, begin to, or go on a byte at a time; they stay open.
  private func halfOpen(_ port: UInt16) throws -> [RawPeer] {
    let greeting = RawPeer.greeting("CURVE")
    let peers = (0..<200).compactMap { _ in RawPeer(port: port) }
    #expect(peers.count == 200)
    for (index, peer) in peers.enumerated() { peer.send(Array(greeting.prefix(index % 65))) }
    for byte in greeting { peers[0].send([byte]) }
    return peers
  }

  /// Identities that libzmq is about to give to others, stated without a key; then one who states none.
  private func statedIdentities(_ port: UInt16) throws {
    var peers: [RawPeer] = []
    for number in 0..<64 {
      guard let peer = RawPeer(port: port) else { continue }
      peer.send(RawPeer.greeting("NULL") + RawPeer.ready(identity: RawPeer.automaticIdentity(UInt32(number))))
      peers.append(peer)
    }
    let plain = RawPeer(port: port)
    plain?.send(RawPeer.greeting("NULL") + RawPeer.ready(identity: []))
    for peer in peers { while !peer.isEnded { usleep(1000) } }
  }

  /// Commands of a handshake that are said to be very long, by several at once, each as much as is taken.
  private func oversizedHandshakes(_ port: UInt16) throws {
    let peers = (0..<8).compactMap { _ in RawPeer(port: port) }
    let length = (0..<8).map { UInt8(truncatingIfNeeded: (256 << 20) >> (56 - 8 * $0)) }
    let block = [UInt8](repeating: 7, count: 1 << 20)
    for peer in peers { peer.send(RawPeer.greeting("CURVE") + [6] + length) }
    for _ in 0..<256 { for peer in peers where !peer.isEnded { peer.send(block) } }
    for peer in peers { #expect(peer.isEnded) }
  }

  /// What the owner of a key may try: identities, messages that do not end, frames that no message has.
  private func withKey(_ security: TransportSecurity, _ address: String) throws {
    var holders: [RawHolder] = []
    for number in 0..<48 {
      let identity = RawPeer.automaticIdentity(UInt32(number))
      let holder = RawHolder(security, address: address, identity: identity)
      #expect(holder.send(frames: 1, of: [1, 1, 0, 0, 0, 0]))
      holders.append(holder)
    }
    for _ in 0..<4 {
      let plain = RawHolder(security, address: address)
      #expect(plain.send(frames: 3, of: [1]))
      holders.append(plain)
    }
    let block = [UInt8](repeating: 9, count: 60_000)
    let greedy = RawHolder(security, address: address)
    #expect(greedy.send(frames: 1, of: [0]))
    let isCut = greedy.isCut(withinMilliseconds: 60_000) { _ = greedy.send(frames: 4000, of: block) }
    #expect(isCut, "who sends frames without end is cut off")
    let tiny = RawHolder(security, address: address)
    #expect(tiny.send(frames: 1, of: [0]))
    #expect(tiny.isCut(withinMilliseconds: 60_000) { _ = tiny.send(frames: 1_000_000, of: [9]) })
  }

  /// Fifty thousand messages that must be refused: bytes that are none, and messages of those who belong to no job.
  private func floods(_ token: JobToken, _ address: String) throws {
    let hub = try Strangers.holder(of: token).makeHub(
      HubLimits(maximumFrameBytes: 1 << 20, maximumFrames: 2, maximumQueuedMessages: 1000))
    defer { hub.close(lingerMilliseconds: 0) }
    let peer = try hub.connect(to: Address(parsing: address))
    let forged = Envelope(
      token: token, view: .none, sender: Member(.worker, 0), incarnation: Incarnation(7),
      message: .progress(ParameterServer.Progress(steps: .max, shards: .max)))
    let messages = [Array("GET / HTTP/1.1".utf8), WireFormat.encode(forged)]
    var answers = 0
    for number in 0..<50_000 {
      while try hub.send([Frame(copying: messages[number % 50 == 0 ? 1 : 0])], to: peer) != .sent {
        if case .message = try hub.receive(timeoutMilliseconds: 10) { answers += 1 }
      }
      while case .message = try hub.receive(timeoutMilliseconds: 0) { answers += 1 }
    }
    while answers < 49_000 {
      guard case .message = try hub.receive(timeoutMilliseconds: 30_000) else { break }
      answers += 1
    }
    #expect(answers >= 49_000)
  }

  @Test("Who has taken an absent coordinator's port hears nothing of the token")
  func takenPort() throws {
    let folder = TemporaryFolder()
    let token = "\(folder.path)/token"
    let secret = try TokenFile.create(at: token)
    let stranger = try ListeningPort()
    let worker = try Running([
      "worker", "--coordinator", "tcp://127.0.0.1:\(stranger.port)", "--token-file", token, "--join-timeout", "2",
    ])
    // To the first it speaks as one without keys would, to the others as one who has them.
    var heard: [UInt8] = []
    for number in 0..<3 {
      heard += stranger.hear(answering: RawPeer.greeting(number == 0 ? "NULL" : "CURVE"))
    }
    let outcome = worker.wait()
    #expect(outcome.exitCode == 75, "\(outcome.errors)")
    #expect(heard.count > 64)
    let digits = Array(try String(contentsOfFile: token, encoding: .utf8).utf8)
    for pattern in [secret.bytes, Array(digits.prefix(32))] {
      #expect(!heard.indices.contains { heard[$0...].starts(with: pattern) })
    }
  }
}

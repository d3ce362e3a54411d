import Foundation
import Glibc
import ModelFiles
import ParameterServer
import Runtime
import Testing
import Transport
import WireFormat

/// A member that knows the token and says what cannot be, and a journal that says it.
extension SurvivalTests {
  /// Somebody who speaks to a coordinator as a member does.
  private final class Liar {
    private let hub: any Hub
    private let peer: Peer
    private let token: JobToken
    private var member = Member(.worker, Member.unassigned)
    private let life: UInt64

    /// Joins as a worker that has not read its data yet.
    init(at address: String, _ token: JobToken, life: UInt64) throws {
      hub = try ZeroMQTransport().makeHub(
        HubLimits(maximumFrameBytes: 1 << 24, maximumFrames: 2, maximumQueuedMessages: 4096))
      peer = try hub.connect(to: Address(parsing: address), expecting: "coordinator")
      self.token = token
      self.life = life
      guard case .welcome(let welcome)? = try ask(.hello(Hello(role: .worker, name: "worker.\(100 + life)"))) else {
        throw Unwelcome()
      }
      member = welcome.member
    }

    deinit { hub.close(lingerMilliseconds: 0) }

    func say(_ message: Message) throws {
      let envelope = Envelope(
        token: token, view: ViewNumber(1), sender: member, incarnation: Incarnation(life), message: message)
      _ = try hub.send([Frame(copying: WireFormat.encode(envelope))], to: peer)
    }

    /// Says something and waits for the next answer.
    func ask(_ message: Message) throws -> Message? {
      try say(message)
      while true {
        switch try hub.receive(timeoutMilliseconds: 30_000) {
        case .message(_, let frames): return try frames[0].withBytes { try WireFormat.decode($0) }.message
        case .timeout: return nil
        case .woken, .refused: continue
        }
      }
    }

    struct Unwelcome: Error {}
  }

  private static let numbers: [UInt64] = [
    1 << 31, 1 << 53, Bounds.count, Bounds.count + 1, 1 << 58, 1 << 62, (1 << 63) - 1, 1 << 63, .max,
  ]

  /// Reports of which each says one number that cannot be, and some that say many.
  private static let reports: [ParameterServer.Progress] = numbers.flatMap { number in
    var refused = RefusedCounts(messages: RefusalCounts(numbers: RefusalReason.allCases.map { _ in number }))
    (refused.connections.unknownKey, refused.connections.unproven) = (number, number)
    return [
      ParameterServer.Progress(steps: number, shards: number, busy: number),
      ParameterServer.Progress(
        steps: 1, shards: 1,
        epochs: [EpochTotals(epoch: UInt32(number % 200), samples: number), EpochTotals(epoch: 0, samples: number)]),
      ParameterServer.Progress(steps: 1, shards: 1, epochs: [EpochTotals(epoch: 0, samples: 1, lossSum: .nan)]),
      ParameterServer.Progress(
        steps: 1, shards: 1, behind: number,
        staleness: StalenessCounts(bins: [number, number], sum: number, largest: number)),
      ParameterServer.Progress(steps: 0, shards: 0, refused: refused),
    ]
  }

  @Test(
    "A member with the token says what cannot be, in 16 lives: it is refused, status tells, and the bytes are the same")
  func absurdNumbers() throws {
    let job = try start(["--checkpoint-every", "\(Self.step(after: 0.3))", "--restarts", "5"])
    try job.wait(forStep: 2)
    let (address, token) = (try address(), try TokenFile.read("\(run)/token"))
    var refusals = 0
    for life in 1...16 as ClosedRange<UInt64> {
      let liar = try Liar(at: address, token, life: life)
      // Epochs enough for their samples to be more than can be counted.
      for epoch in 0..<(life == 1 ? 200 : 2) as Range<UInt32> {
        let totals = EpochTotals(epoch: epoch, samples: Bounds.count)
        try liar.say(.progress(ParameterServer.Progress(steps: 1, shards: UInt64(epoch), epochs: [totals])))
      }
      for report in Self.reports {
        if case .refused? = try liar.ask(.progress(report)) { refusals += 1 }
      }
      for number in Self.numbers {
        for message: Message in [
          .viewAccepted(closed: number), .stateLost(chunk: UInt32(truncatingIfNeeded: number)),
          .leaseRequest(LeaseRequest(grant: number, held: UnitSet(), wantsMore: true)),
          .snapshot(ChunkPosition(chunk: 0, version: number, closed: number)), .cut(number), .marker(number),
          .pull(Pull(chunk: 0, closed: number, isExact: true)),
        ] { try liar.say(message) }
      }
      try liar.say(.leaving(Leaving(text: "", isOrderly: true, progress: Self.reports[Int(life)])))
    }
    #expect(refusals > 16 * Self.numbers.count)
    let status = try status()
    #expect((status["refusals"] as? [String: Int])?["out_of_bounds"] ?? 0 > 0, "\(status)")
    let text = try Convoy.run(["status", run])
    #expect(text.exitCode == 0 && text.output.contains("out of bounds"), "\(text.output)\(text.errors)")
    // The next checkpoint writes down what all have computed; a successor goes on from it.
    try job.wait(forCheckpoint: 1)
    try job.send(SIGKILL, to: "coordinator")
    try job.wait(forResumption: "the coordinator was started again")
    #expect(try job.finish()["parameters_sha256"] as? String == Self.undisturbed)
    #expect(throws: Never.self) { try RunJournal(folder: run) }
  }

  @Test("A coordinator whose journal says what cannot be ends with one line and exit code 65")
  func absurdJournal() throws {
    let job = "\(run)/job.yaml"
    for record: JournalRecord in [
      .term(.max), .totals([EpochTotals(epoch: 0, samples: 1 << 58)]),
      .leaseBook(LeaseStand(frontier: 1 << 57, returned: UnitSet(), applied: UnitSet())),
    ] {
      try? FileManager.default.removeItem(atPath: run)
      try FileManager.default.createDirectory(atPath: run, withIntermediateDirectories: true)
      try Data("servers: 1\nworkers: 1\n".utf8).write(to: URL(filePath: job))
      // It is closed when it is written, as by a process that has ended.
      try Journal(path: "\(run)/journal").append(WireFormat.encode(record: record), sync: true)
      let outcome = try Convoy.run([
        "coordinator", "--job", job, "--listen", "ipc://\(folder.path)/c", "--run-dir", run, "--resume", run,
      ])
      #expect(outcome.exitCode == 65, "\(outcome.errors)")
      let lines = outcome.errors.split(separator: "\n").filter { $0.contains("convoy: ") }
      #expect(lines.count == 1 && lines[0].contains("\(run)/journal: record 1 "), "\(outcome.errors)")
    }
  }
}

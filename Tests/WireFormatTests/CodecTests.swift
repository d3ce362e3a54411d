import ParameterServer
import Testing
import WireFormat

/// Random messages of every kind.
private struct RandomMessages {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678
  }

  mutating func number(_ bound: UInt64 = 1 << 40) -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (state >> 17) % bound
  }

  private mutating func text() -> String {
    let alphabet = Array("abc .:-äß日")
    return String((0..<number(30)).map { _ in alphabet[Int(number(UInt64(alphabet.count)))] })
  }

  private mutating func digest() -> [UInt8] {
    number(4) == 0 ? [] : (0..<32).map { _ in UInt8(number(256)) }
  }

  private mutating func node() -> ShardNode {
    let level = number(17)
    return ShardNode(level: UInt8(level), index: UInt32(number(UInt64(1) << (16 - level))))
  }

  private mutating func progress() -> Progress {
    let epochs = (0..<number(3)).map { _ in
      EpochTotals(epoch: UInt32(number(1000)), samples: number(), lossSum: Double(number()) / 7, correct: number())
    }
    return Progress(steps: number(), shards: number(), epochs: epochs)
  }

  private mutating func view() -> View {
    let servers = Int(number(4)) + 1
    let workers = Int(number(5)) + 1
    let tree = ShardTree(shards: 1 << Int(number(5)))!
    let schedule = BatchSchedule(samples: Int(number(1 << 20)) + 1, batch: Int(number(1 << 10)) + 1, tree: tree)!
    let rules = JobRules(
      consistency: number(2) == 0 ? .sync : .async, schedule: schedule, steps: Int(number(1 << 20)) + 1,
      chunks: ChunkTable(elements: Int(number(1 << 22)) + 1, buffers: Int(number(1 << 16)), servers: servers)!)!
    var serverEntries: [(incarnation: Incarnation, name: String, address: String)] = []
    for _ in 0..<servers { serverEntries.append((Incarnation(number(.max)), text(), text())) }
    var workerEntries: [(incarnation: Incarnation, name: String)] = []
    for _ in 0..<workers { workerEntries.append((Incarnation(number(.max)), text())) }
    return View.assigning(
      number: ViewNumber(number() + 1), rules: rules, servers: serverEntries, workers: workerEntries)
  }

  static let kinds = 18

  mutating func message(_ kind: Int) -> Message {
    switch kind {
    case 0: return .hello(Hello(role: number(2) == 0 ? .server : .worker, name: text()))
    case 1:
      return .ready(
        Ready(
          digests: Digests(build: digest(), network: digest(), job: digest(), data: digest()), samples: number(),
          engineFingerprint: text(), address: text()))
    case 2: return .viewAccepted
    case 3: return .progress(progress())
    case 4: return .leaseRequest
    case 5: return .finished(Finished(progress: progress()))
    case 6: return .leaving(text())
    case 7: return .welcome(Welcome(member: Member(.worker, UInt32(number(100))), job: text()))
    case 8: return .view(view())
    case 9: return .leases(Leases(first: number(), count: UInt32(number(1000))))
    case 10: return .alive
    case 11: return .stop(.completed)
    case 12: return .stop(.failed(text()))
    case 13: return .stop(.interrupted)
    case 14: return .pull(Pull(chunk: UInt32(number(1 << 20)), version: number()))
    case 15: return .push(Push(chunk: UInt32(number(1 << 20)), step: number(), node: node(), basis: number()))
    case 16: return .parameters(Parameters(chunk: UInt32(number(1 << 20)), version: number()))
    default:
      let reasons = RefusalReason.allCases
      return .refused(Refusal(reasons[Int(number(UInt64(reasons.count)))], text()))
    }
  }

  mutating func envelope(_ kind: Int) -> Envelope {
    Envelope(
      token: JobToken((0..<16).map { _ in UInt8(number(256)) })!, view: ViewNumber(number()),
      sender: Member([Role.coordinator, .server, .worker][Int(number(3))], UInt32(number(1 << 32))),
      incarnation: Incarnation(number(.max)), message: message(kind))
  }
}

@Suite struct CodecTests {
  private func decode(_ bytes: [UInt8]) throws(WireError) -> Envelope {
    try bytes.withUnsafeBufferPointer { bytes throws(WireError) in
      try WireFormat.decode(UnsafeRawBufferPointer(bytes))
    }
  }

  @Test("Every kind of message comes back as it was", arguments: 0..<RandomMessages.kinds)
  func roundTrip(_ kind: Int) throws {
    var random = RandomMessages(seed: UInt64(kind))
    for _ in 0..<50 {
      let envelope = random.envelope(kind)
      #expect(try decode(WireFormat.encode(envelope)) == envelope)
    }
  }

  @Test("A push has the bytes that other implementations of the schema would write")
  func golden() {
    let envelope = Envelope(
      token: JobToken(Array(0..<16))!, view: ViewNumber(3), sender: Member(.worker, 2), incarnation: Incarnation(5),
      message: .push(Push(chunk: 7, step: 300, node: ShardNode(level: 1, index: 1), basis: 9)))
    let expected: [UInt8] =
      [8, 1, 18, 16] + Array(0..<16) + [24, 3, 32, 3, 40, 2, 49, 5, 0, 0, 0, 0, 0, 0, 0]
      + [138, 3, 11, 8, 7, 16, 172, 2, 24, 1, 32, 1, 40, 9]
    #expect(WireFormat.encode(envelope) == expected)
  }

  @Test(
    "What is cut short or damaged is refused or read as something else, and never a crash",
    arguments: 0..<RandomMessages.kinds)
  func damage(_ kind: Int) {
    var random = RandomMessages(seed: 77 + UInt64(kind))
    let bytes = WireFormat.encode(random.envelope(kind))
    for length in 0..<min(bytes.count, 200) { _ = try? decode(Array(bytes[..<length])) }
    for _ in 0..<500 {
      var damaged = bytes
      for _ in 0...random.number(3) {
        damaged[Int(random.number(UInt64(bytes.count)))] ^= UInt8(1 << random.number(8))
      }
      _ = try? decode(damaged)
    }
  }

  @Test("Another version, a short token and nonsense are told apart")
  func errors() {
    #expect(throws: WireError.otherProtocol(99)) { try decode([8, 99]) }
    #expect(throws: WireError.field("token", "0 bytes, not 16")) { try decode([8, 1]) }
    #expect(throws: WireError.unreadable(bytes: 3)) { try decode([255, 255, 255]) }
    #expect(throws: WireError.self) { try decode([UInt8](repeating: 0, count: WireFormat.maximumEnvelopeBytes + 1)) }
  }

  @Test("A message that states more than it holds takes no more memory than its budget")
  func budget() {
    // A view with a server whose list of chunks states four gigabytes.
    let hostile: [UInt8] = [8, 1, 138, 2, 12, 74, 10, 42, 255, 255, 255, 255, 15, 1, 1, 1, 1]
    #expect(throws: WireError.self) { try decode(hostile) }
    // A long list of empty epochs: each takes far more memory than its two bytes.
    let epochs = [UInt8](repeating: 0, count: 200_000).enumerated().map { UInt8($0.offset % 2 == 0 ? 26 : 0) }
    let length = epochs.count
    let body: [UInt8] = [154, 1, UInt8(length & 0x7F | 0x80), UInt8(length >> 7 & 0x7F | 0x80), UInt8(length >> 14)]
    #expect(throws: WireError.self) { try decode([8, 1] + body + epochs) }
  }
}

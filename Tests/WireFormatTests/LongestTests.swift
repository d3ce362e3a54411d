import ParameterServer
import Testing
import WireFormat

/// The longest that may be said and written down can be read.
@Suite struct LongestTests {
  private let name = String(repeating: "n", count: Bounds.nameBytes)

  /// A view of as many members, chunks and shards as there may be, each with the longest name and address.
  private func view() throws -> View {
    let members = Int(Bounds.members)
    let (chunks, shards) = (ChunkTable.maximumChunks, ShardTree.maximumShards)
    let tree = try #require(ShardTree(shards: shards))
    let schedule = try #require(BatchSchedule(samples: 1 << 40, batch: 1 << 40, tree: tree))
    let table = try #require(ChunkTable(elements: 16 * chunks, chunkElements: 16))
    let rules = try #require(
      JobRules(
        schedule: schedule, steps: JobRules.maximumEpochs, chunks: table,
        segments: [JobRules.Segment(firstStep: 0, consistency: .sync)]))
    let each = UInt32(chunks / members)
    let servers = (0..<UInt32(members)).map { index in
      let next = (index + 1) % UInt32(members)
      return View.Server(
        member: Member(.server, index), incarnation: Incarnation(.max), name: name, address: name,
        chunks: Array(index * each..<(index + 1) * each), replicas: Array(next * each..<(next + 1) * each))
    }
    let share = UInt32(shards / members)
    let workers = (0..<UInt32(members)).map { index in
      let nodes = (index * share..<(index + 1) * share).map { ShardNode(level: 0, index: $0) }
      return View.Worker(
        member: Member(.worker, index), incarnation: Incarnation(.max), name: name, nodes: nodes, earlierNodes: nodes)
    }
    return View(
      number: ViewNumber(Bounds.counter), era: .max, origin: .checkpoint(step: rules.steps), isBeginning: true,
      rules: rules, servers: servers, workers: workers, since: rules.steps)
  }

  @Test("A view of as many members, chunks and shards as there may be")
  func largestView() throws {
    let view = try view()
    #expect(view.problem == nil)
    let token = try #require(JobToken([UInt8](repeating: 1, count: JobToken.byteCount)))
    let envelope = Envelope(
      token: token, view: view.number, sender: .coordinator, incarnation: Incarnation(.max), message: .view(view))
    let bytes = WireFormat.encode(envelope)
    #expect(bytes.count <= WireFormat.maximumEnvelopeBytes)
    #expect(try bytes.withUnsafeBytes { try WireFormat.decode($0) } == envelope)
    let record = WireFormat.encode(record: .view(view))
    #expect(try record.withUnsafeBytes { try WireFormat.decode(record: $0) } == .view(view))
  }

  @Test("The totals of as many epochs as there may be")
  func mostEpochs() throws {
    let totals = (0..<UInt32(JobRules.maximumEpochs)).map {
      EpochTotals(epoch: $0, samples: Bounds.count, lossSum: 1e50, correct: Bounds.count)
    }
    let bytes = WireFormat.encode(record: .totals(totals))
    #expect(bytes.count <= WireFormat.maximumRecordBytes)
    #expect(try bytes.withUnsafeBytes { try WireFormat.decode(record: $0) } == .totals(totals))
  }

  @Test("What is said to a person is cut to what is taken, at a character")
  func longTexts() throws {
    let text = String(repeating: "ä💥", count: 10_000)
    let token = try #require(JobToken([UInt8](repeating: 1, count: JobToken.byteCount)))
    for message: Message in [
      .refused(Refusal(.mismatch, text)), .stop(.failed(text)),
      .leaving(Leaving(text: text, isOrderly: false, progress: Progress(steps: 0, shards: 0))),
    ] {
      let envelope = Envelope(
        token: token, view: .none, sender: .coordinator, incarnation: Incarnation(1), message: message)
      let read = try WireFormat.encode(envelope).withUnsafeBytes { try WireFormat.decode($0) }.message
      let taken: String
      switch read {
      case .refused(let refusal): taken = refusal.explanation
      case .stop(.failed(let text, _)): taken = text
      case .leaving(let leaving): taken = leaving.text
      default: taken = ""
      }
      #expect(text.hasPrefix(taken) && taken.utf8.count > 4000 && taken.utf8.count <= 4096)
    }
  }

  @Test("A name or an address that is longer than any, and numbers that no member has, are refused")
  func names() throws {
    let token = try #require(JobToken([UInt8](repeating: 1, count: JobToken.byteCount)))
    func read(_ message: Message, from sender: Member = Member(.worker, 0)) throws {
      let envelope = Envelope(token: token, view: .none, sender: sender, incarnation: Incarnation(1), message: message)
      _ = try WireFormat.encode(envelope).withUnsafeBytes { try WireFormat.decode($0) }
    }
    #expect(throws: Never.self) { try read(.hello(Hello(role: .worker, name: name))) }
    #expect(throws: WireError.self) { try read(.hello(Hello(role: .worker, name: name + "n"))) }
    #expect(throws: Never.self) { try read(.alive, from: Member(.worker, Bounds.members - 1)) }
    #expect(throws: Never.self) { try read(.alive, from: Member(.worker, Member.unassigned)) }
    for number in [Bounds.members, 1 << 31, UInt32.max - 1] {
      #expect(throws: WireError.self) { try read(.alive, from: Member(.worker, number)) }
      #expect(throws: WireError.self) { try read(.welcome(Welcome(member: Member(.worker, number), job: ""))) }
    }
  }
}

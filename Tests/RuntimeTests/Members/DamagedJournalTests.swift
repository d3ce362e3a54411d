import Foundation
import ModelFiles
import ParameterServer
import Runtime
import Testing
import WireFormat

/// Journals whose every checksum is good and whose numbers no coordinator wrote; and what a coordinator does not write.
@Suite struct DamagedJournalTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("convoy-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  private static let rules = JobRules(
    schedule: BatchSchedule(samples: 64, batch: 8, tree: ShardTree(shards: 4)!)!, steps: 24,
    chunks: ChunkTable(elements: 64, chunkElements: 16)!,
    segments: [JobRules.Segment(firstStep: 0, consistency: .async)])!

  private static func view(
    number: UInt64 = 3, era: UInt32 = 1, origin: View.Origin = .initial, since: Int = 0, worker: UInt32 = 0,
    chunks: [UInt32] = [0, 1, 2, 3]
  ) -> View {
    View(
      number: ViewNumber(number), era: era, origin: origin, rules: rules,
      servers: [
        View.Server(member: Member(.server, 0), incarnation: Incarnation(1), name: "", address: "", chunks: chunks)
      ],
      workers: [
        View.Worker(
          member: Member(.worker, worker), incarnation: Incarnation(2), name: "",
          nodes: [ShardNode(level: 2, index: 0)],
          earlierNodes: [ShardNode(level: 2, index: 0)])
      ], since: since)
  }

  private static func leased(_ units: Range<Int>, grant: UInt64 = 1, to member: Member = Member(.worker, 0))
    -> JournalRecord
  {
    .leased(member, Incarnation(2), Leases(grant: grant, units: UnitSet(ranges: [units])!))
  }

  private static func book(
    _ frontier: Int, returned: [Range<Int>] = [], applied: [Range<Int>] = []
  ) -> JournalRecord {
    .leaseBook(
      LeaseStand(frontier: frontier, returned: UnitSet(ranges: returned)!, applied: UnitSet(ranges: applied)!))
  }

  private static func totals(
    _ samples: UInt64, epoch: UInt32 = 0, loss: Double = 0, correct: UInt64 = 0
  ) -> JournalRecord {
    .totals([EpochTotals(epoch: epoch, samples: samples, lossSum: loss, correct: correct)])
  }

  private static func staleness(bins: [UInt64], sum: UInt64, largest: UInt64) -> JournalRecord {
    .totals([], StalenessCounts(bins: bins, sum: sum, largest: largest))
  }

  /// What a coordinator writes: the ends of what it may be.
  static let good: [[JournalRecord]] = [
    [.term(Bounds.counter / 2)], [.view(view(number: Bounds.counter / 2))],
    [.view(view(origin: .checkpoint(step: 24), since: 24))], [.view(view(worker: Bounds.members - 1))],
    [.view(view()), leased(0..<96, grant: Bounds.counter / 2)], [.view(view()), book(96, returned: [0..<96])],
    [totals(Bounds.count, epoch: UInt32.max, loss: 1e50, correct: Bounds.count)],
    [staleness(bins: [Bounds.count], sum: Bounds.counter, largest: Bounds.count)],
    [.view(view()), totals(1, epoch: 2)],
  ]

  /// What none writes.
  static let bad: [[JournalRecord]] = [
    [.term(Bounds.counter / 2 + 1)], [.term(Bounds.counter)], [.term(1 << 63)], [.term(.max)],
    [.view(view(number: Bounds.counter / 2 + 1))], [.view(view(number: .max))], [.view(view(number: 0))],
    [.view(view(era: .max))], [.view(view(era: 0))], [.view(view(origin: .checkpoint(step: 25)))],
    [.view(view(origin: .checkpoint(step: 1 << 57)))], [.view(view(since: 25))], [.view(view(since: 1 << 57))],
    [.view(view(worker: Bounds.members))], [.view(view(worker: .max))], [.view(view(chunks: [0, 1, 2, .max]))],
    [.view(view(chunks: [0, 1]))],
    [leased(0..<4)], [.view(view()), leased(90..<97)], [.view(view()), leased(1 << 56..<1 << 57)],
    [.view(view()), leased(0..<4, grant: .max)], [.view(view()), leased(0..<4, to: Member(.server, 0))],
    [.view(view()), book(97)], [.view(view()), book(1 << 57)], [.view(view()), book(.max)],
    [.view(view()), book(4, returned: [0..<1 << 57])], [.view(view()), book(4, applied: [5..<97])],
    [totals(Bounds.count + 1)], [totals(1 << 58)], [totals(.max)], [totals(4, correct: 5)], [totals(4, loss: .nan)],
    [totals(4, loss: .infinity)], [totals(4, loss: -.infinity)], [totals(0, loss: 1)], [totals(4, loss: 1e300)],
    [.totals([EpochTotals(epoch: 1), EpochTotals(epoch: 1)])], [.view(view()), totals(1, epoch: 3)],
    [.view(view()), totals(1, epoch: .max)],
    [staleness(bins: [1 << 58], sum: 0, largest: 0)], [staleness(bins: [1], sum: .max, largest: 9)],
    [staleness(bins: [1], sum: 10, largest: 9)],
  ]

  /// Writes records as they are, with good checksums.
  private func write(_ records: [JournalRecord]) throws {
    let journal = try Journal(path: folder.appendingPathComponent("journal").path)
    for record in [.term(1), .agreed(fingerprint: "", data: [])] + records {
      try journal.append(WireFormat.encode(record: record), sync: true)
    }
  }

  @Test("A reader takes what a coordinator may write, to its ends", arguments: good)
  func permitted(_ records: [JournalRecord]) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    do {
      let journal = try RunJournal(folder: folder.path)
      for record in records { journal.append(record) }
      journal.settle()
      #expect(journal.failure == nil)
    }
    #expect(try RunJournal(folder: folder.path).records == records)
  }

  @Test(
    "A reader of numbers that no coordinator wrote ends with one line that names the file and the record",
    arguments: bad)
  func refused(_ records: [JournalRecord]) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    try write(records)
    let error = #expect(throws: ConvoyError.self) { _ = try RunJournal(folder: folder.path) }
    #expect(error?.code == .badData)
    let text = try #require(error?.message)
    #expect(text.hasPrefix("\(folder.path)/journal: ") && !text.contains("\n") && text.contains("--resume"))
  }

  @Test("A writer writes nothing that nobody could read, and says so", arguments: bad)
  func unwritten(_ records: [JournalRecord]) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    // Numbers that leave no room to count on can be read, and written by nobody who was not far beyond.
    guard records.count > 1 || JournalCheck.isUnreadable(records[0]) else { return }
    let journal = try RunJournal(folder: folder.path)
    for record in records { journal.append(record) }
    #expect(journal.failure?.contains("a record that nobody could read") == true)
  }
}

extension JournalCheck {
  /// Whether a record is refused for itself, and not for what would follow it.
  static func isUnreadable(_ record: JournalRecord) -> Bool {
    var check = JournalCheck()
    let bytes = WireFormat.encode(record: record)
    return (try? bytes.withUnsafeBytes { try WireFormat.decode(record: $0) }) == nil || check.problem(of: record) != nil
  }
}

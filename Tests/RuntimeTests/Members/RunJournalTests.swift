import Foundation
import ParameterServer
import Runtime
import Testing

/// A coordinator's journal in the run's folder.
@Suite struct RunJournalTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("convoy-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  @Test("A successor finds what was written down, and a torn end is cut off")
  func records() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let records: [JournalRecord] = [
      .term(1), .agreed(fingerprint: "openblas-0.3", data: Array(1...32)), .totals([]), .completed,
    ]
    #expect(!RunJournal.isThere(in: folder.path))
    do {
      let journal = try RunJournal(folder: folder.path)
      #expect(journal.records.isEmpty)
      for record in records { journal.append(record) }
      journal.settle()
    }
    #expect(RunJournal.isThere(in: folder.path))
    #expect(try RunJournal(folder: folder.path).records == records)
    let file = try FileHandle(forWritingTo: folder.appendingPathComponent("journal"))
    try file.seekToEnd()
    try file.write(contentsOf: Data([1, 2, 3]))
    try file.close()
    let again = try RunJournal(folder: folder.path)
    #expect(again.records == records && again.cutBytes == 3)
  }

  @Test("Begun anew, it keeps only how many coordinators there were")
  func reset() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    do {
      let journal = try RunJournal(folder: folder.path)
      for record in [JournalRecord.term(1), .completed, .term(4), .totals([])] { journal.append(record) }
      journal.settle()
    }
    do {
      let journal = try RunJournal(folder: folder.path)
      #expect(try journal.reset(keepsTotals: false) == [.term(4)])
      journal.append(.term(5))
      journal.settle()
    }
    #expect(try RunJournal(folder: folder.path).records == [.term(4), .term(5)])
    do {
      let journal = try RunJournal(folder: folder.path)
      journal.append(.totals([EpochTotals(epoch: 3)]))
    }
    do {
      let journal = try RunJournal(folder: folder.path)
      #expect(try journal.reset(keepsTotals: true) == [.term(5), .totals([EpochTotals(epoch: 3)])])
    }
    #expect(try RunJournal(folder: folder.path).records == [.term(5), .totals([EpochTotals(epoch: 3)])])
  }

  @Test("One that has grown long is written anew, by what a successor needs; the bound follows what it needs")
  func rewritten() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("journal").path
    func size() throws -> Int {
      try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    }
    let kept: [JournalRecord] = [.term(2), .totals([EpochTotals(epoch: 1, samples: 7)])]
    do {
      let journal = try RunJournal(folder: folder.path, bound: 1000)
      journal.append(.term(2))
      #expect(!journal.isLong)
      for _ in 0..<40 { journal.append(kept[1]) }
      #expect(journal.isLong)
      #expect(journal.rewrite([]) == nil)
      #expect(journal.isLong, "nothing stands for what was written")
      #expect(journal.rewrite(kept) == nil)
      #expect(try !journal.isLong && size() < 200)
      journal.append(.completed)
      journal.settle()
    }
    let journal = try RunJournal(folder: folder.path, bound: 10)
    #expect(journal.records == kept + [.completed] && journal.isLong)
    _ = journal.rewrite(kept)
    #expect(try !journal.isLong && size() > 10, "what is needed is longer than the bound")
    for _ in 0..<40 { journal.append(kept[1]) }
    #expect(journal.isLong)
  }
}

import ConvoySimulation
import ParameterServer
import Runtime
import Testing

/// A coordinator's journal on a disk that refuses it for a while.
@Suite struct RunJournalDiskTests {
  private static let records: [JournalRecord] = [.term(2), .agreed(fingerprint: "toy", data: Array(1...32))]
  private static let totals = JournalRecord.totals((0..<100).map { EpochTotals(epoch: $0, samples: 7) })

  private func disk() throws -> SimulatedDisk {
    let disk = SimulatedDisk(seed: 1)
    try disk.makeFolder("/run")
    let journal = try RunJournal(folder: "/run", files: disk)
    for record in Self.records { journal.append(record) }
    journal.settle()
    return disk.endProcess()
  }

  @Test(
    "A full disk leaves the journal as it was; what is written anew when there is room makes up for what is missing")
  func fullDisk() throws {
    let disk = try disk()
    let journal = try RunJournal(folder: "/run", files: disk)
    disk.capacity = 0
    journal.append(Self.totals)
    #expect(journal.failure != nil)
    #expect(journal.rewrite(Self.records + [Self.totals]) != nil && journal.failure != nil)
    journal.append(.completed)
    journal.settle()
    disk.capacity = nil
    // What follows something that is missing is not written either, whatever the disk takes now.
    journal.append(.completed)
    journal.settle()
    let crashed = disk.crash()
    #expect(try RunJournal(folder: "/run", files: crashed).records == Self.records)
  }

  @Test("Written anew after a failure, it is whole again and takes records as before")
  func repaired() throws {
    let disk = try disk()
    let journal = try RunJournal(folder: "/run", files: disk)
    disk.capacity = 0
    journal.append(Self.totals)
    disk.capacity = nil
    #expect(journal.rewrite(Self.records + [Self.totals]) == nil && journal.failure == nil)
    journal.append(.completed)
    journal.settle()
    #expect(try RunJournal(folder: "/run", files: disk.crash()).records == Self.records + [Self.totals, .completed])
  }

  @Test("A sync that fails leaves the journal as it was, and is made up for")
  func failedSync() throws {
    let disk = try disk()
    let journal = try RunJournal(folder: "/run", files: disk)
    journal.append(Self.totals)
    disk.failingSyncs = [disk.operationCount + 1, disk.operationCount]
    journal.settle()
    #expect(journal.failure != nil)
    #expect(journal.rewrite(Self.records + [Self.totals]) == nil && journal.failure == nil)
    #expect(try RunJournal(folder: "/run", files: disk.crash()).records == Self.records + [Self.totals])
  }
}

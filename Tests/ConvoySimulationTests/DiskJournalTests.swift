import ConvoySimulation
import ModelFiles
import Testing

/// The journal on a disk at its worst: every record that was synced, and none that was not appended.
@Suite struct DiskJournalTests {
  static let path = "/run/journal"

  /// What was appended and what was promised, beside the journal.
  struct Ledger {
    /// Every record that was ever handed over, by its number; one that may be overwritten has several texts.
    var appended: [UInt64: [(bytes: [UInt8], isSnapshot: Bool)]] = [:]
    /// The last record that must be there.
    var lasting: UInt64 = 0
    /// The last record of those that a journal was written anew with, by the first.
    var whole: [UInt64: UInt64] = [:]

    /// What is wrong with records that were found; nil for nothing.
    mutating func check(_ records: [Journal.Record]) -> String? {
      for (index, record) in records.enumerated() {
        let known = appended[record.sequence] ?? []
        guard known.contains(where: { $0.bytes == record.bytes && $0.isSnapshot == record.isSnapshot }) else {
          return "record \(record.sequence) was never appended"
        }
        if index > 0, records[index - 1].sequence + 1 != record.sequence { return "a gap before \(record.sequence)" }
      }
      if let first = records.first, first.sequence != 1, !first.isSnapshot { return "the beginning is lost" }
      if let first = records.first, first.isSnapshot, let last = whole[first.sequence],
        records.last?.sequence ?? 0 < last
      {
        return "a journal that was written anew lacks a record"
      }
      let last = records.last?.sequence ?? 0
      if last < lasting { return "record \(lasting) was synced, the last one is \(last)" }
      // What was found is what the next process goes on from: it made it last.
      lasting = last
      for record in records { appended[record.sequence] = [(record.bytes, record.isSnapshot)] }
      appended = appended.filter { $0.key <= last }
      return nil
    }
  }

  /// Opens the journal, checks it, and appends, syncs and compacts at random until an error or the end.
  private static func run(
    _ disk: SimulatedDisk, _ ledger: inout Ledger, _ random: inout SeededStream, calls: Int, fault: CheckpointFault?
  ) throws -> String? {
    let opened = Result { () throws(ModelFileError) in try Journal(path: path, files: disk) }
    if case .failure(let error) = opened, error.kind == .damaged { return "\(error)" }
    let journal = try opened.get()
    journal.fault = fault
    if let problem = ledger.check(journal.openingRecords) { return problem }
    for _ in 0..<calls {
      let bytes = [UInt8](
        repeating: UInt8.random(in: 0...255, using: &random), count: Int.random(in: 0...1400, using: &random))
      let number = journal.nextSequence
      let isSnapshot = Int.random(in: 0..<8, using: &random) == 0
      // A journal that is written anew is so with a few records, which are found together or not at all.
      let records = isSnapshot ? [bytes] + (0..<Int.random(in: 0...3, using: &random)).map { [UInt8($0)] } : [bytes]
      for (index, bytes) in records.enumerated() {
        ledger.appended[number + UInt64(index), default: []].append((bytes, isSnapshot && index == 0))
      }
      do {
        if isSnapshot {
          ledger.whole[number] = number + UInt64(records.count) - 1
          try journal.compact(records)
          ledger.lasting = number + UInt64(records.count) - 1
        } else {
          let sync = Bool.random(using: &random)
          try journal.append(bytes, sync: sync)
          if sync { ledger.lasting = number }
        }
      } catch {
        // A disk that is full, or a sync that failed: the journal says so until it is compacted.
        if disk.crashedIn != nil { throw error }
      }
    }
    return nil
  }

  /// A life of several crashes, each at a call of its own; what was wrong.
  private static func life(
    seed: UInt64, firstCrash: Int, fault: CheckpointFault? = nil, failing: Bool = false
  ) throws -> (problem: String?, crashedIn: SimulatedDisk.Operation?) {
    var random = SeededStream(seed: seed, purpose: "journal")
    var ledger = Ledger()
    var disk = SimulatedDisk(seed: seed &* 1000 &+ UInt64(firstCrash))
    try disk.makeFolders("/run")
    var crashedIn: SimulatedDisk.Operation?
    for round in 0..<3 {
      disk.crashesAtOperation = disk.operationCount + (round == 0 ? firstCrash : Int.random(in: 1...40, using: &random))
      if failing {
        for _ in 0..<2 { disk.failingSyncs.insert(disk.operationCount + Int.random(in: 1...30, using: &random)) }
      }
      do {
        if let problem = try run(disk, &ledger, &random, calls: 12, fault: fault) { return (problem, crashedIn) }
      } catch is ModelFileError {}
      if round == 0 { crashedIn = disk.crashedIn }
      disk = failing && Bool.random(using: &random) ? disk.endProcess() : disk.crash()
    }
    let problem = try run(disk, &ledger, &random, calls: 0, fault: nil)
    return (problem, crashedIn)
  }

  @Test("A crash at every call keeps every synced record and invents none; two more crashes follow")
  func crashes() throws {
    var crashes: [SimulatedDisk.Operation: Int] = [:]
    for seed in 0..<5 as Range<UInt64> {
      for number in 1...60 {
        let result = try Self.life(seed: seed, firstCrash: number)
        #expect(result.problem == nil, "seed \(seed), call \(number)")
        if let crashedIn = result.crashedIn { crashes[crashedIn, default: 0] += 1 }
      }
    }
    for kind in [.create, .write, .sync, .rename, .syncFolder] as [SimulatedDisk.Operation] {
      #expect(crashes[kind, default: 0] > 0, "never crashed in \(kind)")
    }
  }

  @Test("Syncs that fail break no promise, whether the process or the machine ends after them")
  func failingSyncs() throws {
    for seed in 0..<4 as Range<UInt64> {
      for number in 1...60 {
        let problem = try Self.life(seed: seed, firstCrash: number, failing: true).problem
        #expect(problem == nil, "seed \(seed), call \(number)")
      }
    }
  }

  @Test("Each planted fault is found", arguments: [CheckpointFault.noFileSync, .noFolderSync, .noRename])
  func faults(fault: CheckpointFault) throws {
    var problems: [String] = []
    for seed in 0..<2 as Range<UInt64> {
      for number in 1...60 {
        if let problem = try Self.life(seed: seed, firstCrash: number, fault: fault).problem {
          problems.append(problem)
        }
      }
    }
    #expect(!problems.isEmpty)
  }

  @Test("A full disk refuses a record and takes the next that fits; after a failed sync only a new journal helps")
  func trouble() throws {
    let disk = SimulatedDisk(seed: 4)
    try disk.makeFolders("/run")
    let journal = try Journal(path: Self.path, files: disk)
    try journal.append([1], sync: true)
    disk.capacity = 16 + 41 + 60
    let error = #expect(throws: ModelFileError.self) {
      try journal.append([UInt8](repeating: 2, count: 100), sync: true)
    }
    #expect(error?.kind == .diskFull)
    #expect(try journal.append([3], sync: true) == 2)
    disk.capacity = nil
    disk.failingSyncs = [disk.operationCount + 2]
    #expect(throws: ModelFileError.self) { try journal.append([4], sync: true) }
    let refused = #expect(throws: ModelFileError.self) { try journal.append([5], sync: false) }
    #expect(refused?.problem.hasPrefix("it takes no more records until it is written anew") == true)
    try journal.compact([[6], [8]])
    try journal.append([7], sync: true)
    let next = try Journal(path: Self.path, files: disk.crash())
    #expect(next.openingRecords.map(\.bytes) == [[6], [8], [7]])
  }
}

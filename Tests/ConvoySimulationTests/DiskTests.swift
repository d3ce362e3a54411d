import ConvoySimulation
import ModelFiles
import Testing

/// The simulated disk itself: what it may do, it does for some seed; what it must not, for none.
@Suite struct DiskTests {
  static let seeds: Range<UInt64> = 0..<200

  static func write(_ count: Int, _ byte: UInt8, to file: OpenFile, _ disk: SimulatedDisk) throws {
    let bytes = [UInt8](repeating: byte, count: count)
    try bytes.withUnsafeBytes { try disk.write($0, to: file) }
  }

  /// What is left of a file of 1024 synced bytes of 1 and 1024 unsynced of 2, for every seed.
  private func leftOvers(_ body: (SimulatedDisk, OpenFile) throws -> Void = { _, _ in }) throws -> Set<[UInt8]> {
    var found: Set<[UInt8]> = []
    for seed in Self.seeds {
      let disk = SimulatedDisk(seed: seed)
      let file = try disk.create("/file", mode: 0o644)
      try Self.write(1024, 1, to: file, disk)
      try disk.sync(file)
      try disk.syncFolder("/")
      try Self.write(1024, 2, to: file, disk)
      try body(disk, file)
      found.insert(try disk.crash().bytes(of: "/file"))
    }
    return found
  }

  @Test("Unsynced bytes are lost, kept or torn at a crash; synced ones never change")
  func tearing() throws {
    let synced = [UInt8](repeating: 1, count: 1024)
    let all = try leftOvers()
    #expect(all.allSatisfy { $0.starts(with: synced) })
    #expect(all.contains(synced) && all.contains(synced + [UInt8](repeating: 2, count: 1024)))
    let lastOnly = synced + [UInt8](repeating: 0, count: 512) + [UInt8](repeating: 2, count: 512)
    #expect(all.contains(lastOnly), "the later sector without the earlier")
    #expect(all.contains { $0.count > 1024 && $0.count % 512 != 0 }, "a cut within a sector")
    #expect(try leftOvers { try $0.sync($1) }.count == 1)
  }

  @Test("After a sync that failed, one that succeeds does not bring back what was written before")
  func failedSync() throws {
    let found = try leftOvers { disk, file in
      disk.failingSyncs = [disk.operationCount + 1]
      #expect(throws: ModelFileError.self) { try disk.sync(file) }
      try disk.sync(file)
    }
    #expect(found.contains([UInt8](repeating: 1, count: 1024)))
    #expect(found.count > 3)
  }

  @Test("Names last with their folder's sync, and not before; each for itself")
  func names() throws {
    var found: Set<[String]> = []
    for seed in Self.seeds {
      let disk = SimulatedDisk(seed: seed)
      try disk.makeFolder("/a")
      try disk.syncFolder("/")
      for name in ["1", "2"] { try disk.close(try disk.create("/a/\(name)", mode: 0o644)) }
      try disk.rename("/a/2", to: "/a/3")
      found.insert(try disk.crash().list("/a"))
    }
    #expect(found.isSuperset(of: [[], ["1"], ["2"], ["3"], ["1", "3"]]))
    let disk = SimulatedDisk(seed: 1)
    try disk.close(try disk.create("/1", mode: 0o644))
    try disk.syncFolder("/")
    #expect(try disk.crash().list("/") == ["1"])
  }

  @Test("A process that ends loses nothing but its locks")
  func process() throws {
    let disk = SimulatedDisk(seed: 1)
    _ = try disk.lock("/lock")
    #expect(throws: ModelFileError.self) { _ = try disk.lock("/lock") }
    let file = try disk.create("/file", mode: 0o644)
    try Self.write(10, 3, to: file, disk)
    let next = disk.endProcess()
    #expect(try next.bytes(of: "/file").count == 10)
    _ = try next.lock("/lock")
    #expect(throws: ModelFileError.self) { try disk.sync(file) }
  }

  @Test("A full disk takes what it has room for; the same seed does the same")
  func full() throws {
    let disk = SimulatedDisk(seed: 1)
    disk.capacity = 100
    let file = try disk.create("/file", mode: 0o644)
    let error = #expect(throws: ModelFileError.self) { try Self.write(150, 1, to: file, disk) }
    #expect(error?.kind == .diskFull)
    #expect(try disk.bytes(of: "/file").count == 100)
    #expect(try leftOvers() == leftOvers())
  }
}

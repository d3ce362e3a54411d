import Glibc
import ModelFiles
import Tensors
import Testing

@Suite struct JournalTests {
  private let folder = TemporaryFolder()
  private var path: String { "\(folder.path)/journal" }

  private func open() throws -> Journal { try Journal(path: path) }

  private func filled() throws {
    let journal = try open()
    try journal.append([1, 2, 3], sync: true)
    try journal.append([], sync: true)
    try journal.append([UInt8](repeating: 9, count: 50), sync: true)
  }

  @Test("Records are found again in order, and numbers go on")
  func roundTrip() throws {
    try filled()
    let journal = try open()
    #expect(journal.openingRecords.map(\.bytes) == [[1, 2, 3], [], [UInt8](repeating: 9, count: 50)])
    #expect(journal.openingRecords.map(\.sequence) == [1, 2, 3])
    #expect(journal.cutBytes == 0)
    #expect(try journal.append([4], sync: false) == 4)
    journal.forgetOpeningRecords()
    #expect(journal.openingRecords.isEmpty)
  }

  @Test("A snapshot stands for all before it")
  func compaction() throws {
    try filled()
    do {
      let journal = try open()
      #expect(try journal.compact([[7, 7]]) == 4)
      try journal.append([8], sync: true)
    }
    let journal = try open()
    #expect(journal.openingRecords.map(\.bytes) == [[7, 7], [8]])
    #expect(journal.openingRecords.map(\.isSnapshot) == [true, false])
    #expect(journal.openingRecords.map(\.sequence) == [4, 5])
    #expect(folder.names == ["journal", "journal.lock"])
  }

  @Test("A second owner is refused with the number of the first's process; the lock goes with its owner")
  func lock() throws {
    var journal: Journal? = try open()
    let error = #expect(throws: ModelFileError.self) { _ = try open() }
    #expect(error?.kind == .inUse && error?.path == "\(path).lock")
    #expect(error?.problem.hasPrefix("process \(getpid()) has it") == true)
    #expect(journal != nil)
    journal = nil
    _ = try open()
  }

  @Test("Every cut of the end leaves the whole records before it")
  func cuts() throws {
    try filled()
    let bytes = folder.read("journal")
    let ends = [16, 59, 99, 189]
    #expect(bytes.count == ends[3])
    for count in 16...bytes.count {
      _ = folder.write("journal", Array(bytes[..<count]))
      let journal = try open()
      let whole = ends.count { $0 <= count } - 1
      #expect(journal.openingRecords.count == whole)
      #expect(journal.cutBytes == count - ends[whole])
      if count % 10 == 0 { try journal.append([5], sync: true) }
    }
    for count in 0..<16 {
      _ = folder.write("journal", Array(bytes[..<count]))
      #expect(throws: ModelFileError.self) { _ = try open() }
    }
  }

  @Test("A bit that turns over in any byte before the last record is an error with the offset; in the last it is cut")
  func flips() throws {
    try filled()
    let bytes = folder.read("journal")
    for bit in bytes.indices.map({ $0 * 8 + $0 % 8 }) {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      _ = folder.write("journal", damaged)
      switch bit / 8 {
      case ..<16: #expect(throws: ModelFileError.self) { _ = try open() }
      case ..<99:
        let error = #expect(throws: ModelFileError.self) { _ = try open() }
        #expect(error?.problem.hasPrefix("the record at byte \(bit / 8 < 59 ? 16 : 59) is damaged") == true)
        #expect(folder.read("journal") == damaged)
      default:
        let journal = try open()
        #expect(journal.openingRecords.count == 2 && journal.cutBytes == 90)
      }
    }
  }

  @Test("A record's length is believed only as far as the file goes")
  func length() throws {
    try filled()
    var bytes = Array(folder.read("journal")[..<59])
    for index in 24..<32 { bytes[index] = 255 }
    _ = folder.write("journal", bytes)
    #expect(try open().openingRecords.isEmpty)
  }

  @Test(
    "A number that no journal comes to is an error with the offset, however good its checksums",
    arguments: [Journal.largestSequence + 1, 1 << 63, .max - 1, .max])
  func sequence(_ number: UInt64) throws {
    try filled()
    var bytes = Array(folder.read("journal")[..<59])
    func put(_ number: UInt64, _ count: Int, at index: Int) {
      for byte in 0..<count { bytes[index + byte] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(byte))) }
    }
    // The record's own number, and the checksum of its head and its place.
    put(number, 8, at: 32)
    let place: [UInt8] = [16, 0, 0, 0, 0, 0, 0, 0]
    put(UInt64(CRC32C.checksum(of: Array(bytes[16..<52]) + place)), 4, at: 52)
    _ = folder.write("journal", bytes)
    let error = #expect(throws: ModelFileError.self) { _ = try open() }
    #expect(error?.problem.hasPrefix("the record at byte 16 has the number \(number)") == true)
  }

  @Test("The largest number is gone on from")
  func largestSequence() throws {
    try filled()
    var bytes = Array(folder.read("journal")[..<59])
    func put(_ number: UInt64, _ count: Int, at index: Int) {
      for byte in 0..<count { bytes[index + byte] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(byte))) }
    }
    put(Journal.largestSequence, 8, at: 32)
    put(UInt64(CRC32C.checksum(of: Array(bytes[16..<52]) + [16, 0, 0, 0, 0, 0, 0, 0])), 4, at: 52)
    _ = folder.write("journal", bytes)
    let journal = try open()
    #expect(try journal.append([1], sync: true) == Journal.largestSequence + 1)
    #expect(try journal.compact([[2]]) == Journal.largestSequence + 2)
  }

  @Test("A journal of a newer format is refused as such")
  func newerFormat() throws {
    try filled()
    var bytes = folder.read("journal")
    bytes[8] = 2
    let checksum = CRC32C.checksum(of: Array(bytes[..<12]))
    for index in 0..<4 { bytes[12 + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(index))) }
    _ = folder.write("journal", bytes)
    let error = #expect(throws: ModelFileError.self) { _ = try open() }
    #expect(error?.kind == .newerFormat)
  }
}

import Tensors

/// What a journal's file holds: the good records from its beginning, and where they end.
struct JournalScan {
  let records: [Journal.Record]
  /// The index after the last good record.
  let end: Int
  /// The file's bytes.
  let size: Int

  /// Bytes that are looked through at a time for a record behind a bad one.
  private static let windowBytes = 1 << 20

  /// Reads all good records; what is bad before a record that proves it to have lasted is an error.
  init(_ file: OpenFile, _ files: any FileSystem) throws(ModelFileError) {
    size = try files.size(of: file)
    guard size >= JournalFormat.headBytes else {
      throw ModelFileError(path: file.path, problem: "\(size) bytes are no journal: it is cut short", kind: .damaged)
    }
    try JournalFormat.check(head: Self.read(JournalFormat.headBytes, at: 0, file, files), file.path)
    var records: [Journal.Record] = []
    var offset = JournalFormat.headBytes
    while let record = try Self.record(at: offset, size: size, after: records.last, file, files) {
      records.append(record)
      offset += JournalFormat.RecordHead.byteCount + record.bytes.count
    }
    if offset < size, let witness = try Self.witness(that: offset, lastedIn: file, size: size, files) {
      throw ModelFileError(
        path: file.path,
        problem:
          "the record at byte \(offset) is damaged: the one at byte \(witness) was written when it was good. Bring back a copy of the file, or go on from a checkpoint",
        kind: .damaged)
    }
    self.records = records
    end = offset
  }

  private static func read(
    _ count: Int, at offset: Int, _ file: OpenFile, _ files: any FileSystem
  ) throws(ModelFileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withUnsafeMutableBufferPointer { buffer throws(ModelFileError) in
      try files.read(file, at: offset, into: UnsafeMutableRawBufferPointer(buffer))
    }
    return bytes
  }

  /// The good record at an offset, or nil.
  private static func record(
    at offset: Int, size: Int, after last: Journal.Record?, _ file: OpenFile, _ files: any FileSystem
  ) throws(ModelFileError) -> Journal.Record? {
    let headBytes = JournalFormat.RecordHead.byteCount
    guard size - offset >= headBytes,
      let head = JournalFormat.RecordHead(try read(headBytes, at: offset, file, files), at: offset),
      // Before memory is taken.
      head.length <= UInt64(size - offset - headBytes), head.length <= UInt64(Journal.maximumRecordBytes)
    else { return nil }
    if let last, head.sequence != last.sequence &+ 1 { return nil }
    guard head.sequence <= Journal.largestSequence else {
      throw ModelFileError(
        path: file.path,
        problem: "the record at byte \(offset) has the number \(head.sequence): no journal has so many", kind: .damaged)
    }
    let bytes = try read(Int(head.length), at: offset + headBytes, file, files)
    guard CRC32C.checksum(of: bytes) == head.checksum else { return nil }
    return Journal.Record(sequence: head.sequence, isSnapshot: head.isSnapshot, bytes: bytes)
  }

  /// The place of a record that was written when the byte at `offset` was known to last, or nil.
  private static func witness(
    that offset: Int, lastedIn file: OpenFile, size: Int, _ files: any FileSystem
  ) throws(ModelFileError) -> Int? {
    let headBytes = JournalFormat.RecordHead.byteCount
    var start = offset + 1
    while start + headBytes <= size {
      let window = try read(min(windowBytes, size - start), at: start, file, files)
      for index in 0...window.count - headBytes where window[index] == UInt8(ascii: "C") {
        guard let head = JournalFormat.RecordHead(window, from: index, at: start + index) else { continue }
        if head.lasting > UInt64(offset) { return start + index }
      }
      start += window.count - headBytes + 1
    }
    return nil
  }
}

/// An append-only file of records that survives a crash at any moment, with one owner.
///
/// What was appended with `sync` lasts. What was not may be lost, from some record on to the end: never a record in the
/// middle, and none that was not appended. Used by one thread at a time.
package final class Journal {
  /// A record.
  package struct Record: Hashable, Sendable {
    /// Its number: one more than that of the record before it.
    package let sequence: UInt64
    /// Whether it stands for all records before it.
    package let isSnapshot: Bool
    /// Its bytes.
    package let bytes: [UInt8]
  }

  /// Most bytes of a record.
  package static let maximumRecordBytes = 1 << 30
  /// The largest number of a record that is gone on from: nobody counts so far, and the next still have theirs.
  package static let largestSequence: UInt64 = 1 << 62

  /// The file.
  package let path: String
  /// The records that were found when it was opened.
  package private(set) var openingRecords: [Record]
  /// Bytes of a torn tail that were cut off when it was opened.
  package let cutBytes: Int
  /// The number of the record that is appended next.
  package private(set) var nextSequence: UInt64
  /// A mistake made on purpose; only the simulator's own tests set it.
  package var fault: CheckpointFault?

  private let files: any FileSystem
  private let lock: OpenFile
  private var file: OpenFile
  /// Where the next record goes, and up to where all is known to last.
  private var end: Int
  private var lasting: Int
  /// Why nothing more can be appended, until the journal is compacted.
  private var failure: ModelFileError?

  /// Opens a journal, or makes an empty one, and keeps it for this process: `PATH.lock` says who has it.
  ///
  /// A record at the end that is cut short or damaged is what a crash leaves: it is cut off. Damage before records that
  /// were written when what is damaged did last is an error that names the offset. The error's kind is `inUse` where
  /// another process has it.
  package init(path: String, files: any FileSystem = RealFileSystem.shared) throws(ModelFileError) {
    let lock = try files.lock("\(path).lock")
    var opened: OpenFile?
    do throws(ModelFileError) {
      try files.removeIfThere("\(Path.folder(of: path))/\(Self.temporary(path))")
      let (file, isNew) = try Self.open(path, files)
      opened = file
      let found = try JournalScan(file, files)
      self.file = isNew ? file : try Self.copy(file, upTo: found.end, path, files)
      if !isNew { try? files.close(file) }
      openingRecords = found.records
      cutBytes = found.size - found.end
      nextSequence = found.records.last.map { $0.sequence + 1 } ?? 1
      end = found.end
      lasting = end
    } catch {
      if let opened { try? files.close(opened) }
      try? files.close(lock)
      throw error
    }
    self.path = path
    self.files = files
    self.lock = lock
  }

  deinit {
    try? files.close(file)
    try? files.close(lock)
  }

  private static func temporary(_ path: String) -> String { ".\(Path.name(of: path)).tmp" }

  /// Opens the file, or makes it with its head at once, so that one without is damaged.
  private static func open(
    _ path: String, _ files: any FileSystem
  ) throws(ModelFileError) -> (file: OpenFile, isNew: Bool) {
    do throws(ModelFileError) {
      return (try files.open(path, for: .appending), false)
    } catch  where error.kind == .missing {
      let head = JournalFormat.head()
      let file = try AtomicFile.write(path: path, temporary: temporary(path), files: files) {
        write throws(ModelFileError) in
        try head.withUnsafeBufferPointer { head throws(ModelFileError) in try write(UnsafeRawBufferPointer(head)) }
      }
      return (file, true)
    }
  }

  /// Writes the good part of a journal anew. What is read, and the file's name itself, may be memory of the machine that no
  /// sync of this process would write: the process before may have ended because a sync failed.
  private static func copy(
    _ file: OpenFile, upTo end: Int, _ path: String, _ files: any FileSystem
  ) throws(ModelFileError) -> OpenFile {
    try AtomicFile.write(path: path, temporary: temporary(path), files: files) { write throws(ModelFileError) in
      var piece = [UInt8](repeating: 0, count: min(end, 1 << 20))
      var offset = 0
      while offset < end {
        let count = min(piece.count, end - offset)
        try piece.withUnsafeMutableBufferPointer { buffer throws(ModelFileError) in
          let part = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count])
          try files.read(file, at: offset, into: part)
          try write(UnsafeRawBufferPointer(part))
        }
        offset += count
      }
    }
  }

  /// Appends a record and returns its number; with `sync` it lasts when this returns, with all before it.
  ///
  /// When it throws, the record may or may not be found at the next opening. After a write that failed, as on a full disk,
  /// the next may go through; after a sync that failed all are refused until `compact` has written the journal anew.
  @discardableResult
  package func append(_ bytes: [UInt8], sync: Bool) throws(ModelFileError) -> UInt64 {
    precondition(bytes.count <= Self.maximumRecordBytes, "a record of \(bytes.count) bytes")
    if let failure { throw failure }
    let head = JournalFormat.RecordHead(isSnapshot: false, sequence: nextSequence, lasting: lasting, bytes: bytes)
    let whole = head.encoded(at: end) + bytes
    do throws(ModelFileError) {
      try whole.withUnsafeBufferPointer { whole throws(ModelFileError) in
        try files.write(UnsafeRawBufferPointer(whole), to: file)
      }
    } catch {
      do throws(ModelFileError) { try files.truncate(file, to: end) } catch { fail(error) }
      throw error
    }
    end += whole.count
    nextSequence += 1
    if sync { try self.sync() }
    return nextSequence - 1
  }

  /// Makes all records last.
  package func sync() throws(ModelFileError) {
    if let failure { throw failure }
    if lasting == end { return }
    do throws(ModelFileError) {
      if fault != .noFileSync { try files.sync(file) }
    } catch {
      // A second sync that succeeds would prove nothing: what was not written may be forgotten by now.
      fail(error)
      throw error
    }
    lasting = end
  }

  /// Bytes of the file.
  package var size: Int { end }

  /// Replaces all records by some that stand for them, and returns the number of the last: the first is marked as a
  /// snapshot, and all are found or none. They last when this returns.
  ///
  /// When it throws before the new file is in place, the journal is as it was.
  @discardableResult
  package func compact(_ records: [[UInt8]]) throws(ModelFileError) -> UInt64 {
    precondition(!records.isEmpty, "a journal of nothing stands for no records")
    var whole = JournalFormat.head()
    for (index, bytes) in records.enumerated() {
      precondition(bytes.count <= Self.maximumRecordBytes, "a record of \(bytes.count) bytes")
      let head = JournalFormat.RecordHead(
        isSnapshot: index == 0, sequence: nextSequence + UInt64(index), lasting: 0, bytes: bytes)
      whole += head.encoded(at: whole.count) + bytes
    }
    var omission: AtomicFile.Omission = .folderSync
    if fault == .noFileSync { omission.insert(.fileSync) }
    if fault == .noRename { omission.insert(.rename) }
    let new = try AtomicFile.write(path: path, temporary: Self.temporary(path), files: files, omitting: omission) {
      write throws(ModelFileError) in
      try whole.withUnsafeBufferPointer { whole throws(ModelFileError) in try write(UnsafeRawBufferPointer(whole)) }
    }
    try? files.close(file)
    file = new
    end = whole.count
    lasting = end
    failure = nil
    nextSequence += UInt64(records.count)
    do throws(ModelFileError) {
      if fault != .noFolderSync { try files.syncFolder(Path.folder(of: path)) }
    } catch {
      // The old journal may come back after a crash: nothing may be promised on top of the new one.
      fail(error)
      throw error
    }
    return nextSequence - 1
  }

  /// Forgets the records that were found at opening, to free their memory.
  package func forgetOpeningRecords() { openingRecords = [] }

  private func fail(_ error: ModelFileError) {
    failure = ModelFileError(
      path: path,
      problem: "it takes no more records until it is written anew, for an earlier call failed: \(error.problem)",
      kind: error.kind)
  }
}

import Foundation
package import ModelFiles
package import ParameterServer
import WireFormat

/// The journal of a run's coordinator: the file `journal` in the run's folder.
package final class RunJournal {
  private let journal: Journal
  private let path: String
  private var isDirty = false
  /// What was written so far, as whoever reads it checks it.
  private var check = JournalCheck()
  /// Bytes from which on it is written anew.
  private var bound: Int
  private let leastBound: Int
  /// Why the newest records are not in the file; nil where they are. The file is as it was before them.
  package private(set) var failure: String?

  /// What the predecessor wrote down, in order.
  package let records: [JournalRecord]
  /// Bytes of a torn end that were cut off.
  package var cutBytes: Int { journal.cutBytes }

  /// Bytes that a journal may have, unless all that a successor needs is more than half of it.
  package static let defaultBound = 1 << 20

  /// Opens the journal of a run's folder, making it where it is not there.
  ///
  /// - Parameters:
  ///   - bound: bytes from which on `isLong`.
  ///   - files: what it is kept on.
  package init(
    folder: String, bound: Int = defaultBound, files: any FileSystem = RealFileSystem.shared
  ) throws(ConvoyError) {
    path = "\(folder)/journal"
    self.bound = bound
    leastBound = bound
    do throws(ModelFileError) {
      journal = try Journal(path: path, files: files)
    } catch {
      throw ConvoyError(error.kind == .inUse ? .refused : .badData, error.description)
    }
    var records: [JournalRecord] = []
    let path = path
    func damaged(_ problem: String) -> ConvoyError {
      ConvoyError(.badData, "\(path): \(problem); start a new run with --resume \(folder)")
    }
    for record in journal.openingRecords {
      do throws(WireError) {
        records.append(try Self.read(record.bytes, &check))
      } catch {
        throw damaged("record \(record.sequence) cannot be read: \(error)")
      }
    }
    if let problem = check.problem { throw damaged(problem) }
    self.records = records
    journal.forgetOpeningRecords()
  }

  /// Whether a folder has a journal.
  package static func isThere(in folder: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(folder)/journal")
  }

  /// Begins anew, keeping only how many coordinators there were, and what the workers had computed: for a job whose members
  /// are gone, or have other settings now, and that goes on from a checkpoint.
  ///
  /// - Parameter keepsTotals: whether what was computed counts: there is a checkpoint.
  package func reset(keepsTotals: Bool) throws(ConvoyError) -> [JournalRecord] {
    let term: UInt64 = records.reduce(0) { if case .term(let term) = $1 { max($0, term) } else { $0 } }
    do throws(ModelFileError) {
      check = JournalCheck()
      try journal.compact([try bytes(of: .term(term))])
    } catch {
      throw ConvoyError(.failed, error.description)
    }
    let totals = records.last { if case .totals = $0 { true } else { false } }
    guard keepsTotals, let totals else { return [.term(term)] }
    append(totals)
    settle()
    return [.term(term), totals]
  }

  /// Writes a record down; it lasts after the next `settle`. Where one could not be written, none that follows is, so that
  /// the file has no hole; `rewrite` makes up for all of them.
  package func append(_ record: JournalRecord) {
    guard failure == nil else { return }
    do throws(ModelFileError) {
      try journal.append(try bytes(of: record), sync: false)
      isDirty = true
    } catch {
      failure = error.description
    }
  }

  /// Makes what was written down last, before anybody is told what follows from it.
  package func settle() {
    guard isDirty else { return }
    isDirty = false
    do throws(ModelFileError) { try journal.sync() } catch { failure = error.description }
  }

  /// Whether it has grown so long that it should be written anew.
  package var isLong: Bool { failure == nil && journal.size > bound }

  /// Writes the journal anew: these records stand for all before. They last when this returns. Where the disk has no room
  /// for both, the journal stays as it is until it has grown further.
  ///
  /// - Returns: why it was not written anew; nil where it was.
  package func rewrite(_ records: [JournalRecord]) -> String? {
    guard !records.isEmpty else { return nil }
    var problem: String?
    let before = check
    do throws(ModelFileError) {
      check = JournalCheck()
      var bytes: [[UInt8]] = []
      for record in records { bytes.append(try self.bytes(of: record)) }
      try journal.compact(bytes)
      isDirty = false
      failure = nil
    } catch {
      check = before
      problem = error.description
    }
    bound = max(leastBound, 2 * journal.size)
    return problem
  }

  /// A record's bytes, once it is known that they can be read.
  private func bytes(of record: JournalRecord) throws(ModelFileError) -> [UInt8] {
    let bytes = WireFormat.encode(record: record)
    do throws(WireError) {
      _ = try Self.read(bytes, &check)
    } catch {
      throw ModelFileError(path: path, problem: "a record that nobody could read is not written: \(error)")
    }
    return bytes
  }

  /// Reads a record that follows those which were checked before.
  private static func read(_ bytes: [UInt8], _ check: inout JournalCheck) throws(WireError) -> JournalRecord {
    let record = try bytes.withUnsafeBufferPointer { bytes throws(WireError) in
      try WireFormat.decode(record: UnsafeRawBufferPointer(bytes))
    }
    if let problem = check.problem(of: record) { throw .field("record", problem) }
    return record
  }
}

import Foundation
import Glibc
import ModelFiles
import Synchronization

/// A command's hold on the folder of the run that it begins: made by it alone, and taken away again where nothing was done.
///
/// A start that fails before the first step leaves nothing, so that the same command can be given again. Only what this
/// command made is removed, and only by name: what anybody else put there stays, and the folder with it.
package final class RunClaim: Sendable {
  /// The run's folder.
  package let path: String
  /// Folders that were made for it, innermost first.
  private let made: [String]
  /// The folder, locked for as long as the command lives; -1 where it cannot be locked.
  private let descriptor: Int32
  private let isNew: Bool
  private let isKept = Atomic(false)

  /// What a run's processes make in its folder before the first step. Of `checkpoints` there is then no more than a copy
  /// of what the job was to go on from.
  private static let names = [
    "job.yaml", "resume.yaml", "launch", "metrics.jsonl", "journal", "journal.lock", "best.json", "token",
    RunFolder.addressName, RunFolder.keysName, "logs", CheckpointStore.folderName,
  ]

  private init(path: String, made: [String], descriptor: Int32, isNew: Bool) {
    (self.path, self.made, self.descriptor, self.isNew) = (path, made, descriptor, isNew)
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  /// Takes a folder for a new run, which must be empty or not be there; or the run that is gone on with, as it is.
  package static func take(_ path: String, resuming resume: String? = nil) throws(ConvoyError) -> RunClaim {
    let path = trimmed(path)
    try RunFolder.requireFree(path, resuming: resume)
    if let claim = try existing(path) { return claim }
    let made = try make(path)
    var descriptor: Int32 = -1
    do throws(ConvoyError) {
      descriptor = try lock(path)
      // Another command may have come between.
      try RunFolder.requireEmpty(path)
    } catch {
      if descriptor >= 0 { close(descriptor) }
      // Those in which somebody else has made something stay.
      for folder in made where rmdir(folder) != 0 { break }
      throw error
    }
    return RunClaim(path: path, made: made, descriptor: descriptor, isNew: true)
  }

  /// Takes the folder of a run that is gone on with, as it is; nil where there is none, or nothing in it. A run that another
  /// process has is refused.
  package static func existing(_ path: String) throws(ConvoyError) -> RunClaim? {
    let path = trimmed(path)
    guard try !isEmpty(path) else { return nil }
    let claim = RunClaim(path: path, made: [], descriptor: try lock(path), isNew: false)
    // A coordinator whose launcher is gone leaves soon; and where folders cannot be locked its journal is.
    let deadline = MonotonicClock.seconds + leavingSeconds
    while let holder = journalHolder(path) {
      guard MonotonicClock.seconds < deadline else { throw inUse(path, by: holder) }
      usleep(20_000)
    }
    return claim
  }

  /// Seconds that a coordinator has to leave whose launcher is gone.
  private static let leavingSeconds = 5.0

  /// The process that has a run's journal; nil where none has.
  private static func journalHolder(_ path: String) -> String? {
    let descriptor = open("\(path)/journal.lock", O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK else { return nil }
    let text = FileManager.default.contents(atPath: "\(path)/journal.lock").map { String(decoding: $0, as: UTF8.self) }
    return text.flatMap { Int($0.prefix { $0 != "\n" }) }.map { "process \($0)" } ?? "another process"
  }

  private static func inUse(_ path: String, by holder: String) -> ConvoyError {
    ConvoyError(
      .refused, "the run folder \(path) is in use: \(holder) has it: stop that one first, or name another folder")
  }

  /// Makes a folder that was not there: one of this name, or where that is another run's of this name and a number.
  package static func takeNext(_ base: String) throws(ConvoyError) -> RunClaim {
    var (path, number) = (base, 2)
    while true {
      let made = try make(path)
      if made.first == path {
        return RunClaim(path: path, made: made, descriptor: try lock(path), isNew: true)
      }
      path = "\(base)-\(number)"
      number += 1
    }
  }

  /// Follows what a job tells: once training has begun the run is worth keeping, whatever becomes of it.
  package func follow(_ event: JobEvent) {
    switch event {
    case .started, .progress, .finished: isKept.store(true, ordering: .relaxed)
    case .listening, .waiting, .notice, .failed: break
    }
  }

  /// Takes away what the command made, where nothing was done in it.
  ///
  /// - Returns: whether the run is gone.
  package func abandon() -> Bool {
    guard isNew, !isKept.load(ordering: .relaxed) else { return false }
    for name in Self.names { try? FileManager.default.removeItem(atPath: "\(path)/\(name)") }
    for folder in made where rmdir(folder) != 0 { break }
    return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).isEmpty
  }

  private static func trimmed(_ path: String) -> String {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }

  private static func isEmpty(_ path: String) throws(ConvoyError) -> Bool {
    do throws(ModelFileError) {
      return try RealFileSystem.shared.listIfThere(path).isEmpty
    } catch {
      throw ConvoyError(.configuration, "the run folder cannot be used: \(error)")
    }
  }

  /// Makes a folder and those above it that are not there; returns those that it made, innermost first.
  private static func make(_ path: String) throws(ConvoyError) -> [String] {
    var made: [String] = []
    func make(_ path: String) throws(ModelFileError) {
      do throws(ModelFileError) {
        try RealFileSystem.shared.makeFolder(path)
      } catch {
        switch error.kind {
        case .exists: return
        case .missing where Path.folder(of: path) != path:
          try make(Path.folder(of: path))
          // `x/..` is there as soon as `x` is.
          do throws(ModelFileError) { try RealFileSystem.shared.makeFolder(path) } catch  where error.kind == .exists {
            return
          }
        default: throw error
        }
      }
      made.insert(path, at: 0)
    }
    do throws(ModelFileError) {
      try make(path)
    } catch {
      for folder in made { rmdir(folder) }
      throw ConvoyError(.configuration, "the run folder cannot be made: \(error)")
    }
    return made
  }

  /// Locks a folder; refuses one that another command begins a run in. Where the file system knows no locks there is none.
  private static func lock(_ path: String) throws(ConvoyError) -> Int32 {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw ConvoyError(.configuration, "the run folder \(path) cannot be used: \(String(cString: strerror(errno)))")
    }
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
    let isTaken = errno == EWOULDBLOCK
    close(descriptor)
    guard !isTaken else {
      throw inUse(path, by: journalHolder(path) ?? "another command")
    }
    return -1
  }
}

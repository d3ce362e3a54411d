import Foundation
import Glibc
import Testing

/// A `convoy train` under way: its processes by name, and its run folder, whose metrics say how far it is.
final class LiveJob {
  /// The folder of the run.
  let run: String
  let process: Running

  /// Starts a job.
  init(_ arguments: [String], run: String, environment: [String: String] = [:]) throws {
    self.run = run
    process = try Running(["train"] + arguments + ["--run-dir", run, "--json"], environment: environment)
  }

  /// Goes on with a job in its own folder.
  init(resuming run: String, _ arguments: [String] = []) throws {
    self.run = run
    process = try Running(["train", "--resume", run, "--json"] + arguments)
  }

  /// The job's processes by name, as their command lines tell. A child that has just been forked is its parent's twin,
  /// and is left out.
  var members: [String: pid_t] {
    var members: [String: pid_t] = [:]
    for child in children(of: process.identifier) {
      let line = (try? String(contentsOfFile: "/proc/\(child)/cmdline", encoding: .utf8)) ?? ""
      let words = line.split(separator: "\0").map(String.init)
      if let index = words.firstIndex(of: "--name") { members[words[index + 1]] = child }
      if words.dropFirst().first == "coordinator" { members["coordinator"] = child }
    }
    return members
  }

  /// Sends a signal to the process that has a name now.
  func send(_ signal: Int32, to name: String) throws {
    let process = try #require(members[name], "\(name) runs")
    #expect(kill(process, signal) == 0)
  }

  // MARK: The metrics

  /// The lines of `metrics.jsonl`.
  var metrics: [[String: Any]] {
    let text = (try? String(contentsOfFile: "\(run)/metrics.jsonl", encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap {
      try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
    }
  }

  /// The views that training went on in: why, and how many milliseconds after it was seen.
  var resumptions: [(reason: String, milliseconds: Int)] {
    metrics.compactMap { line in
      guard line["event"] as? String == "view", let milliseconds = line["milliseconds"] as? Int else { return nil }
      return (line["reason"] as? String ?? "", milliseconds)
    }
  }

  /// Waits until a step was begun.
  func wait(forStep step: Int) throws {
    try wait(until: "step \(step) is begun") { job in
      job.metrics.contains { $0["event"] as? String == "progress" && $0["step"] as? Int ?? 0 >= step }
    }
  }

  /// Waits until training has gone on for a reason that begins with a text.
  func wait(forResumption reason: String) throws {
    try wait(until: "training goes on: \(reason)") { job in
      job.resumptions.contains { $0.reason.hasPrefix(reason) }
    }
  }

  /// Waits until the checkpoint of a step, or a later one, is stored.
  func wait(forCheckpoint step: Int) throws {
    try wait(until: "the checkpoint of step \(step) is stored") { job in
      job.metrics.contains { $0["event"] as? String == "checkpoint" && $0["step"] as? Int ?? 0 >= step }
    }
  }

  /// Looks after each change of the run's folder whether something is so; fails when the job ends before.
  func wait(until what: String, _ isSo: (LiveJob) -> Bool) throws {
    let changes = FolderChanges(run)
    while !isSo(self) {
      // The kernel's handle of the launcher says whether it runs: it stays a zombie until it is waited for.
      guard process.isRunning else {
        // What was written before the end counts.
        if isSo(self) { return }
        let outcome = process.wait()
        throw EndedEarly(description: "the job ended, and never was it that \(what):\n\(outcome.errors)")
      }
      changes.wait()
    }
  }

  /// Waits for the end of a job that must go well; its summary.
  func finish() throws -> [String: Any] {
    let outcome = process.wait()
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    return try outcome.json()
  }

  /// What a process's log says.
  func log(_ name: String) -> String {
    (try? String(contentsOfFile: "\(run)/logs/\(name).log", encoding: .utf8)) ?? ""
  }

  struct EndedEarly: Error, CustomStringConvertible {
    let description: String
  }
}

/// Changes below a folder, as the kernel tells of them.
private final class FolderChanges {
  private let descriptor = inotify_init1(Int32(O_NONBLOCK) | Int32(O_CLOEXEC))

  /// Watches a folder, which may be made later.
  init(_ path: String) {
    _ = inotify_add_watch(descriptor, path, UInt32(IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE))
  }

  deinit {
    close(descriptor)
  }

  /// Returns at the next change, or a little later where nothing changes: the job may have ended.
  func wait() {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    poll(&entry, 1, 100)
    var bytes = [UInt8](repeating: 0, count: 4096)
    while read(descriptor, &bytes, bytes.count) > 0 {}
  }
}

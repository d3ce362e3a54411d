import Foundation
import Runtime
import TestSupport

/// A program that plays the roles in place of `convoy`: a shell script in a folder of its own.
///
/// The script is given the roles' arguments. `$here` is its folder; `wait_for_end` waits until the launcher is gone or
/// a signal comes, as a role under a lifeline does; `$life` is 1 for the first process of a name, 2 for the next; every
/// process notes its number. The folder holds three named pipes: `meeting`, `go` and `over`; `wait_for_over` waits for an
/// end of line in the last.
struct StandIn: ~Copyable {
  /// The folder of the script, and of what it notes.
  let folder: String
  /// The folder of the run.
  var runDirectory: String { "\(folder)/run" }
  /// The script.
  var executable: String { "\(folder)/convoy" }

  /// A program whose roles do what these lines of shell say.
  init(coordinator: String, server: String = "wait_for_end", worker: String = "wait_for_end") throws {
    folder = NSTemporaryDirectory() + "convoy-launch-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: "\(folder)/run/logs", withIntermediateDirectories: true)
    let script = """
      #!/bin/sh
      here=$(dirname "$0")
      echo $$ >> "$here/processes"
      wait_for_end() { while read -r nothing; do :; done; exit 0; }
      wait_for_over() { read -r nothing <&8; exit 0; }
      say() { echo "$1"; }
      lived() { echo x >> "$here/lives.$name"; life=$(wc -l < "$here/lives.$name"); }
      started() { say '{"event":"started","seconds":0.5}'; }
      case $1 in
      coordinator) name=coordinator; lived; exec 8<> "$here/over"
      listening() { say '{"event":"listening","address":"tcp://127.0.0.1:1"}'; }
      \(coordinator)
      ;;
      server) name=$5; lived; exec 8<> "$here/over"
      \(server)
      ;;
      worker) name=$5; lived; exec 8<> "$here/over"
      \(worker)
      ;;
      esac
      """
    try writeProgram(script, to: executable)
    for name in ["meeting", "go", "over"] {
      guard mkfifo("\(folder)/\(name)", 0o600) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
  }

  deinit {
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// What the script noted in a file.
  func noted(_ name: String) throws -> [String] {
    try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8).split(separator: "\n").map(String.init)
  }

  /// The processes that were started and are still there. One that has ended, and that whoever has it now as a child has
  /// not looked at, is not.
  func survivors() throws -> [String] {
    try noted("processes").filter { number in
      let status = try? String(contentsOfFile: "/proc/\(number)/status", encoding: .utf8)
      return status.map { !$0.contains("\nState:\tZ") } ?? false
    }
  }
}

import Foundation
import Synchronization

/// The most memory that the processes of a job have held, by name, as the kernel counts it.
final class PeakMemory: Sendable {
  private let peaks = Mutex<[String: Int]>([:])

  /// Looks at the processes now: while a process lives, its own peak is known.
  func look(at members: [String: pid_t]) {
    for (name, process) in members {
      guard let text = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
        let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
        let kibibytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({ Int($0) })
      else { continue }
      peaks.withLock { $0[name] = max($0[name] ?? 0, kibibytes) }
    }
  }

  /// MiB of each.
  var mebibytes: [String: Int] { peaks.withLock { $0.mapValues { $0 / 1024 } } }
}

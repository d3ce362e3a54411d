import Glibc

/// What this process may still take of the machine's memory.
package struct MachineMemory: Sendable {
  /// The folder that `/proc` and `/sys` lie in: another one in tests.
  private let root: String

  /// The machine's, or what files below another root say.
  package init(root: String = "") {
    self.root = root
  }

  /// Bytes that may be taken: what the kernel calls available, or what the process's control groups leave if that is
  /// less; nil where the system does not say.
  ///
  /// A control group's use counts cached files too; those that nobody used lately make room.
  package var availableBytes: Int? {
    var least = number(after: "MemAvailable:", in: "/proc/meminfo").map { $0 * 1024 }
    for group in groups {
      guard let limit = number(in: group + limitName(group)), let used = number(in: group + usageName(group)) else {
        continue
      }
      let cached = number(
        after: group.contains("/memory/") ? "total_inactive_file " : "inactive_file ", in: group + "/memory.stat")
      let left = max(0, limit - max(0, used - (cached ?? 0)))
      least = min(least ?? left, left)
    }
    return least
  }

  /// Refuses what the machine has no room for, before it is taken.
  func check(samples: Int, needs bytes: Int) throws(EngineError) {
    if let available = availableBytes, bytes > available {
      throw .memory(samples: samples, needed: bytes, bound: available, isMachine: true)
    }
  }

  private func limitName(_ group: String) -> String {
    group.contains("/memory/") ? "/memory.limit_in_bytes" : "/memory.max"
  }

  private func usageName(_ group: String) -> String {
    group.contains("/memory/") ? "/memory.usage_in_bytes" : "/memory.current"
  }

  /// The folders of the process's control groups that may limit memory, of both versions, with those above them.
  private var groups: [String] {
    var folders: [String] = []
    for line in text("/proc/self/cgroup").split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let base: String
      if fields[1].split(separator: ",").contains("memory") {
        base = "/sys/fs/cgroup/memory/"
      } else if fields[0] == "0", fields[1].isEmpty {
        base = "/sys/fs/cgroup/"
      } else {
        continue
      }
      var parts = fields[2].split(separator: "/")
      while true {
        folders.append(base + parts.joined(separator: "/"))
        if parts.popLast() == nil { break }
      }
    }
    return folders
  }

  private func number(in path: String) -> Int? {
    Int(text(path).prefix { $0 != "\n" })
  }

  private func number(after name: String, in path: String) -> Int? {
    for line in text(path).split(separator: "\n") where line.hasPrefix(name) {
      let digits = line.dropFirst(name.count).drop { $0 == " " }.prefix { $0.isNumber }
      return Int(digits)
    }
    return nil
  }

  /// A small file's text; empty where there is none.
  private func text(_ path: String) -> String {
    let descriptor = open(root + path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4096)
    while bytes.count < 1 << 20 {
      let count = read(descriptor, &block, block.count)
      guard count > 0 else { break }
      bytes += block[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

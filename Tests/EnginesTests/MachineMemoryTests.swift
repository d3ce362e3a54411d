import Engines
import Foundation
import Testing

/// What the system's files say about memory.
@Suite struct MachineMemoryTests {
  /// The memory that is available where the files below a root are the given ones.
  private func available(_ files: [String: String]) throws -> Int? {
    let root = FileManager.default.temporaryDirectory.appending(path: "convoy-memory-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    for (path, text) in files {
      let file = root.appending(path: path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    return MachineMemory(root: root.path).availableBytes
  }

  private static let information = "MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:    4000 kB\n"

  @Test func theKernelsNumberCountsWithoutGroups() throws {
    #expect(try available(["proc/meminfo": Self.information]) == 4000 * 1024)
    #expect(try available([:]) == nil)
  }

  @Test func aGroupsLimitCountsWhereItIsLess() throws {
    let group = "sys/fs/cgroup/system.slice/job"
    var files = [
      "proc/meminfo": Self.information, "proc/self/cgroup": "0::/system.slice/job\n", "\(group)/memory.max": "max\n",
      "\(group)/memory.current": "700000\n", "\(group)/memory.stat": "anon 5\ninactive_file 50000\n",
    ]
    #expect(try available(files) == 4000 * 1024)
    files["\(group)/memory.max"] = "1000000\n"
    #expect(try available(files) == 350_000)
    // A group above may be tighter.
    files["sys/fs/cgroup/system.slice/memory.max"] = "900000\n"
    files["sys/fs/cgroup/system.slice/memory.current"] = "899999\n"
    #expect(try available(files) == 1)
  }

  @Test func theOlderVersionsGroupCountsToo() throws {
    let group = "sys/fs/cgroup/memory/job"
    let files = [
      "proc/meminfo": Self.information, "proc/self/cgroup": "5:cpu:/\n4:memory:/job\n0::/\n",
      "\(group)/memory.limit_in_bytes": "100000\n", "\(group)/memory.usage_in_bytes": "60000\n",
      "\(group)/memory.stat": "inactive_file 1\ntotal_inactive_file 20000\n",
    ]
    #expect(try available(files) == 60000)
  }
}

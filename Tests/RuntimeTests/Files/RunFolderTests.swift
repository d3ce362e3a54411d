import Foundation
import Runtime
import Testing

/// What a coordinator finds in the folder of a run that another began.
@Suite struct RunFolderTests {
  private let url = FileManager.default.temporaryDirectory.appendingPathComponent("convoy-\(UUID().uuidString)")

  @Test("The job of a folder is told from another, which takes its place when it is said to")
  func jobs() throws {
    defer { try? FileManager.default.removeItem(at: url) }
    let folder = try RunFolder(path: url.path)
    let job = Job()
    var other = job
    other.servers = 3
    #expect(try folder.holds(other))
    try folder.write(job)
    #expect(try folder.holds(job))
    #expect(try !folder.holds(other))
    // It is written once: whoever comes later finds the first.
    try folder.write(other)
    #expect(try folder.holds(job))
    try folder.replace(other)
    #expect(try folder.holds(other))
    try Data("no setting: of this version".utf8).write(to: url.appendingPathComponent("job.yaml"))
    #expect(try !folder.holds(other))
  }

  @Test("A launch is known again by its mark, and no other is")
  func launches() throws {
    defer { try? FileManager.default.removeItem(at: url) }
    let folder = try RunFolder(path: url.path)
    #expect(!folder.isMarked(by: "12.5"))
    try folder.mark("12.5")
    #expect(folder.isMarked(by: "12.5"))
    try folder.mark("99.25")
    #expect(!folder.isMarked(by: "12.5"))
  }

  @Test("The coordinator's address is there while it listens; a folder is the same by whatever path")
  func places() throws {
    defer { try? FileManager.default.removeItem(at: url) }
    let folder = try RunFolder(path: url.path)
    let file = url.appendingPathComponent(RunFolder.addressName)
    folder.note(address: "ipc:///tmp/x")
    #expect(try String(contentsOf: file, encoding: .utf8) == "ipc:///tmp/x\n")
    folder.note(address: nil)
    #expect(!FileManager.default.fileExists(atPath: file.path))
    #expect(folder.isSame(as: url.path + "/logs/.."))
    #expect(!folder.isSame(as: url.path + "/logs"))
  }
}

import Foundation
import ModelFiles
import Runtime
import Testing

/// The folder of a run that a command begins.
@Suite struct RunClaimTests {
  private let base = FileManager.default.temporaryDirectory.appendingPathComponent("convoy-\(UUID().uuidString)")
  private var path: String { base.appendingPathComponent("runs/one").path }

  private func names(_ path: String) -> [String]? {
    try? FileManager.default.contentsOfDirectory(atPath: path).sorted()
  }

  /// What a start leaves.
  private func start(in path: String) throws {
    let folder = try RunFolder(path: path)
    _ = try folder.prepare(Job())
    _ = try RunJournal(folder: path)
    folder.note(address: "tcp://127.0.0.1:1")
    try RunFolder.makeFolder("\(path)/checkpoints/step-00000001")
  }

  @Test("What a start made is taken away, with the folders above that it made")
  func abandoned() throws {
    defer { try? FileManager.default.removeItem(at: base) }
    try RunFolder.makeFolder(base.path)
    let claim = try RunClaim.take("\(path)/")
    try start(in: path)
    #expect(claim.abandon())
    #expect(names(base.path) == [])
  }

  @Test("A path that leads through a folder that is made on the way is the same place, and leaves nothing either")
  func roundabout() throws {
    defer { try? FileManager.default.removeItem(at: base) }
    try RunFolder.makeFolder(base.path)
    let claim = try RunClaim.take("\(base.path)/new/../run")
    try start(in: claim.path)
    #expect(claim.abandon())
    #expect(names(base.path) == [])
  }

  @Test("A folder that was there stays, empty")
  func empty() throws {
    defer { try? FileManager.default.removeItem(at: base) }
    try RunFolder.makeFolder(path)
    let claim = try RunClaim.take(path)
    try start(in: path)
    #expect(claim.abandon())
    #expect(names(path) == [])
  }

  @Test("What others put there stays, and so does a run that has begun")
  func kept() throws {
    defer { try? FileManager.default.removeItem(at: base) }
    let claim = try RunClaim.take(path)
    try start(in: path)
    try Data().write(to: URL(filePath: "\(path)/notes.txt"))
    #expect(!claim.abandon())
    #expect(names(path) == ["notes.txt"])
    let other = try RunClaim.take("\(path)-2")
    try start(in: other.path)
    other.follow(.listening(address: "tcp://127.0.0.1:1"))
    other.follow(.started(seconds: 1))
    #expect(!other.abandon())
    #expect(names(other.path)?.contains("job.yaml") == true)
  }

  @Test("A run that is gone on with is nobody's to take away")
  func resumed() throws {
    defer { try? FileManager.default.removeItem(at: base) }
    try start(in: path)
    let claim = try RunClaim.take(path, resuming: path)
    let before = names(path)
    #expect(!claim.abandon())
    #expect(names(path) == before)
  }

  @Test("Two commands never begin a run in one folder: the second is refused, or takes the next name")
  func exclusive() throws {
    defer { try? FileManager.default.removeItem(at: base) }
    let first = try RunClaim.takeNext(path)
    let error = try #require(throws: ConvoyError.self) { try RunClaim.take(path) }
    #expect(error.code == .refused && error.message.contains(path))
    let second = try RunClaim.takeNext(path)
    #expect(first.path == path && second.path == "\(path)-2")
    #expect(second.abandon() && names(path) == [])
  }

  @Test("A run that a command has is refused to others until that is gone; its process is named where that is known")
  func running() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("convoy-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(try RunClaim.existing(folder) == nil)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var journal: Journal? = try Journal(path: "\(folder)/journal")
    let named = #expect(throws: ConvoyError.self) { try RunClaim.existing(folder) }
    #expect(named?.code == .refused && named?.message.contains("process \(getpid()) has it") == true)
    journal = nil
    var claim: RunClaim? = try RunClaim.existing(folder)
    let refused = #expect(throws: ConvoyError.self) { try RunClaim.existing(folder) }
    #expect(refused?.code == .refused && refused?.message.contains("\(folder) is in use") == true)
    withExtendedLifetime((claim, journal)) {}
    claim = nil
    #expect(try RunClaim.existing(folder) != nil)
  }

  @Test("Errors of other people's code become words: the path and the system's reason")
  func errors() throws {
    let missing = #expect(throws: (any Error).self) {
      try FileManager.default.createDirectory(atPath: "/dev/null/x", withIntermediateDirectories: true)
    }
    let text = ErrorText.line(try #require(missing))
    #expect(!text.contains("Domain") && !text.contains("The operation"), "\(text)")
    #expect(text.contains("Not a directory") || text.contains("/dev/null"), "\(text)")
    struct Odd: Error {}
    #expect(ErrorText.line(Odd()).hasPrefix("it failed for a reason that the program has no words for"))
    #expect(ErrorText.line(ConvoyError(.failed, "a line")) == "a line")
  }
}

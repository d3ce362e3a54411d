import Foundation
import Runtime
import Testing

/// The byte that says what a process is doing when somebody kills it.
@Suite struct StateByteTests {
  @Test("The file holds what was said last, whatever became of the process")
  func states() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("convoy-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("server.1")
    func read() throws -> [UInt8] { Array(try Data(contentsOf: file)) }
    do {
      let byte = try #require(StateByte(name: "server.1", folder: folder.path))
      #expect(try read() == [0])
      for state in [StateByte.State.applying, .replicating, .checkpointing] {
        byte.set(state)
        #expect(try read() == [state.rawValue])
      }
    }
    #expect(try read() == [3])
    let again = StateByte(name: "server.1", folder: folder.path)
    #expect(again != nil)
    #expect(try read() == [0])
  }

  @Test("Without a folder, or with a name that leads out of it, there is none")
  func none() {
    #expect(StateByte(name: "server.1", folder: nil) == nil)
    #expect(StateByte(name: "../server.1", folder: "/tmp") == nil)
    #expect(StateByte(name: "server.1", folder: "/nowhere/at/all") == nil)
  }
}

import Foundation
import Glibc
import ParameterServer
import Runtime
import Testing

/// The block of secrets that a launcher writes first, and that a process on another host reads first.
@Suite struct LaunchSecretsTests {
  private static let token = JobToken((1...16).map { UInt8($0) })!

  /// Reads a block from a pipe that holds these bytes and is then closed; what it left in the pipe comes with it.
  private func read(_ bytes: [UInt8]) throws -> (LaunchSecrets, rest: [UInt8]) {
    let pipe = Pipe()
    try pipe.fileHandleForWriting.write(contentsOf: Data(bytes))
    try pipe.fileHandleForWriting.close()
    let secrets = try LaunchSecrets(readingFrom: pipe.fileHandleForReading.fileDescriptor)
    return (secrets, Array(pipe.fileHandleForReading.readDataToEndOfFile()))
  }

  @Test(
    "What is written is read, and what follows stays in the pipe",
    arguments: [
      [], [LaunchSecrets.File(name: "server.0.secret", bytes: [])],
      [
        .init(name: "worker.12.secret", bytes: Array(0...255)),
        .init(name: "allowed", bytes: Array(repeating: 7, count: 9000)),
      ],
    ])
  func roundTrip(files: [LaunchSecrets.File]) throws {
    let secrets = LaunchSecrets(token: Self.token, files: files)
    let (read, rest) = try read(try secrets.block() + Array("\nended worker.0\n".utf8))
    #expect(read == secrets)
    #expect(rest == Array("\nended worker.0\n".utf8))
  }

  @Test("The bytes are those that are agreed")
  func layout() throws {
    let block = try LaunchSecrets(token: Self.token, files: [.init(name: "ab", bytes: [9, 8, 7])]).block()
    let expected = Array("CONVOYS1".utf8) + [27, 0, 0, 0] + Self.token.bytes + [1, 2, 0x61, 0x62, 3, 0, 0, 0, 9, 8, 7]
    #expect(block == expected)
  }

  @Test("A block that is cut anywhere is an early end, and no crash")
  func cut() throws {
    let block = try LaunchSecrets(token: Self.token, files: [.init(name: "key", bytes: [1, 2, 3])]).block()
    for count in 0..<block.count {
      let error = #expect(throws: ConvoyError.self) { try read(Array(block.prefix(count))) }
      #expect(error?.code == .tryAgain)
    }
  }

  @Test("Each length, name and number that is out of bounds is refused before anything is taken")
  func hostile() throws {
    let good = try LaunchSecrets(token: Self.token, files: [.init(name: "key", bytes: [1, 2, 3])]).block()
    // Offsets: 0 magic, 8 length, 12 token, 28 files, 29 name's length, 30 name, 33 contents' length, 37 contents.
    let changes: [(Int, [UInt8], String)] = [
      (0, [0x43, 0x4F, 0x50], "CONVOYS1"), (8, [0, 0, 0, 0], "its length, 0,"),
      (8, [16, 0, 0, 0], "its length, 16,"), (8, [255, 255, 255, 255], "its length, 4294967295,"),
      (28, [17], "states 17 files"), (28, [0], "follow its last file"), (28, [2], "longer than the block"),
      (29, [0], "no proper name"), (29, [200], "longer than the block"), (30, [0x2E], "no proper name"),
      (31, [0x2F], "no proper name"), (33, [2], "follow its last file"), (33, [4], "longer than the block"),
      (33, [0, 0, 0, 1], "states 16777216 bytes"),
    ]
    for (offset, bytes, said) in changes {
      var block = good
      block.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      let error = #expect(throws: ConvoyError.self) { try read(block) }
      #expect(error?.code == .badData)
      #expect(error?.message.contains(said) == true, "\(error?.message ?? "nothing") for \(said)")
    }
  }

  @Test("A file under two entries is refused, and so is what cannot be written")
  func unwritable() throws {
    let twice = LaunchSecrets(token: Self.token, files: [.init(name: "a", bytes: []), .init(name: "a", bytes: [1])])
    #expect(throws: ConvoyError.self) { try twice.block() }
    var block = try LaunchSecrets(token: Self.token, files: [.init(name: "a", bytes: []), .init(name: "b", bytes: [])])
      .block()
    let second = try #require(block.lastIndex(of: 0x62))
    block[second] = 0x61
    let error = #expect(throws: ConvoyError.self) { try read(block) }
    #expect(error?.message.contains("a file twice") == true)
    for name in ["", "../key", "a/b", ".hidden", String(repeating: "a", count: 65)] {
      #expect(throws: ConvoyError.self) {
        try LaunchSecrets(token: Self.token, files: [.init(name: name, bytes: [])]).block()
      }
    }
    let large = LaunchSecrets.File(name: "a", bytes: [UInt8](repeating: 0, count: LaunchSecrets.maximumFileBytes + 1))
    #expect(throws: ConvoyError.self) { try LaunchSecrets(token: Self.token, files: [large]).block() }
  }
}

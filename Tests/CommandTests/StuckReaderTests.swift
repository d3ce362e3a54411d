import Foundation
import Glibc
import TestSupport
import Testing

/// Jobs whose standard error nobody reads: a terminal after Ctrl-S, a pipe that is full.
@Suite(.serialized, .timeLimit(.minutes(30))) struct StuckReaderTests {
  enum Kind: CaseIterable {
    case pipe
    case terminal
  }

  /// A place for standard error that takes nothing until it is read.
  private final class Stuck {
    let writing: Int32
    private let reading: Int32
    private let kind: Kind

    init(_ kind: Kind) throws {
      self.kind = kind
      var ends: [Int32] = [-1, -1]
      switch kind {
      case .pipe:
        try #require(pipe(&ends) == 0)
        (reading, writing) = (ends[0], ends[1])
        _ = fcntl(writing, F_SETFL, O_NONBLOCK)
        let filling = [UInt8](repeating: 0x2E, count: 4096)
        while write(writing, filling, filling.count) > 0 {}
        _ = fcntl(writing, F_SETFL, 0)
      case .terminal:
        var (main, line): (Int32, Int32) = (-1, -1)
        try #require(openpty(&main, &line, nil, nil, nil) == 0)
        ends = [main, line]
        (reading, writing) = (main, line)
        // Ctrl-S.
        try #require(tcflow(writing, TCOOFF) == 0)
      }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }

    deinit {
      close(reading)
    }

    /// Reads all that comes, once the writer's end is nobody's but the program's; returns at its end.
    func drain() -> String {
      if kind == .terminal { tcflow(writing, TCOON) }
      close(writing)
      var text: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 65_536)
      while true {
        let count = read(reading, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        // A terminal that nobody has open any more says so with an error.
        guard count > 0 else { break }
        text += buffer[..<count]
      }
      return String(decoding: text, as: UTF8.self)
    }
  }

  private func start(_ arguments: [String], errors: Stuck, output: Pipe) throws -> Process {
    let process = Process()
    process.executableURL = Convoy.executable
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("CONVOY_") }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = FileHandle(fileDescriptor: errors.writing, closeOnDealloc: false)
    try process.run()
    return process
  }

  @Test(
    "A job ends with its result while nobody reads what it says of itself, and that is said later",
    arguments: Kind.allCases)
  func result(kind: Kind) throws {
    let folder = TemporaryFolder()
    let (stuck, output) = (try Stuck(kind), Pipe())
    let process = try start(
      ["train", "--max-steps", "20", "--run-dir", "\(folder.path)/run", "--json"], errors: stuck, output: output)
    // The result comes, and the program waits for its reader with the rest.
    var result: [UInt8] = []
    var byte: UInt8 = 0
    while byte != 0x0A, read(output.fileHandleForReading.fileDescriptor, &byte, 1) == 1 { result.append(byte) }
    #expect(String(decoding: result, as: UTF8.self).contains("\"steps\":20"))
    #expect(process.isRunning)
    let said = stuck.drain()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(said.contains("the first step begins after "))
    #expect(said.contains("the last step is applied"))
  }

  @Test("A job that nobody reads ends when it is told to")
  func stopped() throws {
    let folder = TemporaryFolder()
    let (stuck, output) = (try Stuck(.terminal), Pipe())
    let process = try start(
      ["train", "--epochs", "1000", "--run-dir", "\(folder.path)/run"], errors: stuck, output: output)
    let watched = try #require(Watched(process.processIdentifier))
    // It trains: there is a first line of its progress, or it has ended too early.
    while true {
      let metrics = (try? folder.read("run/metrics.jsonl")) ?? ""
      if metrics.contains("\"step\"") { break }
      try #require(process.isRunning)
      poll(nil, 0, 50)
    }
    let members = children(of: process.processIdentifier).compactMap { Watched($0) }
    kill(process.processIdentifier, SIGTERM)
    #expect(watched.ends(withinSeconds: 60))
    process.waitUntilExit()
    #expect(process.terminationStatus == 143)
    for member in members { #expect(member.ends(withinSeconds: 10)) }
    _ = stuck.drain()
  }
}

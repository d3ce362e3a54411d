import Glibc
import Observability
import Testing

/// Text that waits for a reader.
@Suite struct OutputQueueTests {
  /// A pipe that is full.
  private func fullPipe() throws -> (reading: Int32, writing: Int32, held: Int) {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    var held = 0
    let filling = [UInt8](repeating: 0x2E, count: 4096)
    while true {
      let count = write(ends[1], filling, filling.count)
      guard count > 0 else { break }
      held += count
    }
    _ = fcntl(ends[1], F_SETFL, 0)
    return (ends[0], ends[1], held)
  }

  private func read(_ descriptor: Int32, _ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while bytes.count < count {
      let taken = Glibc.read(descriptor, &buffer, min(buffer.count, count - bytes.count))
      guard taken > 0 else { break }
      bytes += buffer[..<taken]
    }
    return bytes
  }

  private func readToEnd(_ descriptor: Int32) -> String { String(decoding: read(descriptor, .max), as: UTF8.self) }

  @Test("Nobody waits who puts text; progress is dropped and counted, lines and results are kept")
  func stuck() throws {
    let (reading, writing, held) = try fullPipe()
    defer { close(reading) }
    let queue = OutputQueue(descriptor: writing)
    let progress = String(repeating: "p", count: 1023) + "\n"
    for _ in 0..<1000 { queue.put(progress, .passing) }
    queue.put("a line\n")
    queue.put("the result\n", .lasting)
    // Sixteen times 1 KiB wait, and what came first may be at the descriptor already.
    #expect(queue.dropped == 1000 - 16)
    #expect(read(reading, held).count == held)
    let text = String(decoding: read(reading, 16 * 1024 + 18), as: UTF8.self)
    #expect(text.hasSuffix("p\na line\nthe result\n"))
    #expect(queue.flush() == nil)
    close(writing)
    #expect(readToEnd(reading) == "(984 lines are left out here: nobody read them)\n")
    #expect(queue.dropped == 0)
  }

  @Test("An error of a write is told once, and what comes later is still tried")
  func failure() throws {
    let queue = OutputQueue(descriptor: -1)
    queue.put("text\n")
    #expect(queue.flush() == EBADF)
    #expect(queue.flush() == nil)
  }
}

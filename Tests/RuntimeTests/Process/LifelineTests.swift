import Foundation
import Glibc
import Runtime
import Synchronization
import Testing

/// The launcher's pipe: lines, beats, its end and its silence.
@Suite struct LifelineTests {
  private func follow(_ text: String, silenceMilliseconds: Int32? = nil, isClosed: Bool) throws -> (
    [String], Lifeline.End
  ) {
    let pipe = Pipe()
    try pipe.fileHandleForWriting.write(contentsOf: Data(text.utf8))
    if isClosed { try pipe.fileHandleForWriting.close() }
    var lines: [String] = []
    let end = Lifeline.follow(
      pipe.fileHandleForReading.fileDescriptor, silenceMilliseconds: silenceMilliseconds, line: { lines.append($0) })
    return (lines, end)
  }

  @Test("Lines come whole; beats and what is too long do not; the end of the pipe is the end")
  func lines() throws {
    let long = String(repeating: "x", count: 5000)
    let (lines, end) = try follow("\n\nended worker.0\n\(long)\nended server.1\nunended", isClosed: true)
    #expect(lines == ["ended worker.0", "ended server.1"])
    #expect(end == .closed)
  }

  @Test("A pipe that is open and says nothing is silent where silence is bounded")
  func silence() throws {
    let (lines, end) = try follow("ended a\n\n", silenceMilliseconds: 1, isClosed: false)
    #expect(lines == ["ended a"])
    #expect(end == .silent)
  }

  @Test("Words are their lines, both ways; other lines are none")
  func words() {
    #expect(LauncherWord.ended("worker.0").line == "ended worker.0")
    #expect(LauncherWord(line: "ended worker.0") == .ended("worker.0"))
    for line in ["", "ended", "ended ", "ended a b", "began a", " ended a"] { #expect(LauncherWord(line: line) == nil) }
  }

  @Test("Words that came before anyone listened are kept, in order")
  func order() {
    let words = LauncherWords()
    let heard = Mutex<[LauncherWord]>([])
    words.put(.ended("a"))
    words.put(.ended("b"))
    words.listen { word in heard.withLock { $0.append(word) } }
    words.put(.ended("c"))
    #expect(heard.withLock { $0 } == [.ended("a"), .ended("b"), .ended("c")])
  }
}

import Foundation
import Logging
import Observability
import Testing

/// What the log and the metrics leave in files.
@Suite struct LineFilesTests {
  private struct Row: Codable, Hashable {
    let step: Int
    let loss: Double
  }

  /// A folder of its own, removed afterwards.
  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "convoy-observability-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  private func lines(_ path: String) throws -> [String] {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.isEmpty || text.hasSuffix("\n"))
    return text.split(separator: "\n").map(String.init)
  }

  @Test(
    "A log line's time is UTC, to the millisecond",
    arguments: [
      (1_795_237_200, 123, "2026-11-21T05:00:00.123Z"), (0, 0, "1970-01-01T00:00:00.000Z"),
      (951_827_696, 7, "2000-02-29T12:34:56.007Z"), (4_102_444_799, 999, "2099-12-31T23:59:59.999Z"),
    ])
  func time(seconds: Int, milliseconds: Int, text: String) {
    let line = LineLogHandler.line(
      seconds: seconds, milliseconds: milliseconds, level: "info", label: "worker.1", message: "hello")
    #expect(line == "\(text) info worker.1: hello")
  }

  @Test("A message with line breaks stays one line")
  func oneLine() {
    let line = LineLogHandler.line(seconds: 0, milliseconds: 0, level: "error", label: "x", message: "a\nb\r\nc\n")
    #expect(line.hasSuffix("error x: a b c"))
  }

  @Test("A logger writes what is at its level or above, with its prefix and its member's name")
  func logger() throws {
    try withFolder { folder in
      let path = folder + "/log"
      let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
      defer { close(descriptor) }
      var logger = Logger(label: "worker") { LineLogHandler(label: $0, descriptor: descriptor, prefix: "[x] ") }
      logger.debug("not this")
      logger.info("first")
      logger[metadataKey: "member"] = "worker.3"
      logger.warning("second")
      let written = try lines(path)
      try #require(written.count == 2)
      #expect(written[0].hasPrefix("[x] ") && written[0].hasSuffix("Z info worker: first"))
      #expect(written[1].hasSuffix("Z warning worker.3: second"))
    }
  }

  @Test("Metrics are one JSON object a line, added to what is there")
  func metrics() throws {
    try withFolder { folder in
      let path = folder + "/metrics.jsonl"
      try MetricsFile(path: path).append(Row(step: 1, loss: 2.25))
      try MetricsFile(path: path).append(Row(step: 2, loss: 0.5))
      #expect(try lines(path) == [#"{"loss":2.25,"step":1}"#, #"{"loss":0.5,"step":2}"#])
    }
  }

  @Test("A loss that is no number does not lose the line")
  func notFinite() throws {
    try withFolder { folder in
      let path = folder + "/metrics.jsonl"
      try MetricsFile(path: path).append(Row(step: 1, loss: .nan))
      #expect(try lines(path) == [#"{"loss":"nan","step":1}"#])
    }
  }

  @Test("A file that cannot be opened is named, with the reason")
  func cannotOpen() throws {
    try withFolder { folder in
      let path = folder + "/none/metrics.jsonl"
      let failure = try #require(throws: MetricsFile.Failure.self) { try MetricsFile(path: path) }
      #expect(failure.description == "\(path): No such file or directory")
    }
  }
}

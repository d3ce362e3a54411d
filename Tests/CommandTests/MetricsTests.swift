import Foundation
import Testing

/// The lines of a real job's `metrics.jsonl`, held against README's table of them.
@Suite struct MetricsTests {
  /// What README says of an event's line.
  private struct Line {
    var fields: Set<String>
    /// Fields that are not in every line: a remark follows them.
    var optional: Set<String>
  }

  /// README's table: an event and its fields in each row.
  private static func documented() throws -> [String: Line] {
    let readme = try String(
      contentsOf: URL(filePath: #filePath).appending(path: "../../../README.md").standardized, encoding: .utf8)
    let section = try #require(readme.components(separatedBy: "### A run's metrics\n").dropFirst().first)
    var lines: [String: Line] = [:]
    for row in section.components(separatedBy: "\n#")[0].split(separator: "\n") where row.hasPrefix("| `") {
      let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      try #require(cells.count == 3, "\(row)")
      if cells[1] == "when" { continue }
      let event = cells[0].trimmingCharacters(in: CharacterSet(charactersIn: "`"))
      var line = Line(fields: [], optional: [])
      for match in cells[2].matches(of: /`([a-z_]+)`( \()?/) {
        line.fields.insert(String(match.1))
        if match.2 != nil { line.optional.insert(String(match.1)) }
      }
      lines[event] = line
    }
    return lines
  }

  @Test("Every line has an event and just the fields that README lists, and epochs count from 1 as on the terminal")
  func lines() throws {
    let folder = TemporaryFolder()
    let job = try LiveJob(
      ["--mode", "async", "--workers", "2", "--batch", "500", "--validation", "54000", "--max-steps", "16"],
      run: "\(folder.path)/run")
    let summary = try job.finish()
    let documented = try Self.documented()
    let text = try folder.read("run/metrics.jsonl").split(separator: "\n")
    #expect(text.count == job.metrics.count, "a line is no JSON object")
    for line in job.metrics {
      let event = line["event"] as? String ?? ""
      let known = try #require(documented[event], "\(line)")
      let names = Set(line.keys).subtracting(["event", "seconds"])
      #expect(names.isSubset(of: known.fields), "\(line)")
      #expect(known.fields.subtracting(known.optional).isSubset(of: names), "\(line)")
      #expect(line["seconds"] as? Double ?? -1 >= 0, "\(line)")
    }
    let events = Set(job.metrics.compactMap { $0["event"] as? String })
    #expect(events == Set(documented.keys).subtracting(["checkpoint_failed"]))

    let progress = job.metrics.filter { $0["event"] as? String == "progress" }
    let epochs = progress.compactMap { $0["epoch"] as? Int }
    #expect(epochs.count == progress.count && epochs.allSatisfy { $0 >= 1 } && epochs == epochs.sorted())
    #expect(epochs.last == 2 && summary["epochs"] as? Int == 2)
    #expect(progress.last?["step"] as? Int == summary["steps"] as? Int)
    let said = job.process.wait().errors
    let told = said.matches(of: #/step \d+/\d+ .* epoch (\d+) /#).compactMap { Int($0.1) }
    #expect(told.last == 2, "\(said)")
  }
}

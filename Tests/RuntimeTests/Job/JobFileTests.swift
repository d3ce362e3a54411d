import Foundation
import Runtime
import Testing

/// Writes a job file into a folder of its own, removed afterwards.
func withJobFile<Result>(_ data: Data, _ body: (String) throws -> Result) throws -> Result {
  let folder = NSTemporaryDirectory() + "convoy-job-" + UUID().uuidString
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  let path = folder + "/job.yaml"
  try data.write(to: URL(filePath: path))
  return try body(path)
}

/// Job files: what they hold, and what is said of bad ones.
@Suite struct JobFileTests {
  private func message(_ text: String) throws -> String {
    try #require(throws: ConvoyError.self) { try Job(yaml: text, source: "job.yaml") }.message
  }

  @Test("A job reads back from its own text as the same job")
  func roundTrip() throws {
    var job = Job()
    #expect(try Job(yaml: job.yaml, source: "x") == job)
    job.workers = 3
    job.shards = 32
    job.maxSteps = 500
    job.seed = .max
    job.learningRate = 1.0 / 3
    job.weightDecay = .leastNonzeroMagnitude
    job.schedule = "multistep:300,600:0.1"
    job.transport = .ipc
    #expect(try Job(yaml: job.yaml, source: "x") == job)
  }

  @Test(
    "A folder of any name survives the text",
    arguments: [
      "/data", "relative", " leading", "a: b", "# no comment", "null", "~", "true", "-dash", "- item", "it's",
      "\"quoted\"",
      "back\\slash", "tab\tand\nline\r\n", "\u{0}\u{1}\u{7F}\u{85}\u{A0}\u{2028}\u{FEFF}", "Größe/数据/🚚", "* * *a *b *c",
      "*1*2 *3 *4 *5 *6 *7 *8 *9 *10", "&anchor", "!tag", "%directive", "---", "[x]", "{x}", "@", "`", "1e3", "",
    ].filter { !$0.isEmpty })
  func anyFolder(folder: String) throws {
    var job = Job()
    job.dataDirectory = folder
    #expect(try Job(yaml: job.yaml, source: "x").dataDirectory == folder)
  }

  @Test("An empty file, and one of comments, is a job of defaults", arguments: ["", "\n", "# nothing yet\n", "---\n"])
  func empty(text: String) throws {
    #expect(try Job(yaml: text, source: "x") == Job())
  }

  @Test(
    "Bad files are refused with file, line and what is wrong",
    arguments: [
      ("model: lenet\nlearning-rat: 1\n", "job.yaml:2: there is no setting learning-rat; did you mean learning-rate?"),
      ("model: lenet\nworkers: 3\nmodel: lenet-5\n", "job.yaml:3: model is set twice, first in line 1"),
      ("workers: [1, 2]\n", "job.yaml:1: workers takes one value"),
      ("\nworkers:\n  count: 2\n", "job.yaml:2: workers takes one value"),
      ("model: lenet\nmax-steps:\n", "job.yaml:2: max-steps has no value"),
      ("- model\n", "job.yaml:1: a job file holds settings"),
      ("just text\n", "job.yaml:1: a job file holds settings"),
      ("? [model]\n: lenet\n", "job.yaml:1: there is no setting"),
      ("model: lenet\n\tworkers: 2\n", "job.yaml:2: found a tab character"),
      ("model: \"lenet\n", "job.yaml:2: "),
      ("model: lenet\n---\nworkers: 2\n", "job.yaml:2: "),
      ("model: *nowhere\n", "job.yaml:1: found undefined alias"),
      ("model: lenet\nseed: \u{1}\n", "job.yaml:2: control characters are not allowed"),
    ])
  func bad(text: String, start: String) throws {
    let message = try message(text)
    #expect(message.hasPrefix(start))
    #expect(!message.contains("\n"))
  }

  @Test("An alias stands for its value")
  func alias() throws {
    let job = try Job(yaml: "servers: &n 3\nworkers: *n\n", source: "x")
    #expect(job.servers == 3 && job.workers == 3)
  }

  @Test("Aliases of aliases in keys, which would take years to hash, are refused at once")
  func bomb() throws {
    var text = "? &a0 [x, x]\n: 1\n"
    for level in 1...30 {
      text += "? &a\(level) [" + [String](repeating: "*a\(level - 1)", count: 8).joined(separator: ",") + "]\n: 1\n"
    }
    #expect(try message(text).hasPrefix("job.yaml: more than 8 aliases"))
    #expect(try message("{" + text.replacing("\n", with: " ")).hasPrefix("job.yaml: more than 8 aliases"))
  }

  @Test("Nesting without end is refused, not followed", arguments: ["[", "{", "- ", "? "])
  func nesting(opening: String) throws {
    #expect(try message("model: " + String(repeating: opening, count: 300_000)).hasPrefix("job.yaml"))
    #expect(try message(String(repeating: opening, count: 300_000)).hasPrefix("job.yaml"))
  }

  @Test("A file that is not there, too long, or no text is named")
  func files() throws {
    func message(_ path: String) throws -> String {
      try #require(throws: ConvoyError.self) { try Job.resolve(flags: [:], environment: [:], file: path) }.message
    }
    try withJobFile(Data("model: lenet\n".utf8)) { path throws in
      #expect(try Job.resolve(flags: [:], environment: [:], file: path) == Job())
      #expect(try message(path + ".none").contains("\(path).none cannot be read"))
    }
    try withJobFile(Data(repeating: 0x23, count: (1 << 20) + 1)) { path throws in
      #expect(try message(path) == "\(path): a job file of 1048577 bytes: at most 1048576 are read")
    }
    try withJobFile(Data("data-dir: /tmp/".utf8) + Data([0xFF, 0x0A])) { path throws in
      #expect(try message(path) == "\(path): a job file is text in UTF-8, and this is not")
    }
  }
}

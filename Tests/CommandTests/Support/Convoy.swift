import Foundation
import Glibc

/// The built `convoy`, run as a person runs it.
enum Convoy {
  /// What a command left.
  struct Outcome: Sendable {
    let exitCode: Int32
    let output: String
    let errors: String

    /// The one JSON object on standard output.
    func json() throws -> [String: Any] {
      let object = try JSONSerialization.jsonObject(with: Data(output.utf8))
      return object as? [String: Any] ?? [:]
    }
  }

  /// The program beside the tests' own bundle.
  static let executable: URL = {
    let bundle = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    let beside = bundle.deletingLastPathComponent().appendingPathComponent("convoy")
    if FileManager.default.isExecutableFile(atPath: beside.path) { return beside }
    // The test runner is the toolchain's: its argument names the bundle.
    let named = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? ""
    return URL(fileURLWithPath: named).deletingLastPathComponent().appendingPathComponent("convoy")
  }()

  /// Runs a command to its end.
  static func run(
    _ arguments: [String], environment: [String: String] = [:], behind prefix: [String] = []
  ) throws -> Outcome {
    let running = try Running(arguments, environment: environment, behind: prefix)
    return running.wait()
  }
}

/// A command under way.
final class Running: @unchecked Sendable {
  private let process = Process()
  private let output = Collector()
  private let errors = Collector()

  /// Starts a command with nothing on its standard input.
  ///
  /// - Parameter prefix: the words of a program that runs it elsewhere, as in a network namespace.
  init(_ arguments: [String], environment: [String: String] = [:], behind prefix: [String] = []) throws {
    let words = prefix + [Convoy.executable.path] + arguments
    process.executableURL = URL(filePath: words[0])
    process.arguments = Array(words.dropFirst())
    var all = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("CONVOY_") }
    all["NO_COLOR"] = "1"
    // `swift test` turns on the runtime's tracer of crashes. When the process that it looks at is killed meanwhile it
    // waits for ever, and holds the pipes that are read here.
    all["SWIFT_BACKTRACE"] = "enable=no"
    all.merge(environment) { $1 }
    process.environment = all
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output.pipe
    process.standardError = errors.pipe
    output.start()
    errors.start()
    try process.run()
  }

  var identifier: pid_t { process.processIdentifier }

  /// Whether it has not ended.
  var isRunning: Bool { process.isRunning }

  /// Waits until a line on standard error or output holds a text; false when the command ends without it.
  func waitForLine(containing text: String) -> Bool {
    errors.waitForLine(containing: text)
  }

  /// Waits until the lines on standard error are as asked for; false when the command ends before.
  func wait(until isReached: ([Substring]) -> Bool) -> Bool {
    errors.wait { isReached($0.split(whereSeparator: \.isNewline)) }
  }

  /// The newest whole line on standard error that holds a text.
  func line(containing text: String) -> String? {
    errors.lines.first { $0.contains(text) }
  }

  func send(_ signal: Int32) {
    kill(identifier, signal)
  }

  /// Waits for the end.
  func wait() -> Convoy.Outcome {
    process.waitUntilExit()
    let output = output.finish()
    let errors = errors.finish()
    let code = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    return Convoy.Outcome(exitCode: code, output: output, errors: errors)
  }
}

/// Everything that comes out of a pipe, and those who wait for a line of it.
private final class Collector: @unchecked Sendable {
  let pipe = Pipe()
  private let condition = NSCondition()
  private var text = Data()
  private var isOver = false

  /// Reads on a thread of its own: Foundation's handler for readable files has been seen to miss a pipe's end.
  func start() {
    let descriptor = pipe.fileHandleForReading.fileDescriptor
    Thread.detachNewThread { [self] in
      var buffer = [UInt8](repeating: 0, count: 65_536)
      while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        condition.lock()
        if count > 0 { text.append(contentsOf: buffer[..<count]) } else { isOver = true }
        condition.broadcast()
        condition.unlock()
        if count <= 0 { return }
      }
    }
  }

  var lines: [String] {
    condition.lock()
    defer { condition.unlock() }
    return String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
  }

  func waitForLine(containing wanted: String) -> Bool {
    wait { $0.contains(wanted) }
  }

  func wait(until isReached: (String) -> Bool) -> Bool {
    condition.lock()
    defer { condition.unlock() }
    while !isReached(String(decoding: text, as: UTF8.self)) {
      if isOver { return false }
      condition.wait()
    }
    return true
  }

  func finish() -> String {
    condition.lock()
    defer { condition.unlock() }
    while !isOver { condition.wait() }
    return String(decoding: text, as: UTF8.self)
  }
}

/// A folder that goes with the test.
final class TemporaryFolder {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "convoy-test-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  func read(_ name: String) throws -> String {
    try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)
  }
}

/// The processes that a process started.
func children(of process: pid_t) -> [pid_t] {
  let path = "/proc/\(process)/task/\(process)/children"
  let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
  // Children started on other threads are listed there.
  let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
  let others = threads.filter { $0 != "\(process)" }
    .map { (try? String(contentsOfFile: "/proc/\(process)/task/\($0)/children", encoding: .utf8)) ?? "" }
  return ([text] + others).flatMap { $0.split(separator: " ") }.compactMap { pid_t($0) }
}

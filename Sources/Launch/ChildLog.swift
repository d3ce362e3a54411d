import Glibc

/// A child's lines on their way to its log, and the newest of them.
struct ChildLog {
  private let prefix: String
  private var descriptor: Int32
  private var partial: [UInt8] = []
  private let path: String
  /// Why the first line that is lost could not be written; nil where none is.
  private(set) var problem: String?
  /// The newest lines, oldest first.
  private(set) var newest: [String] = []

  private static let newestCount = 20
  /// Bytes after which a line without an end is taken as one.
  private static let longestLine = 64 << 10

  /// A log with the child's name before each line.
  init(name: String, path: String) {
    prefix = "[\(name)] "
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    if descriptor < 0 { problem = "\(path): \(String(cString: strerror(errno)))" }
  }

  /// Takes bytes; returns the lines that they end. All of them go to the file but those that are left out.
  mutating func take(_ bytes: ArraySlice<UInt8>, unless isLeftOut: (String) -> Bool = { _ in false }) -> [String] {
    var lines: [String] = []
    for byte in bytes {
      if byte == 0x0A || partial.count >= Self.longestLine { lines.append(endLine(unless: isLeftOut)) }
      if byte != 0x0A { partial.append(byte) }
    }
    return lines
  }

  /// Ends what is left without an end of line.
  mutating func finish() {
    if !partial.isEmpty { _ = endLine() }
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }

  private mutating func endLine(unless isLeftOut: (String) -> Bool = { _ in false }) -> String {
    let line = String(decoding: partial, as: UTF8.self)
    partial.removeAll(keepingCapacity: true)
    if isLeftOut(line) { return line }
    newest.append(line)
    if newest.count > Self.newestCount { newest.removeFirst() }
    let bytes = Array("\(prefix)\(line)\n".utf8)
    if descriptor >= 0, write(descriptor, bytes, bytes.count) != bytes.count, problem == nil {
      problem = "\(path): \(String(cString: strerror(errno)))"
    }
    return line
  }
}

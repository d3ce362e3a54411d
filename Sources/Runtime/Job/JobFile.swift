import Foundation
import Observability
import Yams

/// A job file: settings in YAML, one to a line.
enum JobFile {
  /// One setting as it was written.
  struct Entry {
    let name: String
    let text: String
    let line: Int
  }

  /// Most bytes of a job file.
  static let maximumBytes = 1 << 20
  /// Most aliases of a job file.
  static let maximumAliases = 8

  static func read(path: String) throws(ConvoyError) -> [Entry] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ConvoyError(.configuration, "the job file \(path) cannot be read: \(ErrorText.reading(path))")
    }
    guard data.count <= maximumBytes else {
      throw ConvoyError(.configuration, "\(path): a job file of \(data.count) bytes: at most \(maximumBytes) are read")
    }
    guard let text = String(data: data, encoding: .utf8) else {
      throw ConvoyError(.configuration, "\(path): a job file is text in UTF-8, and this is not")
    }
    return try parse(text, path)
  }

  /// Reads settings; `path` is what errors call the text.
  static func parse(_ text: String, _ path: String) throws(ConvoyError) -> [Entry] {
    guard aliases(in: text) <= maximumAliases else {
      throw ConvoyError(.configuration, "\(path): more than \(maximumAliases) aliases (*name): write the values out")
    }
    let root: Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch let error as YamlError {
      throw ConvoyError(.configuration, "\(path)\(description(error, text))")
    } catch {
      throw ConvoyError(.configuration, "\(path): it is no YAML")
    }
    guard let root, root.scalar?.string != "" else { return [] }
    guard case .mapping(let mapping) = root else {
      throw ConvoyError(.configuration, "\(path):1: a job file holds settings, as in \"workers: 2\"")
    }
    var entries: [Entry] = []
    for (key, value) in mapping {
      let line = key.mark?.line ?? 1
      let name = key.scalar?.string ?? ""
      guard JobOption.all.contains(where: { $0.name == name }) else {
        throw ConvoyError(
          .configuration,
          "\(path):\(line): there is no setting \(name); \(NearestName.hint(for: name, in: JobOption.all.map(\.name)))")
      }
      guard !entries.contains(where: { $0.name == name }) else {
        throw ConvoyError(.configuration, "\(path):\(line): \(name) is set twice")
      }
      guard let scalar = value.scalar else {
        throw ConvoyError(.configuration, "\(path):\(line): \(name) takes one value")
      }
      guard !scalar.string.isEmpty || scalar.style != .plain else {
        throw ConvoyError(.configuration, "\(path):\(line): \(name) has no value")
      }
      entries.append(Entry(name: name, text: scalar.string, line: line))
    }
    return entries
  }

  /// What may be aliases: `*` where a token can begin, and then a name.
  ///
  /// An alias of aliases stands for as many nodes as the product of their counts, and keys are hashed node by node: a
  /// few lines could keep the reader busy for years. Comments and quoted text count too, which errs on the safe side.
  private static func aliases(in text: String) -> Int {
    var count = 0
    var previous: UInt8 = 0x0A
    var isStar = false
    for byte in text.utf8 {
      if isStar, byte > 0x20 { count += 1 }
      isStar =
        byte == UInt8(ascii: "*") && (previous <= 0x20 || previous >= 0x80 || "[]{},:?-!\"'".utf8.contains(previous))
      previous = byte
    }
    return count
  }

  private static func description(_ error: YamlError, _ text: String) -> String {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return ":\(mark.line): \(problem.trimmingCharacters(in: .whitespacesAndNewlines))"
    case .duplicatedKeysInMapping(let duplicates, let context):
      let name = duplicates.first ?? ""
      // The mark is the first one's; the one to take away is more likely the last.
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      guard let last = lines.lastIndex(where: { $0.hasPrefix(name) }), last >= context.mark.line else {
        return ":\(context.mark.line): \(name) is set twice"
      }
      return ":\(last + 1): \(name) is set twice, first in line \(context.mark.line)"
    case .reader(let problem, let offset, _, _):
      let line = offset.map { text.prefix($0).count(where: \.isNewline) + 1 }
      return "\(line.map { ":\($0)" } ?? ""): \(problem)"
    default: return ": it is no YAML that can be read"
    }
  }
}

extension Job {
  /// Reads a job as `yaml` wrote it; `source` is what errors call the text.
  package init(yaml text: String, source: String) throws(ConvoyError) {
    var values: [String: (text: String, place: OptionPlace)] = [:]
    for entry in try JobFile.parse(text, source) { values[entry.name] = (entry.text, .file(source, line: entry.line)) }
    try self.init(values)
  }

  /// The job as a job file: every setting, one to a line. Reads back as the same job.
  public var yaml: String {
    JobOption.all.compactMap { option in option.get(self).map { "\(option.name): \(Self.quoted($0))\n" } }.joined()
  }

  /// A YAML scalar: plain where that reads back as the same text, in double quotes otherwise.
  private static func quoted(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { byte in
      let scalar = Unicode.Scalar(byte)
      return Character(scalar).isLetter && byte < 0x80 || Character(scalar).isNumber && byte < 0x80
        || "-./+_".unicodeScalars.contains(scalar)
    }
    if isPlain, !text.isEmpty, !text.hasPrefix("-") { return text }
    let parts = text.unicodeScalars.map { scalar -> String in
      switch scalar {
      case "\"": "\\\""
      case "\\": "\\\\"
      // What YAML does not print, and the star that may begin an alias.
      case _ where scalar.value < 0x20 || scalar.value == 0x7F || scalar == "*": escaped(scalar, "x", 2)
      case _ where scalar.value >= 0x80 && scalar.value < 0x1_0000: escaped(scalar, "u", 4)
      case _ where scalar.value >= 0x1_0000: escaped(scalar, "U", 8)
      default: String(scalar)
      }
    }
    return "\"\(parts.joined())\""
  }

  private static func escaped(_ scalar: Unicode.Scalar, _ letter: String, _ digits: Int) -> String {
    let text = String(scalar.value, radix: 16)
    return "\\\(letter)" + String(repeating: "0", count: digits - text.count) + text
  }
}

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

  static func read(path: String) throws(ConvoyError) -> [Entry] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ConvoyError(.configuration, "the job file \(path) cannot be read: it is not there, or may not be read")
    }
    guard data.count <= maximumBytes else {
      throw ConvoyError(.configuration, "\(path): a job file of \(data.count) bytes: at most \(maximumBytes) are read")
    }
    return try parse(String(decoding: data, as: UTF8.self), path)
  }

  static func parse(_ text: String, _ path: String) throws(ConvoyError) -> [Entry] {
    let root: Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch let error as YamlError {
      throw ConvoyError(.configuration, "\(path)\(description(error))")
    } catch {
      throw ConvoyError(.configuration, "\(path): it is no YAML")
    }
    guard let root else { return [] }
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
      entries.append(Entry(name: name, text: scalar.string, line: line))
    }
    return entries
  }

  private static func description(_ error: YamlError) -> String {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      ":\(mark.line): \(problem.trimmingCharacters(in: .whitespacesAndNewlines))"
    case .duplicatedKeysInMapping(let duplicates, let context):
      ":\(context.mark.line): \(duplicates.map { $0 }.joined(separator: ", ")) is set twice"
    default: ": it is no YAML that can be read"
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
    let escaped = text.unicodeScalars.map { scalar -> String in
      switch scalar {
      case "\"": "\\\""
      case "\\": "\\\\"
      case _ where scalar.value < 0x20: "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: String(scalar)
      }
    }
    return "\"\(escaped.joined())\""
  }
}

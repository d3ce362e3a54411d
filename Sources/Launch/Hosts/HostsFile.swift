import Foundation
import Observability
package import Runtime

/// The file that says which machines run a job: a host a line, settings behind it, comments from `#` on.
///
///     # name, user@name or address     what it runs, and how
///     node1                            servers=1 workers=0
///     ana@node2                        workers=2 threads=4 convoy=/opt/convoy/bin/convoy dir=/data
package enum HostsFile {
  private static let settings = ["servers", "workers", "threads", "port", "convoy", "dir", "interface"]

  /// Reads a file. Errors (exit code 78) name the file and the line.
  package static func read(_ path: String) throws(ConvoyError) -> [Host] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ConvoyError(.configuration, "the hosts file \(path) cannot be read: \(ErrorText.reading(path))")
    }
    return try parse(String(decoding: data, as: UTF8.self), path: path)
  }

  /// Reads a text; `path` is the file's name for errors.
  package static func parse(_ text: String, path: String) throws(ConvoyError) -> [Host] {
    var hosts: [Host] = []
    var lines: [String: Int] = [:]
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let content = line.prefix { $0 != "#" }
      let words = content.split(whereSeparator: \.isWhitespace).map(String.init)
      guard let destination = words.first else { continue }
      let place = "\(path):\(index + 1)"
      try check(destination: destination, place)
      if let earlier = lines[destination] {
        throw ConvoyError(
          .configuration, "\(place): \(destination) stands on line \(earlier) already: one line for each host")
      }
      lines[destination] = index + 1
      var host = Host(destination: destination)
      var seen: Set<String> = []
      for word in words.dropFirst() { try set(word, of: &host, &seen, place) }
      hosts.append(host)
    }
    guard !hosts.isEmpty else { throw ConvoyError(.configuration, "the hosts file \(path) names no host") }
    return hosts
  }

  /// What begins with a dash would be an option of ssh; what holds `=` is a setting without its host.
  private static func check(destination: String, _ place: String) throws(ConvoyError) {
    let isPlain = destination.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"=/'\"\\;|&<>$`".utf8.contains($0) }
    guard isPlain, !destination.hasPrefix("-"), !destination.hasPrefix("@"), !destination.hasSuffix("@") else {
      throw ConvoyError(
        .configuration, "\(place): \(destination) is no host: a line begins with NAME, USER@NAME or an address")
    }
  }

  private static func set(
    _ word: String, of host: inout Host, _ seen: inout Set<String>, _ place: String
  ) throws(ConvoyError) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 else {
      throw ConvoyError(.configuration, "\(place): \(word) is no setting: write NAME=VALUE")
    }
    let (name, value) = (parts[0], parts[1])
    guard settings.contains(name) else {
      throw ConvoyError(
        .configuration, "\(place): there is no setting \(name); \(NearestName.hint(for: name, in: settings))")
    }
    guard !value.isEmpty else { throw ConvoyError(.configuration, "\(place): \(name) has no value") }
    guard seen.insert(name).inserted else { throw ConvoyError(.configuration, "\(place): \(name) stands there twice") }
    switch name {
    case "servers": host.servers = try number(value, 0...1024, name, place)
    case "workers": host.workers = try number(value, 0...1024, name, place)
    case "threads": host.threads = try number(value, 1...256, name, place)
    case "port": host.port = try number(value, 1...65_535, name, place)
    case "convoy": host.program = value
    case "dir": host.directory = value
    default: host.interface = value
    }
  }

  private static func number(
    _ text: String, _ range: ClosedRange<Int>, _ name: String, _ place: String
  ) throws(ConvoyError) -> Int {
    guard let value = Int(text), range.contains(value) else {
      throw ConvoyError(
        .configuration, "\(place): \(name)=\(text) is no whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }
}

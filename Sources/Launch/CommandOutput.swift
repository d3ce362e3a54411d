import Foundation
import Glibc

extension ChildProcess {
  /// Runs a program to its end, with nothing on its standard input; what it prints, and how it ended.
  static func output(
    of executable: String, _ arguments: [String]
  ) throws(SpawnFailure) -> (output: String, ending: ProcessEnding) {
    let input = try Pipe()
    close(input.writing)
    defer { close(input.reading) }
    let process = try ChildProcess(
      name: executable, executable: executable, arguments: arguments,
      environment: ProcessInfo.processInfo.environment, input: input.reading)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while process.output >= 0 || process.errors >= 0 {
      var watched = [process.output, process.errors].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      poll(&watched, 2, -1)
      for (index, entry) in watched.enumerated() where entry.revents != 0 {
        let count = read(entry.fd, &buffer, buffer.count)
        if count > 0, index == 0 { bytes += buffer[..<count] }
        if count == 0 { if index == 0 { process.closeOutput() } else { process.closeErrors() } }
      }
    }
    process.reap(waiting: true)
    return (String(decoding: bytes, as: UTF8.self), process.ending ?? .exit(1))
  }
}

import Foundation
import Glibc
package import Runtime

/// What a program left that was run to its end.
package struct CommandOutput {
  /// What it printed.
  package let output: String
  /// The last line that it wrote to standard error: what a person reads first. Empty where it wrote none.
  package let lastError: String
  /// How it ended.
  package let ending: ProcessEnding

  /// What went wrong, for a person.
  package var problem: String { lastError.isEmpty ? "it \(ending.text)" : lastError }

  /// Most bytes of each that are kept: what is longer is nothing that anybody reads.
  private static let longest = 16 << 20

  /// Runs a program to its end. It gets a process group of its own, which a request to stop kills; and a standard input
  /// that holds nothing and is open for as long as this process lives: whoever watches it leaves with this process, whatever
  /// ends that.
  ///
  /// - Parameters:
  ///   - executable: a path, or a name that is looked for in PATH.
  ///   - stop: what gives it up; the error then has the signal's exit code.
  package static func run(
    _ executable: String, _ arguments: [String], environment: [String: String] = ProcessInfo.processInfo.environment,
    stop: StopRequest
  ) throws(ConvoyError) -> CommandOutput {
    let input: ChildProcess.Pipe
    let process: ChildProcess
    do throws(SpawnFailure) {
      input = try ChildProcess.Pipe()
      do throws(SpawnFailure) {
        process = try ChildProcess(
          name: executable, executable: executable, arguments: arguments, environment: environment,
          input: input.reading, isApart: true)
      } catch {
        close(input.reading)
        close(input.writing)
        throw error
      }
    } catch {
      throw ConvoyError(.configuration, error.text)
    }
    close(input.reading)
    defer { close(input.writing) }
    let signals = SignalPipe()
    stop.listen { [weak signals] in signals?.put($0) }
    var (output, errors): ([UInt8], [UInt8]) = ([], [])
    while process.output >= 0 || process.errors >= 0 {
      var watched = [process.output, process.errors, signals.descriptor].map {
        pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
      }
      poll(&watched, nfds_t(watched.count), -1)
      if let signal = signals.take().first {
        // The group: what the program itself has started goes with it.
        kill(-process.identifier, SIGKILL)
        process.reap(waiting: true)
        throw ConvoyError(signal.exitCode, signal.explanation)
      }
      if watched[0].revents != 0, !read(process.output, into: &output) { process.closeOutput() }
      if watched[1].revents != 0, !read(process.errors, into: &errors) { process.closeErrors() }
    }
    process.reap(waiting: true)
    let ending = process.ending ?? .exit(ExitCode.failed.rawValue)
    let last = String(decoding: errors, as: UTF8.self).split(whereSeparator: \.isNewline).last.map(String.init)
    return CommandOutput(output: String(decoding: output, as: UTF8.self), lastError: last ?? "", ending: ending)
  }

  /// Takes what a pipe holds; false at its end.
  private static func read(_ descriptor: Int32, into bytes: inout [UInt8]) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    if count < 0 { return errno == EAGAIN || errno == EINTR }
    bytes += buffer[..<min(count, longest - min(bytes.count, longest))]
    return count > 0
  }
}

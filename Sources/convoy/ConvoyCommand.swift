import ArgumentParser
import Foundation
import Observability
import Runtime

/// The command line.
@main
struct ConvoyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convoy",
    abstract: "Trains convolutional networks with parameter servers, on the CPU machines that you have.",
    discussion: """
      Try it:  convoy train
      It trains LeNet on Fashion-MNIST with one server and two workers on this machine.
      """,
    version: Build.version,
    subcommands: [
      TrainCommand.self, CoordinatorCommand.self, ServerCommand.self, WorkerCommand.self, EvaluateCommand.self,
      KeysCommand.self, ModelsCommand.self, CheckpointsCommand.self, StatusCommand.self, SimulateCommand.self,
      BenchmarkCommand.self, DoctorCommand.self,
    ])

  /// Parses and runs; an unknown command names the nearest, which the parser does for options only.
  static func main() {
    let arguments = Array(CommandLine.arguments.dropFirst())
    let names = configuration.subcommands.compactMap { $0.configuration.commandName }
    refuseUnknown(arguments.first, in: names, after: "")
    for command in configuration.subcommands where !command.configuration.subcommands.isEmpty {
      guard let name = command.configuration.commandName, name == arguments.first else { continue }
      let names = command.configuration.subcommands.compactMap { $0.configuration.commandName }
      refuseUnknown(arguments.dropFirst().first, in: names, after: "\(name) ")
    }
    do {
      var command = try parseAsRoot(arguments)
      try command.run()
    } catch let error as ConvoyError {
      Terminal.error(error.message)
      Foundation.exit(error.code.rawValue)
    } catch let error where error is ArgumentParser.ExitCode || exitCode(for: error) != .failure {
      // The parser's own: what was called wrongly, help, an exit code of which all is said.
      exit(withError: error)
    } catch {
      Terminal.error(ErrorText.line(error))
      Foundation.exit(Runtime.ExitCode.failed.rawValue)
    }
  }

  private static func refuseUnknown(_ name: String?, in names: [String], after prefix: String) {
    guard let name, !name.hasPrefix("-"), name != "help", !names.contains(name) else { return }
    Terminal.error("there is no command \(prefix)\(name); \(NearestName.hint(for: name, in: names))")
    Foundation.exit(Runtime.ExitCode.usage.rawValue)
  }
}

/// What a person reads.
enum Terminal {
  /// A line on standard error that says what went wrong.
  static func error(_ text: String) {
    note("convoy: \(text)")
  }

  /// A line on standard error.
  static func note(_ text: String) {
    write(text + "\n")
  }

  /// Text on standard error as it is. Where nobody reads it, it is lost.
  static func write(_ text: String) {
    _ = put(text, STDERR_FILENO)
  }

  /// A line of the result, on standard output. Where its reader has left, as after `| head`, it is lost; where it cannot
  /// be written, the command has failed.
  static func result(_ text: String) {
    guard let problem = put(text + "\n", STDOUT_FILENO), problem != EPIPE else { return }
    error("the result cannot be written to standard output: \(String(cString: strerror(problem)))")
    Foundation.exit(Runtime.ExitCode.failed.rawValue)
  }

  /// Writes all of a text; the error's number where that fails. Foundation's handle would end the process.
  private static func put(_ text: String, _ descriptor: Int32) -> Int32? {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 { rest = rest.dropFirst(count) } else if errno != EINTR, errno != EAGAIN { return errno }
    }
    return nil
  }
}

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
    InheritedState.settle()
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

/// What a person reads. Nothing here waits for whoever reads it, but a result.
enum Terminal {
  /// A line on standard error that says what went wrong.
  static func error(_ text: String) {
    write("convoy: \(text)\n", .lasting)
  }

  /// A line on standard error.
  static func note(_ text: String) {
    write(text + "\n")
  }

  /// Text on standard error as it is. Where nobody reads it, it is lost.
  static func write(_ text: String, _ importance: OutputQueue.Importance = .ordinary) {
    OutputQueue.standardError.put(text, importance)
  }

  /// A line of the result, on standard output. Where its reader has left, as after `| head`, it is lost; where it cannot
  /// be written, the command has failed.
  static func result(_ text: String) {
    // Where both lead to the same place, what was said before stands before it.
    if isSamePlace { _ = OutputQueue.standardError.flush() }
    OutputQueue.standardOutput.put(text + "\n", .lasting)
    guard let problem = OutputQueue.standardOutput.flush(), problem != EPIPE else { return }
    error("the result cannot be written to standard output: \(String(cString: strerror(problem)))")
    Foundation.exit(Runtime.ExitCode.failed.rawValue)
  }

  private static var isSamePlace: Bool {
    var (output, errors) = (stat(), stat())
    return fstat(STDOUT_FILENO, &output) == 0 && fstat(STDERR_FILENO, &errors) == 0
      && output.st_dev == errors.st_dev && output.st_ino == errors.st_ino
  }

  /// What a launcher is told of its job, on standard output: it may be stopped, and the job goes on.
  static func event(_ event: JobEvent) {
    let importance: OutputQueue.Importance = if case .progress = event { .passing } else { .lasting }
    OutputQueue.standardOutput.put(JSONText.line(event) + "\n", importance)
  }
}

import Foundation
import Runtime

/// A program that is run to its end for what it prints.
enum ChildProcess {
  /// What it left.
  struct Outcome {
    let exitCode: Int32
    let output: String
    let errors: String

    /// The last line that it wrote to standard error: what a person reads first.
    var lastError: String {
      errors.split(separator: "\n").last.map(String.init) ?? "exit code \(exitCode)"
    }
  }

  /// Runs a program, looked for in PATH where its name has no slash.
  static func run(_ program: String, _ arguments: [String]) throws(ConvoyError) -> Outcome {
    let process = Process()
    let (output, errors) = (Pipe(), Pipe())
    process.executableURL = URL(fileURLWithPath: program.contains("/") ? resolved(program) : "/usr/bin/env")
    process.arguments = program.contains("/") ? arguments : [program] + arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
    do { try process.run() } catch {
      throw ConvoyError(.configuration, "\(program) cannot be run: give the path of a program")
    }
    // Errors are few: what is printed is read to its end first, and never as much as a pipe holds.
    let text = output.fileHandleForReading.readDataToEndOfFile()
    let problems = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Outcome(
      exitCode: process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus,
      output: String(decoding: text, as: UTF8.self), errors: String(decoding: problems, as: UTF8.self))
  }

  /// This program's own file, whose link another process would take for itself.
  private static func resolved(_ program: String) -> String {
    program == "/proc/self/exe" ? URL(fileURLWithPath: program).resolvingSymlinksInPath().path : program
  }
}

package import Engines

/// How a command ends, as `sysexits.h` numbers it.
public enum ExitCode: Int32, Sendable {
  /// It did what it was asked.
  case success = 0
  /// It failed.
  case failed = 1
  /// It was called with what it does not know.
  case usage = 64
  /// Data or a file is not what it should be.
  case badData = 65
  /// Something is not there now; the same call may go through later.
  case tryAgain = 75
  /// It was refused.
  case refused = 77
  /// The settings do not fit together, or with this machine.
  case configuration = 78
  /// SIGHUP: the terminal was closed.
  case hungUp = 129
  /// Ctrl-C.
  case interrupted = 130
  /// SIGTERM.
  case terminated = 143
}

/// Why a command or a member of a job ends: one line for a person, and the exit code.
public struct ConvoyError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The exit code.
  public let code: ExitCode
  /// What was wrong, where, and what to do.
  public let message: String

  /// An error with this exit code.
  public init(_ code: ExitCode, _ message: String) {
    self.code = code
    self.message = message
  }

  /// An engine's error: where the settings do not fit together, or with this machine, the exit code says so.
  package init(_ error: EngineError) {
    switch error {
    case .unsupported, .memory, .environment: self.init(.configuration, error.description)
    default: self.init(.failed, error.description)
    }
  }

  /// The message.
  public var description: String { message }
}

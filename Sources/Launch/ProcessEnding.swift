import Glibc
package import Runtime

/// How a process ended.
package enum ProcessEnding: Hashable {
  case exit(Int32)
  case signal(Int32)

  /// From what `waitpid` says.
  package init(status: Int32) {
    let signal = status & 0x7F
    self = signal == 0 ? .exit(status >> 8 & 0xFF) : .signal(signal)
  }

  /// One phrase for a person.
  package var text: String {
    switch self {
    case .exit(let code): "ended with exit code \(code)"
    case .signal(let number): "was ended by signal \(number) (\(String(cString: strsignal(number))))"
    }
  }

  /// What the launcher makes of a member's end while the job goes on.
  package enum Verdict: Hashable {
    /// It went because somebody asked it to, or because it had nothing left to do.
    case left
    /// It may live again.
    case restart
    /// It would end the same way again.
    case final
  }

  package var verdict: Verdict {
    switch self {
    case .exit(ExitCode.success.rawValue), .exit(ExitCode.terminated.rawValue), .signal(SIGTERM): .left
    case .exit(let code):
      switch ExitCode(rawValue: code) {
      case .usage, .badData, .refused, .configuration: .final
      default: .restart
      }
    case .signal: .restart
    }
  }

  /// A process's own exit code says what kind of failure it was, where it is one of ours.
  package var exitCode: ExitCode {
    guard case .exit(let code) = self, let known = ExitCode(rawValue: code) else { return .failed }
    return [.hungUp, .interrupted, .terminated].contains(known) ? .failed : known
  }
}

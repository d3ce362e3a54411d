package import ParameterServer

extension ExitCode {
  /// The exit code that says what kind of failure ended a job.
  package init(_ kind: FailureKind) {
    self =
      switch kind {
      case .failed: .failed
      case .usage: .usage
      case .badData: .badData
      case .tryAgain: .tryAgain
      case .refused: .refused
      case .configuration: .configuration
      }
  }
}

extension ConvoyError {
  /// What kind of failure it is to others than the process that it ends.
  package var kind: FailureKind { FailureKind.allCases.first { ExitCode($0) == code } ?? .failed }
}

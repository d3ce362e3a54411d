import Observability

/// The variables of the environment that the program reads: what begins with `CONVOY_` and is none of them is a mistake.
package enum EnvironmentNames {
  /// What all of them begin with.
  package static let prefix = "CONVOY_"
  /// The file of the job's token, for the processes of a launcher.
  package static let tokenFile = "CONVOY_TOKEN_FILE"
  /// When the launcher was started, in seconds of the monotonic clock.
  package static let launchedAt = "CONVOY_LAUNCHED_AT"
  /// The folder in which each process says what it does: see `StateByte`.
  package static let stateFolder = "CONVOY_STATE_DIR"
  /// What tests set, in the program or in the tests themselves, begins so.
  package static let testPrefix = "CONVOY_TEST_"
  /// What the scripts beside the program read.
  private static let scripts = ["CONVOY_PROGRAM", "CONVOY_PREPARE_CHECKS"]

  /// Refuses a variable that nothing reads: a misspelt setting would be ignored.
  package static func requireKnown(_ environment: [String: String]) throws(ConvoyError) {
    let settings = JobOption.all.map(\.environmentName)
    let others = [Lifeline.environmentName, tokenFile, launchedAt, stateFolder] + scripts
    let unknown = environment.keys.filter {
      $0.hasPrefix(prefix) && !$0.hasPrefix(testPrefix) && !settings.contains($0) && !others.contains($0)
    }
    guard let name = unknown.min() else { return }
    let advice =
      NearestName.suggestion(for: name, in: settings).map { "did you mean \($0)?" }
      ?? "settings are named as convoy train --help names its options, as in CONVOY_LEARNING_RATE; unset it"
    throw ConvoyError(.configuration, "the environment's \(name) is no setting: \(advice)")
  }
}

import Runtime

/// What the processes of a job must know and nobody else may.
struct JobSecrets {
  private let secrets: LaunchSecrets

  /// Makes a job's secrets, in files of mode 0600 in the run's folder: here, so that they outlive any one process.
  ///
  /// - Parameter address: where the coordinator listens.
  static func make(for job: Job, runDirectory: String, address: String) throws(ConvoyError) -> JobSecrets {
    let token = try TokenFile.create(at: "\(runDirectory)/token")
    // Keys: this is the one place where a job's key folder is made, and `block(for:)` the one where its files are handed
    // to a host. They are needed where `address` is not a loopback address; the coordinator refuses such an address
    // without them.
    return JobSecrets(secrets: LaunchSecrets(token: token))
  }

  /// The block that the process of a name reads first.
  func block(for name: String) throws(ConvoyError) -> [UInt8] {
    try secrets.block()
  }
}

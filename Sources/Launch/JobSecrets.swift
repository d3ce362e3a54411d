import Foundation
import Runtime

/// What the processes of a job must know and nobody else may.
struct JobSecrets {
  private let secrets: LaunchSecrets
  private let keys: KeyFolder?
  private let isInsecure: Bool
  /// What goes with the job: the files that were made for it.
  private let ownFiles: [String]

  /// Processes that the job may have one day beside those that it begins with, and that there are keys for.
  static let spareServers = 4
  static let spareWorkers = 16

  /// Makes a job's secrets, in files of mode 0600 in the run's folder: here, so that they outlive any one process.
  ///
  /// Keys are taken from the folder that was stated, or made where the coordinator is reached from other machines.
  ///
  /// The run's folder is the launcher's: see `RunClaim`.
  ///
  /// - Parameter address: where the coordinator listens.
  static func make(
    for job: Job, runDirectory: String, address: String, network: NetworkOptions
  ) throws(ConvoyError) -> JobSecrets {
    if let path = network.keys {
      let keys = try KeyFolder(path: path)
      return JobSecrets(secrets: LaunchSecrets(token: try keys.token()), keys: keys, isInsecure: false, ownFiles: [])
    }
    if try network.needsKeys(at: address) {
      let path = "\(runDirectory)/\(RunFolder.keysName)"
      // Of a job that was killed: whoever is left of it is not let in again.
      try? FileManager.default.removeItem(atPath: path)
      let keys = try KeyFolder.make(
        at: path, servers: job.servers + spareServers, workers: job.workers + spareWorkers)
      return JobSecrets(
        secrets: LaunchSecrets(token: try keys.token()), keys: keys, isInsecure: false, ownFiles: [path])
    }
    let file = "\(runDirectory)/token"
    let secrets = LaunchSecrets(token: try TokenFile.replace(at: file))
    return JobSecrets(secrets: secrets, keys: nil, isInsecure: network.isInsecure, ownFiles: [file])
  }

  /// Whose keys there are, for a person; nil where there are none.
  var keySummary: String? { keys?.summary }

  /// The words of a process's command line that say how it proves who it is: no secret is among them.
  ///
  /// - Parameter isLocal: whether it finds files on this machine; another one is handed its secrets.
  func arguments(isLocal: Bool) -> [String] {
    if isInsecure { return ["--insecure"] }
    guard isLocal, let keys else { return [] }
    return ["--keys", keys.path]
  }

  /// The file of the token for processes on this machine; nil where it comes with the keys.
  func tokenFile(runDirectory: String) -> String? { keys == nil ? "\(runDirectory)/token" : nil }

  /// The block that the process of a name reads first.
  func block(for name: String) throws(ConvoyError) -> [UInt8] {
    if let keys { return try keys.launchSecrets(for: name).block() }
    return try secrets.block()
  }

  /// Removes what was made for the job.
  func remove() {
    for file in ownFiles { try? FileManager.default.removeItem(atPath: file) }
  }
}

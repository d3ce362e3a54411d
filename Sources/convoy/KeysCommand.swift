import ArgumentParser
import Runtime
import Transport

/// `convoy keys DIR`: makes the keys of a job over several hosts.
struct KeysCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Make the keys of a job over several hosts.",
    discussion: """
      The folder gets one secret key for each process (NAME.key, mode 0600), the list of everybody's public keys \
      (allowed) and the job's token. Make keys for as many servers and workers as the job may ever have.
      """)

  @Argument(help: ArgumentHelp("folder to make; one that holds anything is refused", valueName: "folder"))
  var folder: String
  @Option(help: ArgumentHelp("servers that the job may have (default: 1)", valueName: "count")) var servers = 1
  @Option(help: ArgumentHelp("workers that the job may have (default: 2)", valueName: "count")) var workers = 2
  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  private struct Report: Encodable {
    struct Key: Encodable {
      let name: String
      let file: String
      /// The files, within the folder, that a host needs on which only this process runs.
      let host_files: [String]
    }

    let folder: String
    let token: String
    let keys: [Key]
  }

  func validate() throws {
    guard !folder.isEmpty else { throw ValidationError("the folder has no name") }
    for (name, count) in [("servers", servers), ("workers", workers)] where !(1...1024).contains(count) {
      throw ValidationError("--\(name): \(count) is no whole number from 1 to 1024")
    }
  }

  func run() throws {
    let made = try KeyFolder.make(at: folder, servers: servers, workers: workers)
    if json {
      let keys = made.allowed.names.map {
        Report.Key(name: $0, file: made.secretFile(of: $0), host_files: KeyFolder.files(for: [$0]))
      }
      return Terminal.result(JSONText.line(Report(folder: made.path, token: made.tokenFile, keys: keys)))
    }
    Terminal.result(
      """
      keys of \(made.allowed.summary) are in \(made.path)

      next
        give each host a folder, of mode 0700, with these files and no others:
        \(KeyFolder.files(for: []).joined(separator: ", ")), and the .key files of the processes that run there
      """)
  }
}

import Foundation
import Logging
import Observability
import Runtime

/// The log of each role of a job that runs inside one process.
struct LogFiles: Sendable {
  private let folder: String

  init(folder: String) throws(ConvoyError) {
    try RunFolder.makeFolder(folder)
    self.folder = folder
  }

  /// The logger of a role.
  func logger(_ name: String) -> Logger {
    let descriptor = open("\(folder)/\(name).log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    return Logger(label: name) {
      LineLogHandler(label: $0, descriptor: descriptor < 0 ? 2 : descriptor, prefix: "[\(name)] ")
    }
  }
}

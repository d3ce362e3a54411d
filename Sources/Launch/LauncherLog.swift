import Glibc
import Logging
import Observability

/// What the launcher did: `logs/launcher.log`, a line for each start, end and restart.
final class LauncherLog {
  private let descriptor: Int32
  private let logger: Logger

  /// A log at a path; where it cannot be written, lines go nowhere, and the job goes on.
  init(path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    self.descriptor = descriptor
    logger = Logger(label: "launcher") { LineLogHandler(label: $0, descriptor: descriptor) }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  func info(_ text: String) { logger.info("\(text)") }
  func warning(_ text: String) { logger.warning("\(text)") }
}

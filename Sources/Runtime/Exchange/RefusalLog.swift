package import Logging
package import ParameterServer

/// Decides which of many like lines are logged: a few at once, then one a second, which says how many were left out.
///
/// Who refuses does so as often as others please: counters count each, and the log stays readable.
package struct RefusalLog {
  /// Lines that are logged at once after a quiet while.
  package static let burst = 5.0

  private var credit = Self.burst
  private var countedAt: Double?
  private var leftOut = 0

  /// Nothing was logged yet.
  package init() {}

  /// The line to log for a text at a moment, in seconds; nil where it is left out.
  package mutating func line(_ text: String, at now: Double) -> String? {
    credit = min(Self.burst, credit + max(0, now - (countedAt ?? now)))
    countedAt = now
    guard credit >= 1 else {
      leftOut += 1
      return nil
    }
    credit -= 1
    return text + takeLeftOut()
  }

  /// What to add to a last line: how many were left out since the one before.
  package mutating func takeLeftOut() -> String {
    defer { leftOut = 0 }
    return leftOut == 0 ? "" : " (and \(leftOut) more since the line before)"
  }

  /// Logs a refusal: quiet kinds always, as they are shown only to who asks for them, the others within the limit.
  package mutating func log(_ refusal: Refusal, to logger: Logger) {
    let text = "refused: \(refusal.explanation)"
    if refusal.logLevel < .warning { return logger.log(level: refusal.logLevel, "\(text)") }
    if let line = line(text, at: MonotonicClock.seconds) { logger.log(level: refusal.logLevel, "\(line)") }
  }
}

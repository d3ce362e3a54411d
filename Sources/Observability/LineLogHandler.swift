import Glibc
public import Logging

/// Writes log lines as `2026-11-21T05:00:00.123Z info worker.1: message`, each in one write. Nobody waits for standard
/// error: see `OutputQueue`.
public struct LineLogHandler: LogHandler {
  /// The least level that is written.
  public var logLevel: Logger.Level = .info
  /// What belongs to every line; `member` stands before the message.
  public var metadata: Logger.Metadata = [:]
  private let label: String
  private let descriptor: Int32
  private let prefix: String

  /// A handler that writes to standard error, or to another open file, with a prefix before each line.
  public init(label: String, descriptor: Int32 = 2, prefix: String = "") {
    self.label = label
    self.descriptor = descriptor
    self.prefix = prefix
  }

  /// One value of what belongs to every line.
  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// Writes a line.
  public func log(event: LogEvent) {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let who = metadata["member"].map { "\($0)" } ?? label
    let text = Self.line(
      seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000, level: event.level.rawValue, label: who,
      message: event.message.description)
    if descriptor == STDERR_FILENO {
      return OutputQueue.standardError.put("\(prefix)\(text)\n", event.level >= .error ? .lasting : .ordinary)
    }
    var bytes = Array((prefix + text).utf8)
    bytes.append(0x0A)
    _ = write(descriptor, bytes, bytes.count)
  }

  /// A line's text; the time is seconds since 1970 and milliseconds.
  public static func line(seconds: Int, milliseconds: Int, level: String, label: String, message: String) -> String {
    var seconds = seconds
    var calendar = tm()
    gmtime_r(&seconds, &calendar)
    func digits(_ value: Int, _ count: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, count - text.count)) + text
    }
    let date =
      "\(digits(Int(calendar.tm_year) + 1900, 4))-\(digits(Int(calendar.tm_mon) + 1, 2))-\(digits(Int(calendar.tm_mday), 2))"
    let clock =
      "\(digits(Int(calendar.tm_hour), 2)):\(digits(Int(calendar.tm_min), 2)):\(digits(Int(calendar.tm_sec), 2))"
    // A message is one line, whatever it quotes.
    let message = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    return "\(date)T\(clock).\(digits(milliseconds, 3))Z \(level) \(label): \(message)"
  }
}

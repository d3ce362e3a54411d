import Glibc

/// How far a job is, for the person who waits: one redrawn line on a terminal, plain lines at intervals elsewhere.
public struct ProgressLine: Sendable {
  /// What a line shows.
  public struct State: Hashable, Sendable {
    /// Steps begun.
    public var step: Int
    /// Steps of the job.
    public var steps: Int
    /// The epoch, from 1.
    public var epoch: Int
    /// Mean loss lately.
    public var loss: Double
    /// Samples a second lately.
    public var imagesPerSecond: Double

    /// A state as stated.
    public init(step: Int, steps: Int, epoch: Int, loss: Double, imagesPerSecond: Double) {
      self.step = step
      self.steps = steps
      self.epoch = epoch
      self.loss = loss
      self.imagesPerSecond = imagesPerSecond
    }
  }

  /// Where the line goes.
  public struct Style: Hashable, Sendable {
    /// Whether it is redrawn in place.
    public var isTerminal: Bool
    /// Whether colours may be used.
    public var hasColour: Bool
    /// Columns of the terminal.
    public var columns: Int

    /// A style as stated.
    public init(isTerminal: Bool, hasColour: Bool, columns: Int = 80) {
      self.isTerminal = isTerminal
      self.hasColour = hasColour
      self.columns = columns
    }

    /// The style for standard error: `TERM=dumb` is no terminal, `NO_COLOR` (any value but an empty one) no colour.
    public static func standardError(environment: [String: String]) -> Style {
      let isTerminal = isatty(2) == 1 && environment["TERM"] != "dumb"
      var size = winsize()
      let hasSize = isTerminal && ioctl(2, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
      return Style(
        isTerminal: isTerminal, hasColour: isTerminal && (environment["NO_COLOR"] ?? "").isEmpty,
        columns: hasSize ? Int(size.ws_col) : 80)
    }
  }

  /// Seconds between two plain lines.
  public static let plainInterval = 5.0

  private let style: Style
  private var begunAt: Double?
  private var begunStep = 0
  private var writtenAt: Double?
  private var isOpen = false

  /// A line that has shown nothing.
  public init(style: Style) {
    self.style = style
  }

  /// What to write for a state, at a time in seconds; empty where nothing is due.
  public mutating func update(_ state: State, at seconds: Double) -> String {
    if begunAt == nil {
      begunAt = seconds
      begunStep = state.step
    }
    let isLast = state.step >= state.steps
    if !style.isTerminal, let writtenAt, seconds - writtenAt < Self.plainInterval, !isLast { return "" }
    writtenAt = seconds
    let text = text(state, at: seconds)
    guard style.isTerminal else { return text + "\n" }
    isOpen = true
    let cut = String(text.prefix(max(1, style.columns - 1)))
    let shown = style.hasColour ? "\u{1B}[36m\(cut)\u{1B}[0m" : cut
    return "\r\(shown)\u{1B}[K"
  }

  /// What to write before anything else goes to the terminal: ends the redrawn line.
  public mutating func end() -> String {
    defer { isOpen = false }
    return isOpen ? "\n" : ""
  }

  private func text(_ state: State, at seconds: Double) -> String {
    let share = state.steps > 0 ? Int((100 * Double(state.step) / Double(state.steps)).rounded(.down)) : 0
    var text =
      "step \(state.step)/\(state.steps) (\(share) %)  epoch \(state.epoch)  loss \(Self.decimals(state.loss, 4))  \(Self.decimals(state.imagesPerSecond, 0)) images/s"
    if let begunAt, state.step > begunStep, state.step < state.steps {
      let left = (seconds - begunAt) / Double(state.step - begunStep) * Double(state.steps - state.step)
      text += "  \(Self.duration(left)) left"
    }
    return text
  }

  /// A number with so many decimal places.
  public static func decimals(_ value: Double, _ places: Int) -> String {
    guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
    var factor = 1
    for _ in 0..<places { factor *= 10 }
    let scaled = Int((abs(value) * Double(factor)).rounded())
    let fraction = String(scaled % factor)
    let zeros = String(repeating: "0", count: max(0, places - fraction.count))
    return (value < 0 && scaled > 0 ? "-" : "") + "\(scaled / factor)" + (places > 0 ? ".\(zeros)\(fraction)" : "")
  }

  /// A duration as `45 s`, `3 min 20 s` or `2 h 5 min`.
  public static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return "long" }
    let whole = Int(max(0, seconds).rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}

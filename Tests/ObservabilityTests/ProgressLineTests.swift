import Observability
import Testing

@Suite struct ProgressLineTests {
  private func state(_ step: Int, of steps: Int = 938) -> ProgressLine.State {
    ProgressLine.State(step: step, steps: steps, epoch: 1, loss: 0.61234, imagesPerSecond: 5210.7)
  }

  @Test("A plain line tells step, share, epoch, loss and throughput; the time left once it can be known")
  func plainText() {
    var line = ProgressLine(style: .init(isTerminal: false, hasColour: false))
    #expect(line.update(state(100), at: 10) == "step 100/938 (10 %)  epoch 1  loss 0.6123  5211 images/s\n")
    // 100 steps took 20 s, and 738 are left.
    #expect(
      line.update(state(200), at: 30) == "step 200/938 (21 %)  epoch 1  loss 0.6123  5211 images/s  2 min 28 s left\n")
  }

  @Test("Plain lines keep their interval, but the last step is always told")
  func plainInterval() {
    var line = ProgressLine(style: .init(isTerminal: false, hasColour: false))
    #expect(!line.update(state(1), at: 100).isEmpty)
    #expect(line.update(state(2), at: 100 + ProgressLine.plainInterval - 0.01).isEmpty)
    #expect(!line.update(state(3), at: 100 + ProgressLine.plainInterval).isEmpty)
    let last = line.update(state(938), at: 100.1 + ProgressLine.plainInterval)
    #expect(last.hasPrefix("step 938/938 (100 %)") && !last.contains("left"))
    #expect(line.end().isEmpty)
  }

  @Test("On a terminal one line is redrawn at every update, and ended before anything else is written")
  func redrawn() {
    var line = ProgressLine(style: .init(isTerminal: true, hasColour: false, columns: 200))
    #expect(line.end().isEmpty)
    let first = line.update(state(1), at: 0)
    let second = line.update(state(2), at: 0.01)
    for text in [first, second] {
      #expect(text.first == "\r" && text.hasSuffix("\u{1B}[K") && !text.contains("\n"))
    }
    #expect(line.end() == "\n")
    #expect(line.end().isEmpty)
  }

  @Test("It never reaches the last column, where a terminal would wrap", arguments: [2, 10, 40, 80, 500])
  func cut(columns: Int) {
    var line = ProgressLine(style: .init(isTerminal: true, hasColour: true, columns: columns))
    var shown = line.update(state(1), at: 0)
    for code in ["\r", "\u{1B}[36m", "\u{1B}[0m", "\u{1B}[K"] { shown = shown.replacing(code, with: "") }
    #expect(!shown.isEmpty && shown.count < columns)
    #expect("step 1/938 (0 %)  epoch 1  loss 0.6123  5211 images/s".hasPrefix(shown))
  }

  @Test("Colour is used only where it may be")
  func colour() {
    var coloured = ProgressLine(style: .init(isTerminal: true, hasColour: true))
    var plain = ProgressLine(style: .init(isTerminal: true, hasColour: false))
    #expect(coloured.update(state(1), at: 0).contains("\u{1B}[36m"))
    #expect(!plain.update(state(1), at: 0).contains("\u{1B}[36m"))
  }

  @Test("A dumb terminal is none, and NO_COLOR takes the colour")
  func environment() {
    #expect(!ProgressLine.Style.standardError(environment: ["TERM": "dumb"]).isTerminal)
    #expect(!ProgressLine.Style.standardError(environment: ["TERM": "xterm", "NO_COLOR": "1"]).hasColour)
  }

  @Test(
    "Durations in the unit that a person would use",
    arguments: [
      (0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3599.7, "1 h 0 min"), (7500, "2 h 5 min"),
      (-3, "0 s"), (.infinity, "long"), (.nan, "long"),
    ] as [(Double, String)])
  func durations(seconds: Double, text: String) {
    #expect(ProgressLine.duration(seconds) == text)
  }

  @Test(
    "Decimals are rounded, with their zeros and sign",
    arguments: [
      (0.61239, 4, "0.6124"), (2, 2, "2.00"), (-0.05, 2, "-0.05"), (-0.001, 2, "0.00"), (0.995, 1, "1.0"),
      (7.5, 0, "8"),
      (.infinity, 2, "inf"),
    ] as [(Double, Int, String)])
  func decimals(value: Double, places: Int, text: String) {
    #expect(ProgressLine.decimals(value, places) == text)
  }
}

import ParameterServer

/// A chunk has at most one writer in a view.
struct SingleWriterChecker {
  private struct Writer: Equatable {
    let slot: Int
    let life: UInt16
  }

  /// By view, then by chunk. A job has tens of views.
  private var writers: [UInt64: [Writer?]] = [:]
  private var view = ViewNumber.none
  private var current: [Writer?] = []

  mutating func wrote(
    chunk: Int, of chunks: Int, slot: Int, life: UInt16, in number: ViewNumber, _ violations: inout Violations
  ) {
    if number != view {
      writers[view.rawValue] = current
      current = writers[number.rawValue] ?? Array(repeating: nil, count: chunks)
      view = number
    }
    guard chunk < current.count else { return }
    let writer = Writer(slot: slot, life: life)
    if let other = current[chunk], other != writer {
      violations.add(.singleWriter, "chunk \(chunk) has two writers in view \(number.rawValue)")
    }
    current[chunk] = writer
  }
}

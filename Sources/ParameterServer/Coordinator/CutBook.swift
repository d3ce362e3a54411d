/// A cut whose snapshots are coming in.
package struct OpenCut: Sendable {
  package let step: Int
  package let version: UInt64
  package let covered: UnitSet
  /// Whether a chunk's snapshot is there, by chunk.
  package var isThere: [Bool]
  package var missing: Int
}

/// The cuts of a job: those that come in, and the one that is written.
package struct CutBook: Sendable {
  /// Most cuts at once: the chunks of a job are at most a step apart, and messages late by a few.
  package static let maximumOpen = 4

  package private(set) var open: [OpenCut] = []
  /// Steps of the checkpoints that are being written.
  package var storing: [Int] = []
  /// The newest that was taken in whole.
  package private(set) var newest = -1
  /// The number of the newest cut that workers were told to mark, and whether it is under way.
  package var number: UInt64 = 0
  package var isMarking = false
  /// Steps that every server had closed when it began: what closes fewer is of an earlier cut.
  package var floor = 0

  /// No cut yet.
  package init() {}

  /// Takes a snapshot in; returns whether it is new, and the cut once it is whole.
  package mutating func take(
    _ position: ChunkPosition, chunks: Int, isLast: Bool, _ effects: inout [CoordinatorEffect]
  ) -> (isNew: Bool, complete: OpenCut?) {
    let (step, chunk) = (Int(position.closed), Int(position.chunk))
    guard step > newest || isLast && !storing.contains(step) else { return (false, nil) }
    var index = open.firstIndex {
      $0.step == step && $0.version == position.version && $0.covered == position.covered
    }
    if index == nil {
      // Another cut of the same step is of an earlier view.
      open.removeAll { cut in
        guard cut.step == step else { return false }
        effects.append(.abandon(cut: step))
        return true
      }
      if open.count == Self.maximumOpen {
        let oldest = open.indices.min { open[$0].step < open[$1].step }!
        effects.append(.abandon(cut: open.remove(at: oldest).step))
      }
      open.append(
        OpenCut(
          step: step, version: position.version, covered: position.covered,
          isThere: [Bool](repeating: false, count: chunks), missing: chunks))
      index = open.count - 1
    }
    guard let index, !open[index].isThere[chunk] else { return (false, nil) }
    open[index].isThere[chunk] = true
    open[index].missing -= 1
    guard open[index].missing == 0 else { return (true, nil) }
    let complete = open.remove(at: index)
    newest = max(newest, complete.step)
    for cut in open where cut.step < complete.step { effects.append(.abandon(cut: cut.step)) }
    open.removeAll { $0.step < complete.step }
    return (true, complete)
  }

  /// Gives up what is coming in, and what was known of later steps.
  package mutating func abandonAll(_ effects: inout [CoordinatorEffect]) {
    for cut in open { effects.append(.abandon(cut: cut.step)) }
    open = []
    storing = []
    newest = -1
    isMarking = false
  }
}

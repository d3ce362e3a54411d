/// The cut of a mode in which pushes are applied one by one: every worker marks the place in its pushes, and what it
/// pushes after its mark waits until the snapshot is taken (Chandy and Lamport, 1985, with the channels aligned).
struct ServerCut: Sendable {
  /// The newest cut that was begun here.
  private(set) var number: UInt64 = 0
  /// Workers that have marked it.
  private(set) var marked: [UInt32] = []
  /// Chunks that are not snapshotted yet, once every worker has marked it; empty outside a cut.
  private(set) var open: [Bool] = []
  /// Whether workers' marks are still to come.
  private(set) var isGathering = false
  /// Pushes that came after their worker's mark.
  private var held: [QueuedPush] = []

  /// Whether a worker's push to a chunk waits for the snapshot.
  func holdsBack(_ worker: UInt32, chunk: Int) -> Bool {
    isGathering ? marked.contains(worker) : open.indices.contains(chunk) && open[chunk]
  }

  /// Keeps a push until the snapshot is taken.
  mutating func hold(_ push: QueuedPush) { held.append(push) }

  /// Takes a mark; false where it belongs to a cut that is over or came before.
  mutating func mark(_ number: UInt64, by worker: UInt32) -> Bool {
    guard number > self.number || (number == self.number && isGathering) else { return false }
    if number > self.number {
      self.number = number
      marked = []
      isGathering = true
    }
    guard !marked.contains(worker) else { return false }
    marked.append(worker)
    return true
  }

  /// All workers have marked it: these chunks are to be snapshotted.
  mutating func close(_ chunks: [Bool]) {
    isGathering = false
    open = chunks
  }

  /// A chunk is snapshotted: returns what waited for it, in the order it came.
  mutating func finish(_ chunk: Int) -> [QueuedPush] {
    open[chunk] = false
    let due = held.filter { Int($0.push.chunk) == chunk }
    held.removeAll { Int($0.push.chunk) == chunk }
    return due
  }

  /// Gives the cut up; returns what waited. A coordinator that was restarted counts anew in its first view.
  mutating func abandon() -> [QueuedPush] {
    defer {
      number = 0
      marked = []
      open = []
      isGathering = false
      held = []
    }
    return held
  }
}

extension Server {
  mutating func mark(_ number: UInt64, by worker: UInt32, _ effects: inout [ServerEffect]) {
    guard let view, cut.mark(number, by: worker) else { return drops.count(.repeated) }
    for chunk in chunks.indices { answerWaiters(of: chunk, &effects) }
    guard view.workers.allSatisfy({ cut.marked.contains($0.member.number) }) else { return }
    cut.close(chunks.map { $0.map { $0.isPrimary && $0.holdsState } ?? false })
    for chunk in chunks.indices { snapshotForCut(chunk, &effects) }
  }

  /// Takes the snapshot of a cut where nothing that came before it is still to be applied.
  mutating func snapshotForCut(_ chunk: Int, _ effects: inout [ServerEffect]) {
    guard cut.open.indices.contains(chunk), cut.open[chunk], let rules = view?.rules,
      chunks[chunk]?.standing.isIdle == true
    else { return }
    snapshot(chunk, &effects)
    for push in cut.finish(chunk) { take(push, rules, &effects) }
  }

  /// The coordinator wants a snapshot when so many steps are closed.
  mutating func takeCut(_ step: UInt64, _ effects: inout [ServerEffect]) {
    guard let rules = view?.rules, step <= UInt64(rules.steps) else {
      return refuse(Refusal(.outOfBounds, "a cut of step \(step) is none of this job's"), to: .coordinator, &effects)
    }
    if commandedCut == Int(step) { return drops.count(.repeated) }
    commandedCut = Int(step)
  }

  mutating func abandonCut(_ effects: inout [ServerEffect]) {
    for push in cut.abandon() { effects.append(.release(push.gradient)) }
  }

  /// Keeps a chunk's state as it is for the coordinator.
  mutating func snapshot(_ chunk: Int, _ effects: inout [ServerEffect]) {
    guard let position = chunks[chunk]?.position else { return }
    snapshots[chunk] = position
    effects.append(.snapshot(position))
    send(.snapshot(position), to: .coordinator, payload: .snapshot(chunk: chunk), &effects)
  }

  mutating func snapshotTaken(_ chunk: Int, _ version: UInt64, _ effects: inout [ServerEffect]) {
    guard snapshots.indices.contains(chunk), snapshots[chunk]?.version == version else {
      return drops.count(.repeated)
    }
    forgetSnapshot(chunk, &effects)
  }

  mutating func forgetSnapshot(_ chunk: Int, _ effects: inout [ServerEffect]) {
    guard snapshots.indices.contains(chunk), snapshots[chunk] != nil else { return }
    snapshots[chunk] = nil
    effects.append(.forgetSnapshot(chunk: chunk))
  }
}

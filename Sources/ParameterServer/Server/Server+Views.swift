/// Which chunks a server holds, and what they begin with.
extension Server {
  mutating func adopt(_ view: View, _ effects: inout [ServerEffect]) {
    let earlier = self.view
    let isNewEra = earlier?.era != view.era
    self.view = view
    workersCame = false
    abandonCut(&effects)
    effects.append(.adopt(view))
    if isNewEra { forgetEra(&effects) }
    let count = view.rules.chunks.count
    if chunks.count != count {
      chunks = [ChunkState?](repeating: nil, count: count)
      snapshots = [ChunkPosition?](repeating: nil, count: count)
    }
    guard let mine = view.server(session.member), let holders = view.serverOfChunk, let replicas = view.replicaOfChunk
    else { return }
    var roles = [Bool?](repeating: nil, count: count)
    for chunk in mine.replicas { roles[Int(chunk)] = false }
    for chunk in mine.chunks { roles[Int(chunk)] = true }
    for chunk in roles.indices {
      guard let isPrimary = roles[chunk] else {
        drop(chunk, &effects)
        continue
      }
      let primary = view.servers[holders[chunk]]
      let replica = replicas[chunk] < 0 ? nil : view.servers[replicas[chunk]]
      let pair = Pair(primary: primary.incarnation, replica: replica?.incarnation)
      let earlierPair = isNewEra ? nil : earlier.flatMap { Pair($0, chunk: chunk) }
      let change: Change = earlierPair == pair ? .none : earlierPair?.swapped == pair ? .swapped : .other
      take(chunk, isPrimary: isPrimary, replica: isPrimary ? replica?.member : nil, change, &effects)
    }
    if view.rules.clipsNorm { beginNorm(view, holders, &effects) }
    begin(view, isNewEra: isNewEra, &effects)
  }

  /// The two lives that hold a chunk.
  private struct Pair: Equatable {
    let primary: Incarnation
    let replica: Incarnation?

    init(primary: Incarnation, replica: Incarnation?) {
      self.primary = primary
      self.replica = replica
    }

    init?(_ view: View, chunk: Int) {
      guard let holders = view.serverOfChunk, let replicas = view.replicaOfChunk else { return nil }
      primary = view.servers[holders[chunk]].incarnation
      replica = replicas[chunk] < 0 ? nil : view.servers[replicas[chunk]].incarnation
    }

    init(primary: Incarnation, replica: Incarnation) {
      self.primary = primary
      self.replica = replica
    }

    /// The same two in each other's role.
    var swapped: Pair? { replica.map { Pair(primary: $0, replica: primary) } }
  }

  /// How the pair that holds a chunk follows from the one before.
  private enum Change {
    case none
    case swapped
    case other
  }

  /// Lets go of everything of an earlier era.
  private mutating func forgetEra(_ effects: inout [ServerEffect]) {
    for chunk in chunks.indices {
      drop(chunk, &effects)
      forgetSnapshot(chunk, &effects)
    }
    unrestored = 0
    isInitialising = false
  }

  private mutating func drop(_ chunk: Int, _ effects: inout [ServerEffect]) {
    guard chunks[chunk] != nil else { return }
    for gradient in chunks[chunk]?.dropPushes() ?? [] { effects.append(.release(gradient)) }
    if let gradient = chunks[chunk]?.abandonUpdate() { effects.append(.release(gradient)) }
    if chunks[chunk]?.holdsState == true { effects.append(.drop(chunk: chunk)) }
    chunks[chunk] = nil
    forgetSnapshot(chunk, &effects)
  }

  /// Takes a chunk over, or keeps it in the same or another role.
  private mutating func take(
    _ chunk: Int, isPrimary: Bool, replica: Member?, _ change: Change, _ effects: inout [ServerEffect]
  ) {
    guard var state = chunks[chunk] else {
      var state = ChunkState(chunk: chunk, isPrimary: isPrimary)
      state.replica = replica
      chunks[chunk] = state
      return
    }
    for gradient in state.dropPushes() { effects.append(.release(gradient)) }
    state.forgetWaiters()
    let wasPrimary = state.isPrimary
    state.isPrimary = isPrimary
    state.replica = replica
    if isPrimary {
      state.awaitsState = false
      // Where roles were swapped the replica was the primary: it holds all that is here, or says that it needs the state.
      if change != .none { state.isReplicaSynced = change == .swapped }
      if change != .none || replica == nil { state.setReplicated(replica == nil) }
    } else if change == .swapped, wasPrimary, state.holdsState {
      // What was published here is what the new primary has. An update under way it may have, or make again of other
      // pushes; without one both hold the same.
      state.isReplicaSynced = false
      state.awaitsState = state.open != nil
      forgetSnapshot(chunk, &effects)
    } else if change != .none, wasPrimary || state.holdsState {
      // Another primary: what it has may differ from what is here, so its whole state is waited for.
      chunks[chunk] = state
      drop(chunk, &effects)
      chunks[chunk] = ChunkState(chunk: chunk, isPrimary: false)
      return
    }
    chunks[chunk] = state
  }

  /// Gets the first states of an era, or goes on with what is held.
  private mutating func begin(_ view: View, isNewEra: Bool, _ effects: inout [ServerEffect]) {
    let missing = chunks.indices.filter { chunks[$0].map { !$0.holdsState } ?? false }
    // Nobody has worked in an era while its views begin it: what is missing is what the era began with.
    if view.isBeginning, isNewEra || isInitialising || unrestored > 0 || !missing.isEmpty {
      switch view.origin {
      case .initial:
        isInitialising = !missing.isEmpty
        guard isInitialising else {
          accept(&effects)
          return finishIfOver(&effects)
        }
        effects.append(.initialise(chunks: missing, era: view.era))
      case .checkpoint:
        unrestored = missing.count
        if unrestored == 0 {
          accept(&effects)
          finishIfOver(&effects)
        }
      }
      return
    }
    isInitialising = false
    if let lost = missing.first(where: { chunks[$0]?.isPrimary == true }) {
      send(.stateLost(chunk: UInt32(lost)), to: .coordinator, &effects)
      return
    }
    accept(&effects)
    finishIfOver(&effects)
    for chunk in chunks.indices {
      if chunks[chunk]?.isPrimary == true {
        publish(chunk, &effects)
        if chunks[chunk]?.isReplicaSynced == false { sendState(chunk, &effects) } else { sendUpdate(chunk, &effects) }
      } else {
        askForState(chunk, &effects)
      }
    }
    tellScale(&effects)
  }

  /// Says that this server works in the view; said again until a worker has come, who was told only then.
  mutating func accept(_ effects: inout [ServerEffect]) {
    let closed = chunks.reduce(0) { max($0, $1.map { max($0.closed, Int($0.open?.update.closed ?? 0)) } ?? 0) }
    send(.viewAccepted(closed: UInt64(closed)), to: .coordinator, &effects)
  }

  /// The coordinator tells the view once more: what was said of it did not come.
  mutating func adoptedBefore(_ effects: inout [ServerEffect]) {
    guard !isInitialising, unrestored == 0,
      !chunks.contains(where: { $0.map { $0.isPrimary && !$0.holdsState } ?? false })
    else { return drops.count(.untimely) }
    accept(&effects)
  }

  /// The first parameters of some chunks are there. Views may have come while they were made.
  mutating func initialised(_ filled: [Int], era: UInt32, _ effects: inout [ServerEffect]) {
    guard let view, view.era == era else { return drops.count(.outdated) }
    for chunk in filled where chunks.indices.contains(chunk) {
      guard let state = chunks[chunk], isInitialising || state.holdsState else {
        // It went to another server meanwhile, or its state comes from one.
        effects.append(.drop(chunk: chunk))
        continue
      }
      guard !state.holdsState else {
        drops.count(.repeated)
        continue
      }
      chunks[chunk]?.begin(at: ChunkPosition(chunk: UInt32(chunk), version: 0, closed: 0))
      // Every server makes the same first parameters.
      chunks[chunk]?.isReplicaSynced = true
    }
    guard isInitialising, !chunks.contains(where: { $0.map { !$0.holdsState } ?? false }) else { return }
    isInitialising = false
    accept(&effects)
    finishIfOver(&effects)
  }

  /// A chunk's first state of an era that goes on from a checkpoint.
  mutating func restore(
    _ position: ChunkPosition, _ payload: ReceivedPayload, in number: ViewNumber, _ effects: inout [ServerEffect]
  ) {
    let chunk = Int(position.chunk)
    if let refusal = refusal(ofRestoring: position, in: number) {
      effects.append(.release(payload.handle))
      return refuse(refusal, to: .coordinator, &effects)
    }
    guard chunks[chunk]?.holdsState == false else {
      effects.append(.release(payload.handle))
      return drops.count(.repeated)
    }
    effects.append(.install(position, payload: payload.handle))
    chunks[chunk]?.begin(at: position)
    chunks[chunk]?.isReplicaSynced = true
    unrestored -= 1
    guard unrestored == 0 else { return }
    accept(&effects)
    finishIfOver(&effects)
  }

  /// Why a state cannot be what a chunk begins with, or nil.
  private func refusal(ofRestoring position: ChunkPosition, in number: ViewNumber) -> Refusal? {
    let what = "the coordinator restores chunk \(position.chunk)"
    guard let view, number == view.number else {
      return Refusal(.oldView, "\(what) of view \(number.rawValue), which is not the one here")
    }
    guard position.isSound(view.rules) else {
      return Refusal(
        .outOfBounds, "\(what) at version \(position.version) with \(position.closed) steps closed: no such job's")
    }
    guard let state = chunks[Int(position.chunk)] else {
      return Refusal(.misplaced, "\(what), which \(session.member) does not keep")
    }
    guard state.holdsState || unrestored > 0 else {
      return Refusal(.misplaced, "\(what), and nothing here begins with a checkpoint")
    }
    return nil
  }

  /// A job of no open step, as one that goes on from its last checkpoint, has its last cut at once.
  private mutating func finishIfOver(_ effects: inout [ServerEffect]) {
    guard let rules = view?.rules else { return }
    for chunk in chunks.indices where chunks[chunk]?.isPrimary == true && chunks[chunk]?.closed == rules.steps {
      snapshot(chunk, &effects)
    }
  }
}
